"""Rows of input, checked and typed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ner_ray.errors import InputError
from ner_ray.evaluate.plan import Plan
from ner_ray.types import Entity, SpanStatus


@dataclass(frozen=True, slots=True)
class Row:
    """One document with its gold and what was predicted for it.

    Attributes:
        doc_id: the id, or the text where there is none.
        text: the document.
        labels: the label set.
        gold: annotated entities.
        predicted: predicted entities; empty where there are raw answers to be read.
        answers: raw answers, a list of samples for each prompt; None where there are none.
        words: the document's words, where the corpus has them.
        counts: what is worth reporting about this row, by name.
    """

    doc_id: str
    text: str
    labels: tuple[str, ...]
    gold: tuple[Entity, ...]
    predicted: tuple[Entity, ...]
    answers: list[list[str]] | None
    words: tuple[str, ...]
    counts: Counter[str] = field(default_factory=Counter)


def read(gold: Mapping[str, Any], predicted: Mapping[str, Any] | None, plan: Plan) -> Row:
    """The typed row.

    A gold entity that is not in the text is left out and counted as `invalid_gold`; a predicted one is kept,
    for it is a wrong answer, and counted as `invalid_predictions`. A document that has no prediction at all
    is scored as one in which nothing was found, and counted as `without_prediction`.

    Args:
        gold: the row with text and gold.
        predicted: the row with the predictions; the same one where both stand in one file.
        plan: names the columns.

    Raises:
        InputError: a column is missing or holds something else.
    """
    columns, counts = plan.columns, Counter[str]()
    text = _text(gold, columns.text)
    annotated = _entities(_column(gold, columns.gold), text, plan, columns.gold)
    valid = tuple(entity for entity in annotated if _stands(entity, text))
    counts["invalid_gold"] = len(annotated) - len(valid)
    name = columns.answers or columns.predicted
    value = None if predicted is None else _column(predicted, name)
    if predicted is None or value is None:
        counts["without_prediction"] = 1
    return Row(
        doc_id=str(gold[columns.id]) if gold.get(columns.id) is not None else text,
        text=text,
        labels=_labels(gold, plan, valid),
        gold=valid,
        predicted=_predicted(predicted or {}, text, plan, counts) if columns.answers is None else (),
        answers=_answers(value) if columns.answers else None,
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


def _entities(values: Any, text: str, plan: Plan, place: str) -> tuple[Entity, ...]:
    if values is None:
        return ()
    if not isinstance(values, Sequence) or isinstance(values, str):
        raise InputError(f"column {place!r}: expected a list of entities, found {values!r}")
    return tuple(_entity(value, text, plan.label_map, place) for value in values)


def _predicted(row: Mapping[str, Any], text: str, plan: Plan, counts: Counter[str]) -> tuple[Entity, ...]:
    """The predicted entities; counts what our own annotations say beside them."""
    values = row.get(plan.columns.predicted)
    predicted = _entities(values, text, plan, plan.columns.predicted)
    counts["invalid_predictions"] = sum(not _stands(entity, text) for entity in predicted)
    if values and "status" in values[0]:
        counts.update(f"alignment.{entity.status.value}" for entity in predicted)
    counts["alignment.unaligned"] = len(row.get("unaligned") or ())
    counts.update(f"problem.{problem['code']}" for problem in row.get("problems") or ())
    if isinstance(row.get("status"), str):
        counts[f"document.{row['status']}"] = 1
    return predicted


def _labels(row: Mapping[str, Any], plan: Plan, gold: Iterable[Entity]) -> tuple[str, ...]:
    given = row.get(plan.columns.labels) or plan.labels or sorted({entity.label for entity in gold})
    return tuple(dict.fromkeys(plan.label_map.get(label, label) for label in given))


def _answers(value: Any) -> list[list[str]] | None:
    if value is None:
        return None
    if isinstance(value, str):
        return [[value]]
    return [[samples] if isinstance(samples, str) else list(samples) for samples in value]


def _text(row: Mapping[str, Any], name: str) -> str:
    text = _column(row, name)
    if not isinstance(text, str):
        raise InputError(f"column {name!r}: expected a text, found {text!r}")
    return text


def _column(row: Mapping[str, Any], name: str) -> Any:
    if name not in row:
        raise InputError(f"no column {name!r}", hint=f"the columns are: {', '.join(row)}")
    return row[name]


def _stands(entity: Entity, text: str) -> bool:
    return 0 <= entity.start < entity.end <= len(text)
