"""Training targets: what a perfect model would answer, and the gold that the answer cannot express.

A family sorts out what its format rules out by nature (`in_label_set`, `without_overlaps`), writes the rest, and has
`verified` read it back: an entity whose own characters break the answer is left out with a reason rather than taught
wrong.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Sequence
from itertools import accumulate

from ner_ray.families.base import Step
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
    """The transcript of a step in which `answer` answers every prompt, follow-up questions included."""
    transcript: list[Exchange] = []
    while prompts := step.ask(passage, transcript):
        transcript.extend(Exchange(prompt, (Completion(answer(prompt)),)) for prompt in prompts)
    return tuple(transcript)


def in_label_set(gold: Iterable[Entity], labels: Collection[str]) -> Split:
    """Gold in the order of the text, without labels that nobody asks for and without blank entities."""

    def reason(entity: Entity) -> LeftOutReason | None:
        if not entity.text.strip():
            return LeftOutReason.BLANK
        return None if entity.label in labels else LeftOutReason.LABEL_NOT_IN_SET

    return _split(sorted(gold, key=_place), reason)


def without_overlaps(gold: Iterable[Entity]) -> Split:
    """Gold without overlaps: of overlapping entities the one that starts first, of these the longest.

    Blank entities are left out too.
    """
    end = 0

    def reason(entity: Entity) -> LeftOutReason | None:
        nonlocal end
        if not entity.text.strip():
            return LeftOutReason.BLANK
        if entity.start < end:
            return LeftOutReason.OVERLAPS
        end = entity.end
        return None

    return _split(sorted(gold, key=_place), reason)


def listed(
    step: Step,
    passage: StepInput,
    gold: Iterable[Entity],
    labels: Collection[str],
    answer: Callable[[Prompt, Sequence[Entity]], str],
) -> Targets:
    """The targets of a step whose answers list mentions, in the order of the text.

    Args:
        step: whose `ask` and `read` are to be used.
        passage: what it is asked about.
        gold: the entities of the passage.
        labels: those that can be named; the others are left out.
        answer: the answer to a prompt, from the gold that is kept.
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
    """Targets that give back, when read, all that is kept; what does not come back is left out.

    Args:
        write: the transcript that says some entities.
        read: the step's own reading of a transcript.
        text: of the passage.
        gold: what is to be said, and what has been left out before.
    """

    def lost(entities: Sequence[Entity]) -> list[Entity]:
        (reading,) = read(write(entities))
        keys = list(_said(text, entities, placed=reading.copy is not None))
        missing = Counter(keys) - Counter(_read(reading))
        return [entity for entity, key in zip(entities, keys, strict=True) if key in missing]

    kept, left_out = gold
    while missing := lost(kept):
        # An entity that breaks the whole answer costs only itself.
        worst = [entity for entity in missing if lost([entity])] or missing
        left_out = [*left_out, *(LeftOut(entity, LeftOutReason.NOT_DELIMITABLE) for entity in worst)]
        kept = [entity for entity in kept if entity not in worst]
    return Targets(tuple(write(kept)), tuple(left_out))


def _split(gold: Iterable[Entity], reason: Callable[[Entity], LeftOutReason | None]) -> Split:
    kept: list[Entity] = []
    left_out: list[LeftOut] = []
    for entity in gold:
        why = reason(entity)
        if why is None:
            kept.append(entity)
        else:
            left_out.append(LeftOut(entity, why))
    return kept, left_out


def _place(entity: Entity) -> tuple[int, int]:
    return entity.start, -entity.end


def _said(text: str, gold: Iterable[Entity], *, placed: bool) -> Iterator[Hashable]:
    """What a reading of the gold holds: label and surface, and where the answer repeats the text the place."""
    before = _inked(text)
    for entity in gold:
        yield entity.label, _squeezed(entity.text), before[entity.start] if placed else None


def _read(reading: Reading) -> Iterator[Hashable]:
    before = _inked(reading.copy or "")
    for mention in reading.mentions:
        yield mention.label, _squeezed(mention.text), None if mention.start is None else before[mention.start]


def _inked(text: str) -> list[int]:
    """For each offset, how many characters before it are not white space, which a copy may have changed."""
    return [0, *accumulate(not character.isspace() for character in text)]


def _squeezed(text: str) -> str:
    return "".join(text.split())
