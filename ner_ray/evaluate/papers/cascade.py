"""CascadeNER's scorer and answer parser (github.com/CascadeNER/CascadeNER, commit 4d22757).

From `infer.py` and `evaluate.py`. The parser takes the text between `##` marks and looks it up in the sentence, always
at its first occurrence; samples are merged by union, in which the longer of two overlapping spans wins.

The scorer (scikit-learn's micro average over binarised (entity, category) pairs) forgives case, repetitions and
position. A sentence without predictions is not scored at all, so it costs no recall; a predicted pair that no gold
sentence has is dropped, so it costs no precision. If the gold has only one distinct pair, the printed score is the
accuracy over sentences, because scikit-learn then treats the column as a binary target. The released pipeline also
renumbers the sentences it keeps, and so compares them with the wrong gold; here, each sentence is compared with its
own gold.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ner_ray.evaluate.papers.base import Case, PaperScore
from ner_ray.types import Entity

FAMILY = "cascade"
FORGIVES = "case, repeats, position; sentences without a prediction; pairs that no gold sentence has"

_MARKED = re.compile(r"##(.*?)##")
Pair = tuple[str, ...]
Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class PairSums:
    """Correct, missed and spurious pairs, each counted by pair; instances can be added.

    They are counted by pair because whether a spurious pair costs anything depends on the whole gold.
    """

    correct: Counter[Pair] = field(default_factory=Counter)
    missed: Counter[Pair] = field(default_factory=Counter)
    spurious: Counter[Pair] = field(default_factory=Counter)
    sentences: int = 0

    def __add__(self, other: PairSums) -> PairSums:
        return PairSums(
            self.correct + other.correct,
            self.missed + other.missed,
            self.spurious + other.spurious,
            self.sentences + other.sentences,
        )

    def to_dict(self) -> dict[str, Any]:
        return {
            "correct": _plain(self.correct),
            "missed": _plain(self.missed),
            "spurious": _plain(self.spurious),
            "sentences": self.sentences,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> PairSums:
        correct, missed, spurious = (_counter(data[name]) for name in ("correct", "missed", "spurious"))
        return cls(correct, missed, spurious, data["sentences"])


Sums = PairSums


def count(case: Case) -> PairSums:
    """Matches of (entity, category) pairs in one sentence; all zero if nothing was predicted."""
    predicted = _pairs(case.predicted) if case.answers is None else _answered(case)
    return compare(_pairs(case.gold), predicted) if predicted else PairSums()


def scores(sums: PairSums) -> PaperScore:
    """Micro-averaged fractions.

    Raises:
        ValueError: no sentence with a prediction, or no gold entity in any of them; scikit-learn fails, too.
    """
    if not sums.sentences:
        raise ValueError(
            "Found empty input array (e.g., `y_true` or `y_pred`) while a minimum of 1 sample is required."
        )
    vocabulary = sums.correct.keys() | sums.missed.keys()
    if not vocabulary:
        raise ValueError("unknown is not supported")
    right, missed = sums.correct.total(), sums.missed.total()
    wrong = sum(times for pair, times in sums.spurious.items() if pair in vocabulary)
    if len(vocabulary) == 1:
        accuracy = 1 - (missed + wrong) / sums.sentences
        return PaperScore(accuracy, accuracy, accuracy)
    precision = right / (right + wrong) if right else 0.0
    recall = right / (right + missed) if right else 0.0
    return PaperScore(precision, recall, 2 * right / (2 * right + wrong + missed))


def compare(gold: Iterable[Pair], predicted: Iterable[Pair]) -> PairSums:
    """The sums for one sentence that is in both files."""
    wanted, named = set(gold), set(predicted)
    return PairSums(Counter(wanted & named), Counter(wanted - named), Counter(named - wanted), 1)


def compare_files(gold: Mapping[str, Any], predicted: Mapping[str, Any], *, categories: bool = True) -> PairSums:
    """The sums for two result files, each a mapping of sentence keys to `{"entity": [...], "category": [...]}`.

    Args:
        gold: the annotated file.
        predicted: the file to score; a key that is missing in either file is skipped.
        categories: whether the category is part of the match.
    """
    total = PairSums()
    for key in gold.keys() & predicted.keys():
        total += compare(_listed(gold[key], categories), _listed(predicted[key], categories))
    return total


def read(sentence: str, answer: str) -> list[Span]:
    """The marked spans of an answer, each at the first occurrence of its text; unknown text is dropped."""
    marked = ((sentence.find(text), text) for text in _MARKED.findall(answer))
    return [(start, start + len(text)) for start, text in marked if start >= 0]


def union(samples: Iterable[Sequence[Span]]) -> list[Span]:
    """The spans of all samples; one that overlaps an earlier one replaces it if it is longer, else is dropped."""
    merged: list[Span] = []
    for start, end in (span for sample in samples for span in sample):
        rival = next((i for i, (first, last) in enumerate(merged) if start < last and first < end), None)
        if rival is None:
            merged.append((start, end))
        elif end - start > merged[rival][1] - merged[rival][0]:
            merged[rival] = (start, end)
    return merged


def _answered(case: Case) -> list[Pair]:
    """The pairs that the published parser reads from the exchanges."""
    answers = case.answers or {}
    samples = [read(case.text, c.text) for e in answers.get("extractor", ()) for c in e.completions]
    # The questions about a surface are in the order of the levels, so the last answer is the most specific.
    categories = {
        exchange.prompt.subject.lower(): exchange.completions[0].text.strip().lower()
        for exchange in answers.get("classifier", ())
        if exchange.completions
    }
    entities = [case.text[start:end].lower() for start, end in union(samples)]
    return [(entity, categories[entity]) for entity in entities if entity in categories]


def _pairs(entities: Sequence[Entity]) -> list[Pair]:
    return [(entity.text.lower(), entity.label.lower()) for entity in entities]


def _listed(sentence: Mapping[str, Any], categories: bool) -> list[Pair]:
    entities = [entity.lower() for entity in sentence["entity"]]
    if not categories:
        return [(entity,) for entity in entities]
    return list(zip(entities, (category.lower() for category in sentence["category"]), strict=False))


def _plain(counter: Counter[Pair]) -> list[list[Any]]:
    return [[*pair, times] for pair, times in sorted(counter.items())]


def _counter(rows: Iterable[Sequence[Any]]) -> Counter[Pair]:
    return Counter({tuple(row[:-1]): row[-1] for row in rows})
