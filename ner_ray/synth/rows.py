"""From annotated text to training rows: which labels a row asks for, and what the correct answers are.

Prompts and answers are those of the model families (`Step.targets`), so a model is trained on exactly what its family
asks when it annotates. What is decided here is which labels to ask for, and how questions become rows:

    conversation   all questions about a passage in one row (UniversalNER, Sky-NER, RA-IT)
    questions      a row for each question (GNER, B2NER, CascadeNER, instruct)

Both `ner-ray synth` and `ner-ray train prepare` make their rows here.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ner_ray.data.training import Lineage, TrainingRow, Turns
from ner_ray.errors import InputError
from ner_ray.families.base import Step
from ner_ray.synth.config import RowOptions
from ner_ray.synth.label_sets import regularize
from ner_ray.synth.negatives import TypePool
from ner_ray.types import Demonstration, Entity, Exchange, Label, LabelSet, LeftOutReason, Message, StepInput

REPEATED_SURFACE = "repeated_surface"
"""Reason for leaving gold out of a conversation that lists each surface once."""

_NO_TYPES = TypePool({})


@dataclass(frozen=True, slots=True)
class Rows:
    """Training rows, and how many gold entities their answers do not mention, by reason.

    A reason is either one of the family's (`Targets.left_out`), where `label_not_in_set` also counts labels that were
    not drawn for the row's label set, or `repeated_surface`.
    """

    rows: tuple[TrainingRow, ...] = ()
    left_out: Counter[str] = field(default_factory=Counter)


def make_rows(
    row_id: str,
    text: str,
    entities: Sequence[Entity],
    step: Step,
    options: RowOptions,
    *,
    pool: TypePool = _NO_TYPES,
    labels: LabelSet = (),
    demonstrations: Sequence[Demonstration] = (),
    lineage: Lineage | None = None,
) -> Rows:
    """The training rows of an annotated text; none if the family has nothing to ask about it.

    The same arguments yield the same rows.

    Args:
        row_id: the id of the rows; a number is appended if there are several. Determines all draws, together with the
            seed.
        text: the passage.
        entities: its gold.
        step: the family's step, which says what to ask and how to answer.
        options: which labels to ask for, and how questions become rows.
        pool: the types of the whole data set, from which negative ones are drawn.
        labels: the label set; if it is empty, the row asks for the types of `entities` and for negative ones.
        demonstrations: shown with the passage if the family shows any.
        lineage: the lineage of all rows.

    Raises:
        InputError: the questions cannot be turns of one conversation.
    """
    rng = random.Random(f"{options.seed}:{row_id}")  # noqa: S311 - to be repeatable, not secret
    asked = labels_to_ask(entities, pool, options, labels, rng)
    gold, left_out = _gold(entities, asked, options)
    passage = StepInput(text, asked, tuple(demonstrations))
    targets = step.targets(passage, gold)
    left_out.update(entity.reason for entity in targets.left_out)
    shared = {"role": step.role, "labels": tuple(label.name for label in asked), "lineage": lineage}
    make = _conversation if options.rows == "conversation" else _questions
    return Rows(tuple(make(row_id, targets.exchanges, shared)), left_out)


def conversation(exchanges: Sequence[Exchange]) -> Turns:
    """One chat from questions that begin with the same turns: those turns, then each question with its answer.

    Raises:
        InputError: the questions do not begin with the same turns.
    """
    if any(isinstance(exchange.prompt.content, str) for exchange in exchanges):
        raise InputError(
            "prompts that carry their own chat markup cannot be joined into a conversation",
            hint="set the family's `wrapper: chat`, or `rows: questions`",
        )
    first = _turns(exchanges[0])
    if any(_turns(exchange)[:-1] != first[:-1] for exchange in exchanges):
        raise InputError(
            "questions with different first turns cannot be joined into a conversation", hint="set `rows: questions`"
        )
    asked = (turn for exchange in exchanges for turn in (_turns(exchange)[-1], _answer(exchange)))
    return (*first[:-1], *asked)


def labels_to_ask(
    entities: Iterable[Entity], pool: TypePool, options: RowOptions, labels: LabelSet, rng: random.Random
) -> LabelSet:
    """The labels to ask for, in their order. A label tree is kept whole: its questions have lists of their own."""
    if any(label.children for label in labels):
        return labels
    present = list(dict.fromkeys(entity.label for entity in entities))
    given = {label.name: label for label in labels}
    names = list(given) or [*present, *pool.negatives(present, options.negatives, rng)]
    if options.label_set is None:
        rng.shuffle(names)
    else:
        names = regularize(names, present, options.label_set, rng)
    return tuple(given.get(name, Label(name)) for name in names)


def _gold(entities: Sequence[Entity], asked: LabelSet, options: RowOptions) -> tuple[list[Entity], Counter[str]]:
    """The entities to answer with, and how many are left out, by reason."""
    names = {label.name for label in asked}
    is_tree = any(label.children for label in asked)
    gold = [entity for entity in entities if is_tree or entity.label in names]
    left_out: Counter[str] = Counter({LeftOutReason.LABEL_NOT_IN_SET: len(entities) - len(gold)})
    if options.surfaces == "once" and options.rows == "conversation":
        distinct = _once(gold)
        left_out[REPEATED_SURFACE] = len(gold) - len(distinct)
        gold = distinct
    return gold, +left_out


def _once(entities: Sequence[Entity]) -> list[Entity]:
    """Of entities with the same surface and label, only the first."""
    first: dict[tuple[str, str], Entity] = {}
    for entity in sorted(entities, key=lambda entity: (entity.start, entity.end)):
        first.setdefault((entity.text, entity.label), entity)
    return list(first.values())


def _conversation(row_id: str, exchanges: Sequence[Exchange], shared: Mapping[str, Any]) -> list[TrainingRow]:
    if len(exchanges) == 1 and isinstance(exchanges[0].prompt.content, str):
        return _questions(row_id, exchanges, shared)
    return [TrainingRow.conversation(conversation(exchanges), row_id=row_id, **shared)] if exchanges else []


def _questions(row_id: str, exchanges: Sequence[Exchange], shared: Mapping[str, Any]) -> list[TrainingRow]:
    names = [row_id] if len(exchanges) == 1 else [f"{row_id}.{number}" for number in range(len(exchanges))]
    return [
        TrainingRow.question(exchange.prompt.content, exchange.completions[0].text, row_id=name, **shared)
        for name, exchange in zip(names, exchanges, strict=True)
    ]


def _turns(exchange: Exchange) -> Turns:
    content = exchange.prompt.content
    return (Message("user", content),) if isinstance(content, str) else content


def _answer(exchange: Exchange) -> Message:
    return Message("assistant", exchange.completions[0].text)
