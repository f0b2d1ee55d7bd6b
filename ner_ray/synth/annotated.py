"""From a teacher's answer about a passage to entities with their places: filtered, grounded, all losses counted."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from ner_ray.config import AlignConfig
from ner_ray.synth import filters, teacher
from ner_ray.synth.config import FilterOptions
from ner_ray.synth.filters import FilterCounts, Removed
from ner_ray.synth.teacher import Answer
from ner_ray.types import Entity, ErrorRecord, Mention, Verdict

GROUND = "ground"
"""The name under which mentions that do not occur in the passage are removed and counted, as if by a last filter."""


@dataclass(frozen=True, slots=True)
class Annotated:
    """What a teacher found in a passage.

    Attributes:
        entities: the entities, with their places.
        mentions: the mentions that have a place, in the order of the answer; statistics count these.
        removed: all other mentions, each with the filter that removed it.
        counts: the counts of the filters and of `ground`.
        verdicts: one per sample of the teacher.
        errors: the parts that could not be read.
    """

    entities: tuple[Entity, ...]
    mentions: tuple[Mention, ...]
    removed: tuple[Removed, ...]
    counts: FilterCounts
    verdicts: tuple[Verdict, ...]
    errors: tuple[ErrorRecord, ...]


def settle(text: str, answer: Answer, options: FilterOptions, align: AlignConfig = teacher.GROUNDING) -> Annotated:
    """What remains of an answer after filtering and grounding.

    Args:
        text: the passage.
        answer: what the teacher said about it.
        options: the filters and their limits.
        align: how mentions are placed.
    """
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
