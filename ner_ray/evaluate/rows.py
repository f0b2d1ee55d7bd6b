"""Rows of input, checked and typed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ner_ray.config import labels
from ner_ray.errors import InputError
from ner_ray.evaluate.config import ScoringConfig
from ner_ray.types import Annotation, Chunk, Completion, Entity, Label, LabelSet, SpanStatus

BESIDE = frozenset({"chunks", "unaligned", "dropped", "errors", "verdicts", "status"})
"""Columns of our own output that say more about predictions and raw answers."""


@dataclass(frozen=True, slots=True)
class Answers:
    """Raw answers about a chunk of a document: for each prompt, its samples."""

    chunk: Chunk
    samples: tuple[tuple[Completion, ...], ...]


@dataclass(frozen=True, slots=True)
class Row:
    """One document with its gold and what was predicted for it.

    Attributes:
        doc_id: the id, or the text where there is none.
        text: the document.
        labels: the label set.
        gold: annotated entities.
        predicted: predicted entities; empty where there are raw answers to be read.
        answers: raw answers, by chunk; None where there are none.
        words: the document's words, where the corpus has them.
        counts: what is worth reporting about this row, by name.
    """

    doc_id: str
    text: str
    labels: LabelSet
    gold: tuple[Entity, ...]
    predicted: tuple[Entity, ...]
    answers: tuple[Answers, ...] | None
    words: tuple[str, ...]
    counts: Counter[str] = field(default_factory=Counter)


def read(gold: Mapping[str, Any], predicted: Mapping[str, Any] | None, config: ScoringConfig) -> Row:
    """The typed row.

    A gold entity that is not in the text is left out and counted as `invalid_gold`; a predicted one is kept,
    for it is a wrong answer, and counted as `invalid_predictions`. A document that has no prediction at all
    is scored as one in which nothing was found, and counted as `without_prediction`.

    Args:
        gold: the row with text and gold.
        predicted: the row with the predictions; the same one where both stand in one file.
        config: names the columns.

    Raises:
        InputError: a column is missing or holds something else.
    """
    columns, counts = config.columns, Counter[str]()
    text = _text(gold, columns.text)
    annotated = _entities(_column(gold, columns.gold), text, config, columns.gold)
    valid = tuple(entity for entity in annotated if _stands(entity, text))
    counts["invalid_gold"] = len(annotated) - len(valid)
    name = columns.answers or columns.predicted
    value = None if predicted is None else _column(predicted, name)
    if predicted is None or value is None:
        counts["without_prediction"] = 1
    return Row(
        doc_id=str(gold[columns.id]) if gold.get(columns.id) is not None else text,
        text=text,
        labels=_labels(gold, config, valid),
        gold=valid,
        predicted=_predicted(predicted or {}, text, config, counts) if columns.answers is None else (),
        answers=_answers(value, predicted or {}, text, columns.answers) if columns.answers else None,
        words=tuple(gold.get(columns.words) or ()),
        counts=+counts,
    )


def _entity(value: Any, text: str, label_map: Mapping[str, str], place: str) -> Entity:
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
    return Entity(start, end, text[max(start, 0) : max(end, 0)], label_map.get(label, label), None, status)


def count(annotation: Annotation) -> Counter[str]:
    """What an annotation says beside its entities, under the names that a row of output is counted under."""
    counts = Counter(f"alignment.{entity.status.value}" for entity in annotation.entities)
    counts["alignment.unaligned"] = len(annotation.unaligned)
    counts["dropped"] = len(annotation.dropped)
    counts.update(f"problem.{problem.code}" for problem in annotation.errors)
    counts.update(f"verdict.{verdict.value}" for verdict in annotation.verdicts)
    counts[f"document.{annotation.status.value}"] = 1
    return +counts


def _entities(values: Any, text: str, config: ScoringConfig, place: str) -> tuple[Entity, ...]:
    if values is None:
        return ()
    if not isinstance(values, Sequence) or isinstance(values, str):
        raise InputError(f"column {place!r}: expected a list of entities, found {values!r}")
    return tuple(_entity(value, text, config.label_map, place) for value in values)


def _predicted(row: Mapping[str, Any], text: str, config: ScoringConfig, counts: Counter[str]) -> tuple[Entity, ...]:
    """The predicted entities; counts what our own annotations say beside them."""
    values = row.get(config.columns.predicted)
    predicted = _entities(values, text, config, config.columns.predicted)
    counts["invalid_predictions"] = sum(not _stands(entity, text) for entity in predicted)
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


def _labels(row: Mapping[str, Any], config: ScoringConfig, gold: Iterable[Entity]) -> LabelSet:
    given = row.get(config.columns.labels) or config.labels or sorted({entity.label for entity in gold})
    if isinstance(given, list) and all(isinstance(name, str) for name in given):
        given = list(dict.fromkeys(given))
    return _mapped(labels.parse(given), config.label_map) if given else ()


def _mapped(label_set: LabelSet, label_map: Mapping[str, str]) -> LabelSet:
    """The label set under the names that are compared; two labels with one name are one."""
    mapped: dict[str, Label] = {}
    for label in label_set:
        name = label_map.get(label.name, label.name)
        mapped.setdefault(name, replace(label, name=name, children=_mapped(label.children, label_map)))
    return tuple(mapped.values())


def _answers(value: Any, row: Mapping[str, Any], text: str, place: str) -> tuple[Answers, ...] | None:
    """Answers by chunk: our own kept exchanges, or plain strings, which are about the whole document."""
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
            hint="a string; a list of strings, one a prompt; or a list of lists, one string a sample",
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


def _text(row: Mapping[str, Any], name: str) -> str:
    text = _column(row, name)
    if not isinstance(text, str):
        raise InputError(f"column {name!r}: expected a text, found {text!r}")
    return text


def _column(row: Mapping[str, Any], name: str) -> Any:
    if name not in row:
        raise InputError(f"no column {name!r}", hint=f"the row has: {', '.join(row)}")
    return row[name]


def _stands(entity: Entity, text: str) -> bool:
    return 0 <= entity.start < entity.end <= len(text)
