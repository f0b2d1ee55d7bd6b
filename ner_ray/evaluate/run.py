"""An evaluation, from rows to figures: score batches, add the sums, compute figures from the total.

The sums of `score_rows` add up and travel as plain data, so that a cluster can score any number of files apart.
`evaluate` does the same in one process, over files of any size.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, TypeVar, cast

from ner_ray.annotator.spec import family_steps
from ner_ray.config import labels
from ner_ray.data import AnnotatedText, Reject, check_label_map
from ner_ray.data.annotated import as_reject, from_row
from ner_ray.data.label_map import relabel_entities
from ner_ray.data.read import Record, column_names, records
from ner_ray.errors import InputError
from ner_ray.evaluate import answers, bootstrap, read, reliability, rows, spans
from ner_ray.evaluate.bootstrap import Interval, Replicates
from ner_ray.evaluate.config import ScoringConfig
from ner_ray.evaluate.examples import Examples, sample
from ner_ray.evaluate.papers._matches import MatchSums
from ner_ray.evaluate.papers.base import Case, PaperScore, PaperSums, load
from ner_ray.evaluate.reliability import Reliability
from ner_ray.evaluate.spans import MODES, LabelScores, Mode, Pair, Score, SpanSums
from ner_ray.families.base import Step
from ner_ray.types import Chunk, Entity

OURS = "ner_ray"
"""The name of our own scorer; the published scorers are named after their modules."""

_REJECTS = 20  # rows that a report names; the counts have them all

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Sums:
    """Everything that is counted about some documents; sums add up.

    Attributes:
        documents: the number of documents scored.
        spans: for our own scores.
        papers: for the published scorers, by name.
        replicates: for confidence intervals.
        counts: verdicts, alignment statuses and irregularities, by name.
        examples: documents with errors.
        reliability: predicted entities by their scores.
        rejects: some rows of gold that cannot be used, in whole or in part.
        labels: every label of the rows before they are relabelled, where there is a label map.
    """

    documents: int
    spans: SpanSums
    papers: dict[str, PaperSums]
    replicates: Replicates
    counts: Counter[str]
    examples: Examples
    reliability: Reliability = field(default_factory=Reliability)
    rejects: tuple[Reject, ...] = ()
    labels: frozenset[str] = frozenset()

    def __add__(self, other: Sums) -> Sums:
        return Sums(
            self.documents + other.documents,
            self.spans + other.spans,
            {name: sums + other.papers[name] for name, sums in self.papers.items()},
            self.replicates + other.replicates,
            self.counts + other.counts,
            self.examples + other.examples,
            self.reliability + other.reliability,
            _first_rejects(self.rejects + other.rejects),
            self.labels | other.labels,
        )

    def to_dict(self) -> dict[str, Any]:
        return {
            "documents": self.documents,
            "spans": self.spans.to_dict(),
            "papers": {name: sums.to_dict() for name, sums in self.papers.items()},
            "replicates": self.replicates.to_dict(),
            "counts": dict(self.counts),
            "examples": self.examples.to_dict(),
            "reliability": self.reliability.to_dict(),
            "rejects": [asdict(reject) for reject in self.rejects],
            "labels": sorted(self.labels),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Sums:
        return cls(
            data["documents"],
            SpanSums.from_dict(data["spans"]),
            {name: load(name).Sums.from_dict(sums) for name, sums in data["papers"].items()},
            Replicates.from_dict(data["replicates"]),
            Counter(data["counts"]),
            Examples.from_dict(data["examples"]),
            Reliability.from_dict(data["reliability"]),
            tuple(Reject(**reject) for reject in data["rejects"]),
            frozenset(data["labels"]),
        )


@dataclass(frozen=True, slots=True)
class PaperResult:
    """The figures of a published scorer.

    Attributes:
        scorer: the scorer's name.
        read_by: what parsed the answers: `own parser`, or `spans` if the scorer was given placed entities.
        forgives: what it does not count as an error.
        score: its figures; None if its code refuses to give any.
        refusal: why, in the words of its code.
        intervals: of precision, recall and F1, as fractions; empty if the scorer's sums do not allow any.
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
        documents: the number of documents scored.
        micro: by mode, over all entities.
        macro: by mode, the mean over labels.
        intervals: by mode, of the micro scores.
        labels: the scores of each label.
        confusion: gold label (None: spurious) and predicted label (None: missed) -> how often.
        papers: the published scorers.
        counts: verdicts, alignment statuses and irregularities, by name.
        examples: documents with errors.
        reliability: predicted entities by their scores.
        rejects: some rows of gold that cannot be used, in whole or in part.
        level: the fraction of replicates inside the intervals.
        samples: the number of replicates.
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
    reliability: Reliability
    rejects: Sequence[Reject]
    level: float
    samples: int


def zero(config: ScoringConfig) -> Sums:
    """The sums of no documents."""
    return Sums(
        documents=0,
        spans=SpanSums(),
        papers={name: load(name).Sums() for name in config.scorers},
        replicates=bootstrap.zero((*MODES, *config.scorers), config.samples),
        counts=Counter(),
        examples=Examples(config.examples),
    )


def score_rows(joined: Iterable[read.Joined], config: ScoringConfig) -> Sums:
    """The sums of rows of gold, each with its row of predictions.

    Raises:
        InputError: a column is missing, or a row of predictions is not what the configuration says.
        ConfigError: there is no such scorer or family.
    """
    family = family_steps(config.family or {}) if config.columns.answers else ()
    total = zero(config)
    for batch in read.batches(joined):
        total += _score_batch(batch, family, config)
    return total


def evaluate(gold: str, config: ScoringConfig, predictions: str | None = None) -> Evaluation:
    """The figures of annotated texts.

    Args:
        gold: where the gold is, in any format that `ner_ray.data` reads; a path or a URI.
        config: which columns hold what, and how they are compared.
        predictions: where the predictions are, joined by id; None if they are in the rows of the gold.

    Raises:
        InputError: the files are not what the configuration says.
        ConfigError: there is no such scorer or family, or the label map names a label that no row has.
    """
    if predictions is None and config.columns.gold == config.columns.predicted and not config.columns.answers:
        raise InputError(
            f"column {config.columns.gold!r} cannot be gold and prediction at once",
            hint="name the column of the gold with columns.gold, or give predictions",
        )
    return summarize(score_rows(_joined(gold, config, predictions), config), config)


def summarize(sums: Sums, config: ScoringConfig) -> Evaluation:
    """The figures of the sums of all documents.

    Raises:
        InputError: there are rows of gold, and none of them can be used.
        ConfigError: the label map names a label that no row has.
    """
    if sums.rejects and not sums.documents:
        reject = sums.rejects[0]
        raise InputError(
            f"none of {sums.counts['rejected_gold']} rows of gold can be used; for example row {reject.row} of "
            f"{reject.source}: {reject.reason}"
        )
    check_label_map(config.label_map, sums.labels)
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
        reliability=sums.reliability,
        rejects=sums.rejects,
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
    beside = {name for name in config.columns.model_dump().values() if name} | rows.BESIDE
    columns = {*rows.gold_columns(config).names(), *beside}
    if predictions is None:
        return read.side_by_side(_checked(gold, columns, config), rows.id_columns(config))
    wanted = {*beside, *rows.id_columns(config)} - {config.columns.text}
    return read.join(_checked(gold, columns, config), records(predictions, wanted), rows.id_columns(config))


def _checked(gold: str, columns: Collection[str], config: ScoringConfig) -> Iterator[Record]:
    """The rows of gold, if the first one has the columns that are needed."""
    for at, record in enumerate(records(gold, columns)):
        if not at:
            rows.check_columns(record[2], config, column_names(gold))
        yield record


def _score_batch(batch: Sequence[read.Joined], family: Sequence[Step], config: ScoringConfig) -> Sums:
    columns = rows.gold_columns(config)
    pairs = [(from_row(row, source, number, columns), predicted) for (source, number, row), predicted in _golden(batch)]
    usable = [(gold, predicted) for gold, predicted in pairs if isinstance(gold, AnnotatedText)]
    rejects = [gold for gold, _ in pairs if isinstance(gold, Reject)]
    invalid = [as_reject(gold, reason) for gold, _ in usable for reason in gold.invalid]
    scored = [_score(rows.read(gold, predicted, config), family, config) for gold, predicted in usable]
    counts = Counter(without_gold=len(batch) - len(pairs), rejected_gold=len(rejects))
    for document in scored:
        counts.update(document.counts)
    seen = (rows.labels_seen(gold, predicted, config) for gold, predicted in usable if config.label_map)
    return Sums(
        documents=len(scored),
        spans=_total([document.spans for document in scored], SpanSums()),
        papers={
            name: _total([document.papers[name] for document in scored], load(name).Sums()) for name in config.scorers
        },
        replicates=_draw(scored, config),
        counts=+counts,
        examples=sample(
            config.examples, [(document.row.doc_id, document.row.text, document.pairs) for document in scored]
        ),
        reliability=reliability.count(pair for document in scored for pair in document.pairs),
        rejects=_first_rejects(rejects + invalid),
        labels=frozenset().union(*seen),
    )


def _golden(batch: Iterable[read.Joined]) -> Iterator[tuple[Record, read.Fields | None]]:
    """The pairs that have gold."""
    return ((gold, predicted) for gold, predicted in batch if gold is not None)


def _first_rejects(rejects: Iterable[Reject]) -> tuple[Reject, ...]:
    """Some rejects, the same ones in whatever order they come."""
    return tuple(sorted(set(rejects), key=lambda reject: (reject.source, reject.row, reject.reason))[:_REJECTS])


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
    counted: list[PaperSums] = [load(name).count(case) for case in cases]
    nothing: PaperSums = load(name).Sums()
    return _total(counted, nothing)


def _own_case(row: rows.Row, chunk: Chunk, transcripts: answers.Transcripts) -> Case:
    """A chunk for a scorer that parses answers itself, with the gold that starts in the core of the chunk."""
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
    return relabel_entities(entities, config.label_map)[0]


def _draw(scored: Sequence[_Scored], config: ScoringConfig) -> Replicates:
    names = (*MODES, *config.scorers)
    counts = [
        [*(spans.counts(document.spans, mode) for mode in MODES), *map(_matched, document.papers.values())]
        for document in scored
    ]
    ids = [document.row.doc_id for document in scored]
    return bootstrap.draw(names, ids, counts, samples=config.samples, seed=config.seed)


def _matched(sums: PaperSums) -> tuple[int, int, int]:
    """The counts of a scorer that only adds them; zeros if its figures depend on more."""
    return (sums.correct, sums.gold, sums.predicted) if isinstance(sums, MatchSums) else (0, 0, 0)


def _paper_result(
    name: str, sums: Sums, config: ScoringConfig, bounds: Mapping[str, Mapping[str, Interval]]
) -> PaperResult:
    score, refusal = None, ""
    try:
        score = load(name).scores(sums.papers[name])
    except ValueError as error:
        refusal = str(error)
    return PaperResult(
        scorer=name,
        read_by="own parser" if _reads_itself(name, config) else "spans",
        forgives=load(name).FORGIVES,
        score=score,
        refusal=refusal,
        intervals=bounds.get(name, {}) if isinstance(sums.papers[name], MatchSums) else {},
    )


def _reads_itself(name: str, config: ScoringConfig) -> bool:
    """Whether the answers come from the scorer's own model family, so that its own parser reads them."""
    return (
        config.columns.answers is not None and config.family is not None and config.family["name"] == load(name).FAMILY
    )


def _total(items: Sequence[T], start: T) -> T:
    """The sum, computed by halves: adding growing dictionaries one by one would be quadratic."""
    if len(items) <= 1:
        return items[0] if items else start
    half = len(items) // 2
    left, right = _total(items[:half], start), _total(items[half:], start)
    # T is one of the sums, all of which add.
    return cast("T", left + right)  # type: ignore[operator]
