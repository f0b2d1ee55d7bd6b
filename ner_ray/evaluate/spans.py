"""Span scores as sums: strict, exact, partial and type precision, recall and F1 in one pass.

Gold and predicted entities of a document are paired one to one, the best pairs first. Everything else (the
four scores, per label, micro, macro, the confusion of labels) follows from how often each kind of pair
occurred, so the sums of shards add up to the sums of the whole.

The definitions are those of SemEval-2013 task 9.1 and of the package `nervaluate`:

    strict   same span and same label
    exact    same span, whatever the label
    partial  same span 1, overlapping span 1/2, whatever the label
    type     overlapping span and same label

Differences from nervaluate: the pairs do not depend on the order of the entities (nervaluate pairs each
prediction with the first gold entity it meets, and so can miss an exact match that comes later); one pairing
serves all four scores; an overlap of one character is an overlap; an entity that is named twice counts once.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from ner_ray.types import Entity

Mode = Literal["strict", "exact", "partial", "type"]
MODES: tuple[Mode, ...] = ("strict", "exact", "partial", "type")


class Pair(NamedTuple):
    """A gold entity and the prediction paired with it; one of them is None if the other has no partner."""

    gold: Entity | None
    predicted: Entity | None

    @property
    def same_span(self) -> bool:
        return (
            self.gold is not None
            and self.predicted is not None
            and self.gold.start == self.predicted.start
            and self.gold.end == self.predicted.end
        )


class Kind(NamedTuple):
    """The labels of a pair (None for a missing side), and whether its spans are equal."""

    gold: str | None
    predicted: str | None
    same_span: bool


@dataclass(frozen=True, slots=True)
class SpanSums:
    """The number of pairs of each kind, and of repeated predictions; instances can be added."""

    kinds: Counter[Kind] = field(default_factory=Counter)
    repeated: int = 0

    def __add__(self, other: SpanSums) -> SpanSums:
        return SpanSums(self.kinds + other.kinds, self.repeated + other.repeated)

    def to_dict(self) -> dict[str, Any]:
        rows = sorted(self.kinds.items(), key=lambda row: repr(row[0]))
        return {"kinds": [[*kind, times] for kind, times in rows], "repeated": self.repeated}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> SpanSums:
        return cls(Counter({Kind(*row[:3]): row[3] for row in data["kinds"]}), data["repeated"])


@dataclass(frozen=True, slots=True)
class Score:
    """Precision, recall and F1, as fractions; 0 if the denominator is 0."""

    precision: float
    recall: float
    f1: float


@dataclass(frozen=True, slots=True)
class LabelScores:
    """The four scores of a label, and how often the label was annotated and predicted."""

    scores: Mapping[Mode, Score]
    gold: int
    predicted: int


def pair(gold: Iterable[Entity], predicted: Iterable[Entity]) -> list[Pair]:
    """All entities of a document, paired one to one, in the order of the text.

    Pairs with the same span and label come first, then the same span, then overlaps with the same label,
    then other overlaps; among equals, the larger overlap, then the earlier entity. An entity that is named
    twice counts once. Takes time proportional to the number of entities and of overlaps among those not matched
    exactly.
    """
    wanted = {_key(entity): entity for entity in gold}
    named = {_key(entity): entity for entity in predicted}
    pairs = [Pair(wanted.pop(key), named.pop(key)) for key in sorted(wanted.keys() & named.keys())]
    for _, gold_key, predicted_key in sorted(_overlaps(wanted, named)):
        if gold_key in wanted and predicted_key in named:
            pairs.append(Pair(wanted.pop(gold_key), named.pop(predicted_key)))
    pairs += [Pair(entity, None) for entity in wanted.values()]
    pairs += [Pair(None, entity) for entity in named.values()]
    return sorted(pairs, key=_place)


def tally(pairs: Iterable[Pair]) -> Counter[Kind]:
    """The number of pairs of each kind."""
    return Counter(
        Kind(
            gold=pair.gold.label if pair.gold else None,
            predicted=pair.predicted.label if pair.predicted else None,
            same_span=pair.same_span,
        )
        for pair in pairs
    )


def count(gold: Sequence[Entity], predicted: Sequence[Entity]) -> SpanSums:
    """The sums for one document."""
    return sums(pair(gold, predicted), predicted)


def sums(pairs: Sequence[Pair], predicted: Sequence[Entity]) -> SpanSums:
    """The sums for one document whose entities have been paired."""
    return SpanSums(tally(pairs), len(predicted) - sum(pair.predicted is not None for pair in pairs))


def counts(sums: SpanSums, mode: Mode) -> tuple[float, int, int]:
    """The counts from which a score is computed, over all labels: correct, gold and predicted."""
    right = sum(credit(kind, mode) * times for kind, times in sums.kinds.items())
    gold = sum(times for kind, times in sums.kinds.items() if kind.gold is not None)
    predicted = sum(times for kind, times in sums.kinds.items() if kind.predicted is not None)
    return right, gold, predicted


def micro(sums: SpanSums) -> dict[Mode, Score]:
    """The scores over all entities."""
    gold = [(kind, times) for kind, times in sums.kinds.items() if kind.gold is not None]
    predicted = [(kind, times) for kind, times in sums.kinds.items() if kind.predicted is not None]
    return _scores(gold, predicted)


def per_label(sums: SpanSums) -> dict[str, LabelScores]:
    """The scores of each label that was annotated or predicted, sorted by name.

    A pair of two labels counts for the recall of its gold label and for the precision of its predicted one.
    """
    labels = {label for kind in sums.kinds for label in kind[:2] if label is not None}
    return {label: _label_scores(sums, label) for label in sorted(labels)}


def macro(sums: SpanSums) -> dict[Mode, Score]:
    """The unweighted mean over labels of precision, of recall and of F1."""
    labels = list(per_label(sums).values())
    return {mode: _mean([label.scores[mode] for label in labels]) for mode in MODES}


def confusion(sums: SpanSums) -> dict[tuple[str | None, str | None], int]:
    """How often each gold label was predicted as each label; None stands for missed or spurious."""
    cells: Counter[tuple[str | None, str | None]] = Counter()
    for kind, times in sums.kinds.items():
        cells[kind.gold, kind.predicted] += times
    return dict(cells)


def f1(precision: float, recall: float) -> float:
    """The harmonic mean; 0 if both are 0."""
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def credit(kind: Kind, mode: Mode) -> float:
    """The credit for a pair in a mode: 1, 1/2 or 0."""
    if kind.gold is None or kind.predicted is None:
        return 0.0
    same_label = kind.gold == kind.predicted
    match mode:
        case "strict":
            return float(kind.same_span and same_label)
        case "exact":
            return float(kind.same_span)
        case "partial":
            return 1.0 if kind.same_span else 0.5
        case "type":
            return float(same_label)


_Key = tuple[int, int, str]
_Row = tuple[Kind, int]


def _key(entity: Entity) -> _Key:
    return entity.start, entity.end, entity.label


def _place(pair: Pair) -> tuple[_Key, bool]:
    entity = pair.gold or pair.predicted
    assert entity is not None, "a pair has at least one side"
    return _key(entity), pair.gold is None


def _overlaps(wanted: Iterable[_Key], named: Iterable[_Key]) -> Iterable[tuple[tuple[bool, bool, int], _Key, _Key]]:
    """Candidate pairs with their rank, best first when sorted; a sweep over both sides by start."""
    waiting: list[_Key] = []
    ahead = deque(sorted(named))
    for gold in sorted(wanted):
        waiting = [key for key in waiting if key[1] > gold[0]]
        while ahead and ahead[0][0] < gold[1]:
            waiting.append(ahead.popleft())
        for key in waiting:
            shared = min(gold[1], key[1]) - max(gold[0], key[0])
            if shared > 0:
                yield (gold[:2] != key[:2], gold[2] != key[2], -shared), gold, key


def _label_scores(sums: SpanSums, label: str) -> LabelScores:
    gold = [(kind, times) for kind, times in sums.kinds.items() if kind.gold == label]
    predicted = [(kind, times) for kind, times in sums.kinds.items() if kind.predicted == label]
    return LabelScores(_scores(gold, predicted), sum(times for _, times in gold), sum(times for _, times in predicted))


def _scores(gold: Sequence[_Row], predicted: Sequence[_Row]) -> dict[Mode, Score]:
    """Recall over the pairs with a gold side, precision over those with a predicted side."""
    shares = {mode: (_share(predicted, mode), _share(gold, mode)) for mode in MODES}
    return {mode: Score(*share, f1(*share)) for mode, share in shares.items()}


def _share(rows: Sequence[_Row], mode: Mode) -> float:
    total = sum(times for _, times in rows)
    return sum(credit(kind, mode) * times for kind, times in rows) / total if total else 0.0


def _mean(scores: Sequence[Score]) -> Score:
    if not scores:
        return Score(0.0, 0.0, 0.0)
    return Score(
        sum(score.precision for score in scores) / len(scores),
        sum(score.recall for score in scores) / len(scores),
        sum(score.f1 for score in scores) / len(scores),
    )
