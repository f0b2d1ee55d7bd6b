"""Training targets: what a perfect model would answer, and the gold that the answer cannot express.

A family sorts out what its format cannot express in principle (`in_label_set`, `without_overlaps`), writes the rest,
and has `verified` read it back: an entity whose own characters break the answer is left out with a reason rather than
taught wrongly.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Sequence
from itertools import accumulate

from ner_ray.families.base import Step
from ner_ray.text import overlaps
from ner_ray.types import (
    Completion,
    Entity,
    Exchange,
    LeftOut,
    LeftOutReason,
    Prompt,
    Reading,
    StepInput,
    Targets,
)

Split = tuple[list[Entity], list[LeftOut]]
"""The entities that are kept, and those that are left out."""


def play(step: Step, passage: StepInput, answer: Callable[[Prompt], str]) -> tuple[Exchange, ...]:
    """The transcript of a step in which `answer` answers every prompt, including follow-up questions."""
    transcript: list[Exchange] = []
    while prompts := step.ask(passage, transcript):
        transcript.extend(Exchange(prompt, (Completion(answer(prompt)),)) for prompt in prompts)
    return tuple(transcript)


def in_label_set(gold: Iterable[Entity], labels: Collection[str]) -> Split:
    """Gold in the order of the text, without labels that are never asked for and without blank entities."""
    inked, left_out = _without_blank(gold)
    kept = [entity for entity in inked if entity.label in labels]
    left_out += _left_out((entity for entity in inked if entity.label not in labels), LeftOutReason.LABEL_NOT_IN_SET)
    return kept, left_out


def without_overlaps(gold: Iterable[Entity]) -> Split:
    """Gold without overlaps, by the rule of `ner_ray.text.overlaps`, and without blank entities."""
    inked, left_out = _without_blank(gold)
    kept, overlapping = overlaps.without_overlaps(inked)
    return kept, left_out + _left_out(overlapping, LeftOutReason.OVERLAPS)


def listed(
    step: Step,
    passage: StepInput,
    gold: Iterable[Entity],
    labels: Collection[str],
    answer: Callable[[Prompt, Sequence[Entity]], str],
) -> Targets:
    """The targets of a step whose answers list mentions, in the order of the text.

    Args:
        step: its `ask` and `read` are used.
        passage: the passage it is asked about.
        gold: the entities of the passage.
        labels: the labels that can be named; entities with any other label are left out.
        answer: returns the answer to a prompt, given the gold that is kept.
    """
    kept, left_out = in_label_set(gold, labels)
    return verified(
        lambda some: play(step, passage, lambda prompt: answer(prompt, some)),
        lambda exchanges: step.read(passage, exchanges),
        passage.text,
        (kept, left_out),
    )


def verified(
    write: Callable[[Sequence[Entity]], Sequence[Exchange]],
    read: Callable[[Sequence[Exchange]], Sequence[Reading]],
    text: str,
    gold: Split,
) -> Targets:
    """Targets that yield, when read, everything that is kept; anything that is not read back is left out.

    Args:
        write: returns the transcript that expresses some entities.
        read: the step's own reading of a transcript.
        text: the text of the passage.
        gold: the entities to express, and those already left out.
    """

    def lost(entities: Sequence[Entity]) -> list[Entity]:
        (reading,) = read(write(entities))
        keys = list(_said(text, entities, placed=reading.copy is not None))
        missing = Counter(keys) - Counter(_read(reading))
        return [entity for entity, key in zip(entities, keys, strict=True) if key in missing]

    kept, left_out = gold
    while missing := lost(kept):
        # An entity that breaks the whole answer by itself is left out alone.
        worst = [entity for entity in missing if lost([entity])] or missing
        left_out = [*left_out, *_left_out(worst, LeftOutReason.NOT_DELIMITABLE)]
        kept = [entity for entity in kept if entity not in worst]
    return Targets(tuple(write(kept)), tuple(left_out))


def _without_blank(gold: Iterable[Entity]) -> Split:
    """Gold in the order of the text, without entities that consist of white space."""
    ordered = sorted(gold, key=lambda entity: (entity.start, -entity.end))
    blank = (entity for entity in ordered if not entity.text.strip())
    return [entity for entity in ordered if entity.text.strip()], _left_out(blank, LeftOutReason.BLANK)


def _left_out(entities: Iterable[Entity], reason: LeftOutReason) -> list[LeftOut]:
    return [LeftOut(entity, reason) for entity in entities]


def _said(text: str, gold: Iterable[Entity], *, placed: bool) -> Iterator[Hashable]:
    """The content of a reading of the gold: label and surface, and the place if the answer repeats the text."""
    before = _inked(text)
    for entity in gold:
        yield entity.label, _squeezed(entity.text), before[entity.start] if placed else None


def _read(reading: Reading) -> Iterator[Hashable]:
    before = _inked(reading.copy or "")
    for mention in reading.mentions:
        yield mention.label, _squeezed(mention.text), None if mention.start is None else before[mention.start]


def _inked(text: str) -> list[int]:
    """For each offset, the number of preceding characters other than white space, which a copy may have changed."""
    return [0, *accumulate(not character.isspace() for character in text)]


def _squeezed(text: str) -> str:
    return "".join(text.split())
