"""One passage from a teacher's answers to entities with their places: read, filtered, grounded, all losses counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from ner_ray.config import AlignConfig
from ner_ray.families import instruct
from ner_ray.synth import filters, teacher
from ner_ray.synth.filters import FilterCounts, FilterOptions, Removed
from ner_ray.synth.teacher import Answer
from ner_ray.types import Entity, ErrorRecord, Mention, Verdict

GROUND = "ground"
"""The name under which mentions without a place in the passage are removed and counted, as if by a last filter."""


@dataclass(frozen=True, slots=True)
class Annotated:
    """What a teacher found in a passage.

    Attributes:
        entities: with their places.
        mentions: those that these are the places of, in the order of the answer: what statistics count.
        removed: all others, each with the filter that removed it.
        counts: of the filters and of `ground`.
        verdicts: one for each of the teacher's samples.
        errors: what could not be read.
    """

    entities: tuple[Entity, ...]
    mentions: tuple[Mention, ...]
    removed: tuple[Removed, ...]
    counts: FilterCounts
    verdicts: tuple[Verdict, ...]
    errors: tuple[ErrorRecord, ...]


def annotate(
    text: str,
    answers: Sequence[str],
    question: instruct.Options,
    options: FilterOptions,
    align: AlignConfig = teacher.GROUNDING,
) -> Annotated:
    """What the teacher's answers, one a sample, say about a passage. Total: any strings give an annotation.

    Args:
        text: the passage.
        answers: to the question that `teacher.ask` puts.
        question: how it was put.
        options: which filters.
        align: how mentions are placed.
    """
    return settle(text, teacher.read(text, answers, question), options, align)


def settle(text: str, answer: Answer, options: FilterOptions, align: AlignConfig = teacher.GROUNDING) -> Annotated:
    """What is left of an answer that has been read: filtered, and with its places in the passage."""
    filtered = filters.apply(text, answer.mentions, options)
    placed = teacher.ground(text, filtered.kept, align)
    lost = Counter(placed.unaligned)
    ungrounded = Counter({GROUND: lost.total()})
    return Annotated(
        entities=placed.entities,
        mentions=tuple(mention for mention in filtered.kept if mention not in lost),
        removed=(*filtered.removed, *(Removed(mention, GROUND) for mention in placed.unaligned)),
        counts=filtered.counts + FilterCounts(Counter({GROUND: len(filtered.kept)}), ungrounded),
        verdicts=answer.verdicts,
        errors=answer.errors,
    )
