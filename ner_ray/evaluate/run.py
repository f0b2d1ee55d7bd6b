"""An evaluation from rows to figures: score batches, add the sums, make the figures of the total.

`score_batch` is pure and its sums add and travel as plain data, so that a cluster can map it over any number
of batches; `evaluate` does the same in one process over files of any size.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any, TypeVar, cast

from ner_ray import plugins
from ner_ray.config import labels
from ner_ray.errors import InputError
from ner_ray.evaluate import answers, bootstrap, read, rows, spans
from ner_ray.evaluate.bootstrap import Interval, Replicates
from ner_ray.evaluate.config import ScoringConfig
from ner_ray.evaluate.examples import Examples, sample
from ner_ray.evaluate.papers._matches import MatchSums
from ner_ray.evaluate.papers.base import Case, PaperScore, PaperSums
from ner_ray.evaluate.spans import MODES, LabelScores, Mode, Pair, Score, SpanSums
from ner_ray.families.base import Step
from ner_ray.types import Chunk, Entity

OURS = "ner_ray"
"""The name that our own scores bear; the published scorers bear their module's."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Sums:
    """Everything that is counted about some documents; adds.

    Attributes:
        documents: those that were scored.
        spans: for our own scores.
        papers: for the published scorers, by name.
        replicates: for confidence intervals.
        counts: verdicts, alignment statuses and oddities, by name.
        examples: documents with errors.
    """

    documents: int
    spans: SpanSums
    papers: dict[str, PaperSums]
    replicates: Replicates
    counts: Counter[str]
    examples: Examples

    def __add__(self, other: Sums) -> Sums:
        return Sums(
            self.documents + other.documents,
            self.spans + other.spans,
            {name: sums + other.papers[name] for name, sums in self.papers.items()},
            self.replicates + other.replicates,
            self.counts + other.counts,
            self.examples + other.examples,
        )

    def to_dict(self) -> dict[str, Any]:
        return {
            "documents": self.documents,
            "spans": self.spans.to_dict(),
            "papers": {name: sums.to_dict() for name, sums in self.papers.items()},
            "replicates": self.replicates.to_dict(),
            "counts": dict(self.counts),
            "examples": self.examples.to_dict(),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Sums:
        return cls(
            data["documents"],
            SpanSums.from_dict(data["spans"]),
            {name: _paper(name).Sums.from_dict(sums) for name, sums in data["papers"].items()},
            Replicates.from_dict(data["replicates"]),
            Counter(data["counts"]),
            Examples.from_dict(data["examples"]),
        )


@dataclass(frozen=True, slots=True)
class PaperResult:
    """A published scorer's figures, with the name of the scorer and of what read the answers.

    Attributes:
        scorer: the scorer's name.
        read_by: `own parser`, or `spans` where it was given placed entities.
        forgives: what it does not count as an error.
        score: its figures; None where its code refuses to give any.
        refusal: why, in its code's words.
        intervals: of precision, recall and F1, as fractions; empty where the scorer's sums do not allow any.
    """

    scorer: str
    read_by: str
    forgives: str
    score: PaperScore | None
    refusal: str
    intervals: Mapping[str, Interval]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The figures of an evaluation; all of `micro`, `macro` and `labels` are by our own scorer.

    Attributes:
        documents: how many were scored.
        micro: by mode, over all entities.
        macro: by mode, the mean over labels.
        intervals: by mode, of the micro scores.
        labels: by label.
        confusion: gold label (None: nothing there) and predicted label (None: missed), and how often.
        papers: the published scorers.
        counts: verdicts, alignment statuses and oddities, by name.
        examples: documents with errors.
        level: what share of replicates the intervals hold.
        samples: how many replicates there were.
    """

    documents: int
    micro: Mapping[Mode, Score]
    macro: Mapping[Mode, Score]
    intervals: Mapping[str, Mapping[str, Interval]]
    labels: Mapping[str, LabelScores]
    confusion: Mapping[tuple[str | None, str | None], int]
    papers: Sequence[PaperResult]
    counts: Mapping[str, int]
    examples: Examples
    level: float
    samples: int


def zero(config: ScoringConfig) -> Sums:
    """The sums of no document."""
    return Sums(
        documents=0,
        spans=SpanSums(),
        papers={name: _paper(name).Sums() for name in config.scorers},
        replicates=bootstrap.zero((*MODES, *config.scorers), config.samples),
        counts=Counter(),
        examples=Examples(config.examples),
    )


def score_batch(table: Any, config: ScoringConfig) -> Sums:
    """The sums of an Arrow table (or record batch) that holds gold and predictions."""
    return score_rows(((row, row) for row in table.to_pylist()), config)


def score_rows(joined: Iterable[read.Joined], config: ScoringConfig) -> Sums:
    """The sums of rows of gold, each with its row of predictions.

    Raises:
        InputError: a row is not what the config says.
        ConfigError: the config names no such scorer or family.
    """
    family = answers.steps(config) if config.columns.answers else ()
    total = zero(config)
    for batch in read.batches(joined):
        total += _score_batch(batch, family, config)
    return total


def evaluate(gold: str, config: ScoringConfig, predictions: str | None = None) -> Evaluation:
    """The figures of a file (or folder) of gold.

    Args:
        gold: JSONL or Parquet, a path or a URI.
        config: what to compare, and how.
        predictions: where the predictions are, joined by id; None if they stand beside the gold.

    Raises:
        InputError: the files are not what the config says.
        ConfigError: the config names no such scorer or family.
    """
    if predictions is None and config.columns.gold == config.columns.predicted and not config.columns.answers:
        raise InputError(f"column {config.columns.gold!r} cannot be gold and prediction at once")
    return summarize(score_rows(_joined(gold, config, predictions), config), config)


def summarize(sums: Sums, config: ScoringConfig) -> Evaluation:
    """The figures of the sums of all documents."""
    bounds = bootstrap.intervals(sums.replicates)
    return Evaluation(
        documents=sums.documents,
        micro=spans.micro(sums.spans),
        macro=spans.macro(sums.spans),
        intervals={mode: bounds[mode] for mode in MODES if mode in bounds},
        labels=spans.per_label(sums.spans),
        confusion=spans.confusion(sums.spans),
        papers=[_paper_result(name, sums, config, bounds) for name in config.scorers],
        counts=dict(sorted((sums.counts + Counter(repeated_predictions=sums.spans.repeated)).items())),
        examples=sums.examples,
        level=bootstrap.LEVEL,
        samples=config.samples,
    )


@dataclass(frozen=True, slots=True)
class _Scored:
    """What one document adds."""

    row: rows.Row
    pairs: Sequence[Pair]
    spans: SpanSums
    papers: dict[str, PaperSums]
    counts: Counter[str]


def _joined(gold: str, config: ScoringConfig, predictions: str | None) -> Iterator[read.Joined]:
    columns = {name for name in config.columns.model_dump().values() if name} | rows.BESIDE
    if predictions is None:
        return ((row, row) for row in read.rows(gold, columns))
    return read.join(read.rows(gold, columns), read.rows(predictions, columns), config.columns.id)


def _score_batch(batch: Sequence[read.Joined], family: Sequence[Step], config: ScoringConfig) -> Sums:
    scored = [
        _score(rows.read(gold, predicted, config), family, config) for gold, predicted in batch if gold is not None
    ]
    counts = Counter(without_gold=sum(gold is None for gold, _ in batch))
    for one in scored:
        counts.update(one.counts)
    return Sums(
        documents=len(scored),
        spans=_total([one.spans for one in scored], SpanSums()),
        papers={name: _total([one.papers[name] for one in scored], _paper(name).Sums()) for name in config.scorers},
        replicates=_draw(scored, config),
        counts=+counts,
        examples=sample(config.examples, [(one.row.doc_id, one.row.text, one.pairs) for one in scored]),
    )


def _score(row: rows.Row, family: Sequence[Step], config: ScoringConfig) -> _Scored:
    predicted, counts = row.predicted, row.counts
    cases = [Case(row.text, _names(row), row.gold, predicted, None, row.words)]
    own_cases: list[Case] = []
    if row.answers is not None:
        answered = answers.read(family, row.text, row.labels, row.answers, config)
        predicted = _relabel(answered.annotation.entities, config)
        counts = counts + rows.count(answered.annotation)
        counts += Counter({"answers.missing": answered.missing, "answers.unused": answered.unused})
        cases = [replace(cases[0], predicted=predicted)]
        own_cases = [_own_case(row, chunk, transcripts) for chunk, transcripts in answered.transcripts]
    pairs = spans.pair(row.gold, predicted)
    papers = {
        name: _count(name, own_cases if own_cases and _reads_itself(name, config) else cases) for name in config.scorers
    }
    return _Scored(row, pairs, spans.sums(pairs, predicted), papers, counts)


def _count(name: str, cases: Sequence[Case]) -> PaperSums:
    counted: list[PaperSums] = [_paper(name).count(case) for case in cases]
    nothing: PaperSums = _paper(name).Sums()
    return _total(counted, nothing)


def _own_case(row: rows.Row, chunk: Chunk, transcripts: answers.Transcripts) -> Case:
    """A chunk for a scorer that reads answers itself, with the gold that starts in the chunk's core."""
    gold = tuple(
        replace(entity, start=entity.start - chunk.start, end=entity.end - chunk.start)
        for entity in row.gold
        if chunk.core_start <= entity.start < chunk.core_end
    )
    text = row.text[chunk.start : chunk.end]
    return Case(text, _names(row), gold, (), transcripts, row.words if text == row.text else ())


def _names(row: rows.Row) -> tuple[str, ...]:
    return tuple(labels.names(row.labels))


def _relabel(entities: Sequence[Entity], config: ScoringConfig) -> tuple[Entity, ...]:
    return tuple(replace(entity, label=config.label_map.get(entity.label, entity.label)) for entity in entities)


def _draw(scored: Sequence[_Scored], config: ScoringConfig) -> Replicates:
    names = (*MODES, *config.scorers)
    counts = [
        [*(spans.counts(one.spans, mode) for mode in MODES), *map(_matched, one.papers.values())] for one in scored
    ]
    return bootstrap.draw(names, [one.row.doc_id for one in scored], counts, samples=config.samples, seed=config.seed)


def _matched(sums: PaperSums) -> tuple[int, int, int]:
    """The counts of a scorer that just adds them; zeros for one whose figures depend on more."""
    return (sums.correct, sums.gold, sums.predicted) if isinstance(sums, MatchSums) else (0, 0, 0)


def _paper_result(
    name: str, sums: Sums, config: ScoringConfig, bounds: Mapping[str, Mapping[str, Interval]]
) -> PaperResult:
    score, refusal = None, ""
    try:
        score = _paper(name).scores(sums.papers[name])
    except ValueError as error:
        refusal = str(error)
    return PaperResult(
        scorer=name,
        read_by="own parser" if _reads_itself(name, config) else "spans",
        forgives=_paper(name).FORGIVES,
        score=score,
        refusal=refusal,
        intervals=bounds.get(name, {}) if isinstance(sums.papers[name], MatchSums) else {},
    )


def _reads_itself(name: str, config: ScoringConfig) -> bool:
    """Whether the answers are those of the scorer's own model family, so that its own parser reads them."""
    return (
        config.columns.answers is not None
        and config.family is not None
        and config.family["name"] == _paper(name).FAMILY
    )


@functools.cache
def _paper(name: str) -> ModuleType:
    return plugins.load("evaluate.papers", name)


def _total(items: Sequence[T], start: T) -> T:
    """The sum, by halves: sums that hold dictionaries grow, and adding them one by one would be quadratic."""
    if len(items) <= 1:
        return items[0] if items else start
    half = len(items) // 2
    left, right = _total(items[:half], start), _total(items[half:], start)
    # T is one of the sums, all of which add.
    return cast("T", left + right)  # type: ignore[operator]
