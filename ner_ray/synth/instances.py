"""From an annotated passage to rows of training data: which labels are asked for, and what the right answers are.

Prompts and answers are those of the model families (`Step.targets`), so whatever a family asks when it annotates is
what it is trained on. What is decided here are the labels that it is asked for, and how its questions become rows:

    conversation   all questions about a passage in one row (UniversalNER, Sky-NER, RA-IT)
    questions      a row for each question (GNER, B2NER, CascadeNER, instruct)
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from ner_ray.families.base import Step
from ner_ray.synth.label_sets import LabelSetOptions, regularize
from ner_ray.synth.negatives import NegativeOptions, TypePool
from ner_ray.types import Demonstration, Entity, Exchange, Label, LabelSet, LeftOutReason, Message, StepInput

Turns = tuple[Message, ...]


class InstanceOptions(BaseModel):
    """How a passage becomes rows."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rows: Literal["conversation", "questions"] = "conversation"
    negatives: NegativeOptions = NegativeOptions()
    label_set: LabelSetOptions | None = Field(
        default=None,
        description="Regularise the labels as B2NER does, out of all labels there are or of the passage's and its "
        "negatives; null: only shuffle them.",
    )
    surfaces: Literal["once", "every"] = Field(
        default="once",
        description="once: an answer lists each surface once, as published for conversations; every: each mention.",
    )
    seed: int = Field(default=0, description="Of all draws; each passage has its own, by its id.")


@dataclass(frozen=True, slots=True)
class Instance:
    """A row of training data: turns of a chat that end with the assistant's.

    Attributes:
        instance_id: the passage's id, with a number where a passage gives several rows.
        turns: in order; a family with its own wrapper has a single user turn, the wrapped prompt.
        role: the step that it teaches.
        labels: those that were asked for, in their order.
    """

    instance_id: str
    turns: Turns
    role: str
    labels: tuple[str, ...]


def instances(
    passage_id: str,
    text: str,
    entities: Sequence[Entity],
    step: Step,
    pool: TypePool,
    options: InstanceOptions,
    *,
    labels: LabelSet = (),
    demonstrations: Sequence[Demonstration] = (),
    left_out: Counter[str] | None = None,
) -> list[Instance]:
    """The rows of a passage; none where a family has nothing to ask. The same arguments give the same rows.

    Args:
        passage_id: decides the draws, together with the seed.
        text: the passage.
        entities: what is in it, with its places.
        step: of a family: what to ask, and how to answer.
        pool: the types of the whole data set.
        options: which labels, how many rows.
        labels: the label set of a source that has one; without it a passage is asked for its own types and for
            negative ones.
        demonstrations: to be shown with the passage, for families that show some.
        left_out: where given, counts by reason the entities that the rows do not express.
    """
    rng = random.Random(f"{options.seed}:{passage_id}")  # noqa: S311 - to be repeatable, not secret
    asked = labels_to_ask(entities, pool, options, labels, rng)
    names = {label.name for label in asked}
    gold = [entity for entity in entities if entity.label in names or any(label.children for label in asked)]
    if left_out is not None:
        left_out[LeftOutReason.LABEL_NOT_IN_SET] += len(entities) - len(gold)
    gold = _once(gold) if options.surfaces == "once" and options.rows == "conversation" else gold
    passage = StepInput(text, asked, tuple(demonstrations))
    targets = step.targets(passage, gold)
    if left_out is not None:
        left_out.update(entity.reason for entity in targets.left_out)
    exchanges = targets.exchanges
    if options.rows == "conversation":
        rows = [conversation(exchanges)] if exchanges else []
    else:
        rows = [(*_turns(exchange), _answer(exchange)) for exchange in exchanges]
    shown = tuple(label.name for label in asked)
    return [
        Instance(passage_id if len(rows) == 1 else f"{passage_id}.{number}", turns, step.role, shown)
        for number, turns in enumerate(rows)
    ]


def conversation(exchanges: Sequence[Exchange]) -> Turns:
    """One chat out of questions that begin alike: what they share, then each question with its answer."""
    first = _turns(exchanges[0])
    if any(_turns(exchange)[:-1] != first[:-1] for exchange in exchanges):
        raise ValueError("questions that do not begin alike are no conversation; make a row of each")
    asked = (turn for exchange in exchanges for turn in (_turns(exchange)[-1], _answer(exchange)))
    return (*first[:-1], *asked)


def labels_to_ask(
    entities: Iterable[Entity], pool: TypePool, options: InstanceOptions, labels: LabelSet, rng: random.Random
) -> LabelSet:
    """The labels to ask for, in their order. A label tree stays as it is: its questions have lists of their own."""
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


def _once(entities: Sequence[Entity]) -> list[Entity]:
    first: dict[tuple[str, str], Entity] = {}
    for entity in sorted(entities, key=lambda one: (one.start, one.end)):
        first.setdefault((entity.text, entity.label), entity)
    return list(first.values())


def _turns(exchange: Exchange) -> Turns:
    content = exchange.prompt.content
    return (Message("user", content),) if isinstance(content, str) else content


def _answer(exchange: Exchange) -> Message:
    return Message("assistant", exchange.completions[0].text)
