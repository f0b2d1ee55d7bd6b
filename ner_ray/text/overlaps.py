"""One rule for formats in which entities cannot overlap: which of them stay."""

from __future__ import annotations

from collections.abc import Iterable

from ner_ray.types import Entity


def without_overlaps(entities: Iterable[Entity]) -> tuple[list[Entity], list[Entity]]:
    """The entities that stay, and those that overlap one of them; both in the order of the text.

    The entity that starts first stays, and of those that start together, the longest.

    >>> nested = [Entity(0, 5, "Ghent", "place"), Entity(0, 16, "Ghent University", "school")]
    >>> [[entity.text for entity in part] for part in without_overlaps(nested)]
    [['Ghent University'], ['Ghent']]
    """
    kept: list[Entity] = []
    overlapping: list[Entity] = []
    for entity in sorted(entities, key=lambda entity: (entity.start, -entity.end)):
        overlaps = kept and entity.start < kept[-1].end
        (overlapping if overlaps else kept).append(entity)
    return kept, overlapping
