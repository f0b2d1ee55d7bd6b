"""The label map: label of the data -> the label to use, or None to leave its entities out.

Labels that the map does not name stay as they are. A key that the data never has is an error, for it is a typo or a map
for other data; where the data is read once, as a stream, the error comes at its end.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from ner_ray.config import labels as label_sets
from ner_ray.data.annotated import AnnotatedText
from ner_ray.errors import ConfigError
from ner_ray.types import Entity, Label, LabelSet

LabelMap = Mapping[str, str | None]


def relabel(annotated: AnnotatedText, label_map: LabelMap) -> AnnotatedText:
    """The text under the names of the map; entities whose label maps to None move to `dropped`."""
    if not label_map:
        return annotated
    kept, dropped = relabel_entities(annotated.entities, label_map)
    labels = None if annotated.labels is None else relabel_set(annotated.labels, label_map)
    return replace(annotated, entities=kept, labels=labels, dropped=(*annotated.dropped, *dropped))


def relabel_entities(entities: Iterable[Entity], label_map: LabelMap) -> tuple[tuple[Entity, ...], tuple[Entity, ...]]:
    """Entities under the names of the map, and those that it leaves out."""
    kept: list[Entity] = []
    dropped: list[Entity] = []
    for entity in entities:
        name = label_map.get(entity.label, entity.label)
        if name is None:
            dropped.append(entity)
        else:
            kept.append(entity if name == entity.label else replace(entity, label=name))
    return tuple(kept), tuple(dropped)


def relabel_set(labels: LabelSet, label_map: LabelMap) -> LabelSet:
    """A label set under the names of the map: two labels with one name become one, a label without name goes.

    The children of a label that goes take its place.
    """
    mapped: dict[str, Label] = {}
    for label in labels:
        name = label_map.get(label.name, label.name)
        children = relabel_set(label.children, label_map)
        if name is None:
            mapped |= {child.name: child for child in children if child.name not in mapped}
        else:
            mapped.setdefault(name, replace(label, name=name, children=children))
    return tuple(mapped.values())


def within(annotated: AnnotatedText, labels: LabelSet) -> AnnotatedText:
    """The text with this label set; entities with other labels move to `dropped`."""
    names = set(label_sets.names(labels))
    kept = tuple(entity for entity in annotated.entities if entity.label in names)
    outside = (entity for entity in annotated.entities if entity.label not in names)
    return replace(annotated, entities=kept, labels=labels, dropped=(*annotated.dropped, *outside))


def labels_of(annotated: AnnotatedText) -> set[str]:
    """Every label that a text has before it is relabelled, in its entities or its label set."""
    return {entity.label for entity in annotated.entities} | set(label_sets.names(annotated.labels or ()))


def check_label_map(label_map: LabelMap, seen: Iterable[str], where: str = "the data") -> None:
    """Refuses a map with keys that the data does not have.

    Args:
        label_map: the map.
        seen: every label of the data, before it was relabelled.
        where: what to call the data in the message.

    Raises:
        ConfigError: names the keys, and the labels that there are.
    """
    known = set(seen)
    if unknown := sorted(label_map.keys() - known):
        raise ConfigError(
            f"label_map: {where} has no label {', '.join(map(repr, unknown))}",
            hint=f"it has {', '.join(sorted(known)) or 'no label at all'}",
        )
