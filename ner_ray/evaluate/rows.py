"""Rows to score: gold, predictions and raw answers, checked and typed."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ner_ray.config import labels
from ner_ray.data import AnnotatedText, Columns, relabel
from ner_ray.data.annotated import DEFAULT_COLUMNS, first
from ner_ray.data.label_map import labels_of, relabel_entities, relabel_set
from ner_ray.errors import InputError
from ner_ray.evaluate.config import ScoringConfig
from ner_ray.types import Annotation, Chunk, Completion, Entity, Label, LabelSet, SpanStatus

BESIDE = frozenset({"chunks", "unaligned", "dropped", "errors", "verdicts", "status"})
"""Columns of our own output that say more about predictions and raw answers."""


@dataclass(frozen=True, slots=True)
class Answers:
    """The raw answers about a chunk of a document: for each prompt, its samples."""

    chunk: Chunk
    samples: tuple[tuple[Completion, ...], ...]


@dataclass(frozen=True, slots=True)
class Row:
    """One document with its gold and what was predicted for it.

    Attributes:
        doc_id: the id, or the text if there is none.
        text: the document.
        labels: the label set.
        gold: annotated entities.
        predicted: predicted entities; empty if there are raw answers to be parsed.
        answers: raw answers, by chunk; None if there are none.
        words: the words of the document, if the corpus has them.
        counts: what to report about this row, by name.
    """

    doc_id: str
    text: str
    labels: LabelSet
    gold: tuple[Entity, ...]
    predicted: tuple[Entity, ...]
    answers: tuple[Answers, ...] | None
    words: tuple[str, ...]
    counts: Counter[str] = field(default_factory=Counter)


def gold_columns(config: ScoringConfig) -> Columns:
    """Where the gold is in a row."""
    columns = config.columns
    usual = DEFAULT_COLUMNS
    return Columns(
        text=(columns.text,),
        entities=(columns.gold,) if columns.gold else ("gold", *usual.entities),
        id=id_columns(config),
        labels=(columns.labels,),
        tokens=tuple(dict.fromkeys((columns.words, *usual.tokens))),
    )


def id_columns(config: ScoringConfig) -> tuple[str, ...]:
    """The columns that may hold a document's id."""
    return (config.columns.id,) if config.columns.id else DEFAULT_COLUMNS.id


def check_columns(row: object, config: ScoringConfig, names: Iterable[str]) -> None:
    """Refuses gold in which the columns are missing altogether.

    Args:
        row: one of its rows; one that cannot be read says nothing.
        config: which columns hold what.
        names: all columns that there are.

    Raises:
        InputError: names the missing column, and those that there are.
    """
    if not isinstance(row, Mapping):
        return
    columns = gold_columns(config)
    for setting, wanted in (("text", (*columns.text, *columns.tokens)), ("gold", (*columns.entities, *columns.tags))):
        if not any(name in row for name in wanted):
            named = config.columns.text if setting == "text" else config.columns.gold or columns.entities[0]
            raise _missing(named, setting, names)


def read(annotated: AnnotatedText, predicted: Mapping[str, Any] | None, config: ScoringConfig) -> Row:
    """The row to score.

    Gold entities without a place in the text have been left out; they are counted as `invalid_gold`. A prediction
    outside of the text is kept, for it is a wrong answer, and counted as `invalid_predictions`. A document without any
    prediction is scored as one in which nothing was found, and counted as `without_prediction`.

    Args:
        annotated: the document with its gold.
        predicted: the row with the predictions; the gold's own row where one file holds both.
        config: which columns hold what.

    Raises:
        InputError: a column of predictions is missing, or holds something else.
    """
    columns, text = config.columns, annotated.text
    gold = relabel(annotated, config.label_map)
    counts = Counter(invalid_gold=len(gold.invalid), dropped_gold=len(gold.dropped))
    name = columns.answers or columns.predicted
    value = None if predicted is None else _column(predicted, name)
    if predicted is None or value is None:
        counts["without_prediction"] = 1
    given = first(annotated.fields, id_columns(config))
    return Row(
        doc_id=text if given is None else str(given),
        text=text,
        labels=_labels(gold, config),
        gold=gold.entities,
        predicted=_predicted(predicted or {}, text, config, counts) if columns.answers is None else (),
        answers=_answers(value, predicted or {}, text, columns.answers) if columns.answers else None,
        words=annotated.tokens,
        counts=+counts,
    )


def labels_seen(annotated: AnnotatedText, predicted: Mapping[str, Any] | None, config: ScoringConfig) -> set[str]:
    """Every label of a row, in gold, label set and predictions, before it is relabelled."""
    values = (predicted or {}).get(config.columns.predicted) if config.columns.answers is None else ()
    return labels_of(annotated) | {str(value["label"]) for value in values or () if isinstance(value, Mapping)}


def _entity(value: Any, text: str, place: str) -> Entity:
    """An entity out of a row's struct; its text is cut out of the document.

    Raises:
        InputError: it has no `start`, `end` and `label`.
    """
    try:
        start, end, label = int(value["start"]), int(value["end"]), str(value["label"])
        status = SpanStatus(value.get("status") or SpanStatus.EXACT)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"column {place!r}: an entity is {value!r}, not a struct of start, end and label",
            hint="offsets count code points, the end is exclusive",
        ) from error
    score = value.get("score")
    known = float(score) if isinstance(score, int | float) and not math.isnan(score) else None
    return Entity(start, end, text[max(start, 0) : max(end, 0)], label, known, status)


def count(annotation: Annotation) -> Counter[str]:
    """What an annotation says besides its entities, under the names that are used for a row of output."""
    counts = Counter(f"alignment.{entity.status.value}" for entity in annotation.entities)
    counts["alignment.unaligned"] = len(annotation.unaligned)
    counts["dropped"] = len(annotation.dropped)
    counts.update(f"problem.{problem.code}" for problem in annotation.errors)
    counts.update(f"verdict.{verdict.value}" for verdict in annotation.verdicts)
    counts[f"document.{annotation.status.value}"] = 1
    return +counts


def _entities(values: Any, text: str, place: str) -> tuple[Entity, ...]:
    if values is None:
        return ()
    if not isinstance(values, Sequence) or isinstance(values, str):
        raise InputError(f"column {place!r}: expected a list of entities, found {values!r}")
    return tuple(_entity(value, text, place) for value in values)


def _predicted(row: Mapping[str, Any], text: str, config: ScoringConfig, counts: Counter[str]) -> tuple[Entity, ...]:
    """The predicted entities; counts what our own annotations say besides."""
    values = row.get(config.columns.predicted)
    predicted, dropped = relabel_entities(_entities(values, text, config.columns.predicted), config.label_map)
    counts["dropped_predictions"] = len(dropped)
    counts["invalid_predictions"] = sum(not _is_inside(entity, text) for entity in predicted)
    if values and "status" in values[0]:
        counts.update(f"alignment.{entity.status.value}" for entity in predicted)
    for name, column in (("alignment.unaligned", "unaligned"), ("dropped", "dropped")):
        counts[name] = len(row.get(column) or ())
    counts.update(f"problem.{problem['code']}" for problem in row.get("errors") or ())
    for verdict, times in (row.get("verdicts") or {}).items():
        counts[f"verdict.{verdict}"] = times
    if isinstance(row.get("status"), str):
        counts[f"document.{row['status']}"] = 1
    return predicted


def _labels(gold: AnnotatedText, config: ScoringConfig) -> LabelSet:
    """The row's own label set, else that of the configuration, else the labels of its gold.

    Raises:
        InputError: there are raw answers, and only the gold could tell which labels to read in them. No label that is
            not in the gold could then be wrong.
    """
    if gold.labels is not None:
        return gold.labels
    if config.labels:
        return relabel_set(labels.parse(config.labels), config.label_map)
    if config.columns.answers is not None:
        raise InputError(
            f"raw answers need the label set that the model was given: there is no column {config.columns.labels!r}",
            hint="set labels=[person, place, ...], or columns.labels to the column that holds each row's label set",
        )
    return tuple(Label(name) for name in sorted({entity.label for entity in gold.entities}))


def _answers(value: Any, row: Mapping[str, Any], text: str, place: str) -> tuple[Answers, ...] | None:
    """Answers by chunk: exchanges that a run has kept, or plain strings about the whole document."""
    if value is None:
        return None
    prompts: list[Any] = [value] if isinstance(value, str) else list(value)
    try:
        whole = Chunk(0, len(text), 0, len(text))
        if not prompts or not isinstance(prompts[0], Mapping):
            return (Answers(whole, tuple(_samples(samples) for samples in prompts)),)
        chunks = [Chunk(**chunk) for chunk in row.get("chunks") or ()] or [whole]
        return tuple(_of_chunk(number, chunk, prompts) for number, chunk in enumerate(chunks))
    except (KeyError, TypeError) as error:
        raise InputError(
            f"column {place!r}: expected raw answers, found {value!r:.200}",
            hint="a string; a list with one string per prompt; or a list of lists, with one string per sample",
        ) from error


def _of_chunk(number: int, chunk: Chunk, exchanges: Iterable[Mapping[str, Any]]) -> Answers:
    own = (exchange for exchange in exchanges if (exchange.get("chunk") or 0) == number)
    return Answers(chunk, tuple(_samples(exchange["completions"]) for exchange in own))


def _samples(samples: Any) -> tuple[Completion, ...]:
    if isinstance(samples, str):
        return (Completion(samples),)
    return tuple(
        Completion(sample)
        if isinstance(sample, str)
        else Completion(sample["text"], sample.get("finish_reason") or "stop")
        for sample in samples
    )


def _column(row: Mapping[str, Any], name: str) -> Any:
    if name not in row:
        raise _missing(name, "", row)
    return row[name]


def _missing(name: str, setting: str, names: Iterable[str]) -> InputError:
    advice = f"; name the right one with columns.{setting}" if setting else ""
    return InputError(f"no column {name!r}", hint=f"the columns are: {', '.join(names)}{advice}")


def _is_inside(entity: Entity, text: str) -> bool:
    return 0 <= entity.start < entity.end <= len(text)
