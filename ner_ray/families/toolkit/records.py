"""What lists mean: the entities in them, with the labels they were given, whatever the shape of the records.

A record may be a pair (`["Ann", "person"]`, possibly followed by more), a dictionary of one or more entries
(`{"Ann": "person"}`, `{"person": ["Ann", "Bo"]}`), or a dictionary whose keys say what its values are
(`{"entity": "Ann", "type": "person"}`, under the names that common tools use). Keys that describe a value are never
mentions. The label set tells which of two strings is the label; without a label set, the passage does, since it
contains the entity.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from ner_ray.families.toolkit.guide import ASIDE, CONTAINERS, ENTITY_FIELDS, TYPE_FIELDS, Guide, Item, field_name
from ner_ray.families.toolkit.lines import pair_in, split_values
from ner_ray.families.toolkit.lists import Group, Text, entries, groups, texts

_FIELDS = ENTITY_FIELDS | TYPE_FIELDS
# `{"name": "extract", "arguments": {...}}`, the call of a tool: the rest does not say anything about the passage.
_ARGUMENTS = frozenset({"arguments", "parameters", "params", "args", "input"})
_MOST_OF_A_CALL = 4
_NUMBER = re.compile(r"[-+]?\d+(?:[.,:]\d+)*%?")


def items(group: Group, guide: Guide, label: Text | None = None) -> list[Item]:
    """The entities in a list, in order.

    Args:
        group: the list.
        guide: the label set, the passage, and the label that was asked for.
        label: applies to all entities without a label of their own.
    """
    if group.bracket == "{" or any(True for _ in entries(group)):
        return list(_dictionary(group, guide, label))
    if group.bracket == "(" or _is_pair(group, guide):
        return list(_tuple(group, guide, label))
    return list(_list(group, guide, label))


def on_one_side(found: Sequence[Item], guide: Guide) -> list[Item]:
    """The items of one list with their entities all on the same side, if no label set tells labels from entities.

    The passage decides, by what it confirms more often: a single entity that it does not contain (misspelt, say) is
    on the side of the others, even if it contains the label.
    """
    if guide.names:
        return list(found)
    swapped = sum(item.why == "sides" for item in found)
    straight = sum(not item.why and item.label is not None and guide.has(item.entity.value) for item in found)
    if swapped == straight:
        return list(found)
    odd = ("sides",) if swapped < straight else ("", "unclear")
    return [_turned(item) if item.why in odd and item.label is not None else item for item in found]


def _turned(item: Item) -> Item:
    assert item.label is not None
    return Item(item.label, item.entity, "unclear" if item.why == "sides" else "sides")


def _without_offsets(group: Group) -> Group:
    """A tuple without the lists of numbers in it, such as the offsets of its entity."""
    kept = [item for item in group.items if not (isinstance(item, Group) and _is_numbers(item))]
    return group if len(kept) == len(group.items) else Group(group.bracket, kept, group.cut)


def _is_numbers(group: Group) -> bool:
    found = texts(group)
    return bool(found) and len(found) == len(group.items) and all(_is_number(item) for item in found)


def _list(group: Group, guide: Guide, label: Text | None) -> Iterator[Item]:
    columns = _alternating(group, guide)
    if columns:
        yield from columns
        return
    for item in group.items:
        if isinstance(item, Text):
            if item.value:
                yield from (_string(one, guide, label) for one in _alternatives(item, guide))
        elif isinstance(item, Group):
            if item.bracket == "{" or any(True for _ in entries(item)):
                yield from _dictionary(item, guide, label)
            elif len(texts(bare := _without_offsets(item))) == len(bare.items) and bare.items:
                yield from _tuple(bare, guide, label)
            else:
                yield from items(item, guide, label)


def _alternatives(item: Text, guide: Guide) -> list[Text]:
    """The entities in `Ann | Bo`, without quotes; a list of one string is its usual case."""
    if item.quoted or "|" not in item.value or guide.has(item.value):
        return [item]
    parts = [part for part in map(str.strip, item.value.split("|")) if part]
    return [item._replace(value=part) for part in parts] if all(map(guide.has, parts)) else [item]


def _string(item: Text, guide: Guide, label: Text | None) -> Item:
    """A string in a list; `Ann (person)` and `Ann: person` are read as an entity with its label."""
    pair = None if guide.has(item.value) else pair_in(item.value, guide)
    if pair is None:
        return Item(item, label)
    entity, written = pair
    return Item(Text(entity, item.start, item.end), Text(written, item.start, item.end), "lines")


def _alternating(group: Group, guide: Guide) -> list[Item]:
    """`["Ann", "person", "Paris", "place"]`: entities and labels in alternation."""
    found = texts(group)
    if len(found) < 4 or len(found) % 2 or len(found) != len(group.items):
        return []
    pairs = list(zip(found[::2], found[1::2], strict=True))
    if all(guide.label(label.value) and not guide.has(label.value) for _, label in pairs):
        return [Item(entity, label, "shape") for entity, label in pairs]
    return []


def _is_pair(group: Group, guide: Guide) -> bool:
    """Whether a list of strings is an entity and its label, rather than a list of entities."""
    found = texts(group)
    if len(found) != len(group.items) or not 2 <= len(found) <= 6:
        return False
    labels = [bool(guide.label(item.value)) for item in found]
    others = [item for item, is_label in zip(found, labels, strict=True) if not is_label and not _is_number(item)]
    return (
        sum(labels) == 1
        and len(others) == 1
        and not guide.has(next(t.value for t, is_l in zip(found, labels, strict=True) if is_l))
    )


def _tuple(group: Group, guide: Guide, label: Text | None) -> Iterator[Item]:
    """An entity and its label, in either order, among numbers and other things."""
    found = [item for item in texts(group) if item.value]
    if len(texts(group)) != len(group.items):
        yield from _list(group, guide, label)
        return
    words = [item for item in found if not _is_number(item) or guide.label(item.value)]
    named = [item for item in words if guide.label(item.value)]
    if guide.subject and not named and len(words) > 1 and all(guide.has(item.value) for item in words):
        yield from (Item(item, label) for item in words)
    elif label is not None and not named:
        yield from (Item(item, label) for item in (words[:1] if len(words) < len(found) else words))
    elif len(words) == 1:
        if not group.cut:
            yield Item(words[0], label)
    elif words:
        yield from _sides(words, named, guide, cut=group.cut)


def _sides(words: Sequence[Text], named: Sequence[Text], guide: Guide, *, cut: bool) -> Iterator[Item]:
    if len(named) > 1:
        # Both are labels of the set: the one that the passage does not contain is meant as a label.
        outside = [item for item in named if not guide.has(item.value)]
        chosen = outside[0] if len(outside) == 1 else words[1]
    elif named:
        chosen = named[0]
    elif not guide.names and _is_swapped(words[0], words[1], guide):
        chosen = words[0]
    elif all(guide.has(item.value) for item in words) and guide.names and len(words) > 2:
        if not cut:
            yield from (Item(item) for item in words)
        return
    else:
        chosen = words[1]
    entity = next(item for item in words if item is not chosen)
    yield Item(entity, chosen, "" if chosen is words[1] else "sides")


def _dictionary(group: Group, guide: Guide, label: Text | None) -> Iterator[Item]:
    pairs = [(key, value) for key, value in entries(group) if key.value]
    if group.cut:
        # A truncated record: it cannot be known yet whether a key such as `name` is a field or a label.
        pairs = [(key, value) for key, value in pairs if isinstance(value, Group) or not _is_either(key, guide)]
    called = [value for key, value in pairs if key.value in _ARGUMENTS and isinstance(value, Group)]
    record = _record(pairs, guide, label, cut=group.cut)
    if called and len(pairs) <= _MOST_OF_A_CALL:
        yield from items(called[0], guide, label)
    elif record is not None:
        yield from record
    else:
        for key, value in pairs:
            yield from _entry(key, value, guide, label, alone=len(pairs) == 1)
    if not pairs and not group.cut:
        yield from (Item(item, label) for item in texts(group) if item.value)
    held = {id(value) for _, value in pairs}
    for inner in groups(group):
        if id(inner) not in held:
            yield from items(inner, guide, label)


def _record(
    pairs: Sequence[tuple[Text, Text | Group]], guide: Guide, label: Text | None, *, cut: bool
) -> list[Item] | None:
    """The entities of a dictionary whose keys say what its values are; None for any other dictionary."""
    named = [(_field(key), key, value) for key, value in pairs]
    fields = [value for name, _, value in named if name in _FIELDS]
    if (
        label is None
        and any(guide.heading(key.value) for key, _ in pairs)
        and not any(guide.label(text.value) for value in fields for text in _flat(value))
    ):
        return None
    if not fields:
        return _by_values(named, guide)
    entity = [
        value
        for name, key, value in named
        if name in ENTITY_FIELDS and not _maps(key, value, guide, alone=len(pairs) == 1)
    ]
    kind = [
        value
        for name, key, value in named
        if name in TYPE_FIELDS
        and not (isinstance(value, Group) and groups(value))
        and not _maps(key, value, guide, alone=len(pairs) == 1)
    ]
    inside = [value for name, _, value in named if name in CONTAINERS and isinstance(value, Group)]
    if not kind and len(entity) > 1:
        entity, kind = _entity_and_kind(entity, guide)
    if not entity and not kind:
        return _by_values(named, guide)
    if inside and not (kind and entity and inside[0] in entity):
        return _container(inside, kind, guide, label)
    if not entity:
        return _typed(named, kind, guide, label)
    return _fields(entity, kind, guide, label, cut=cut)


def _maps(key: Text, value: Text | Group, guide: Guide, *, alone: bool) -> bool:
    """Whether what looks like a field name is in fact an entity of the passage, with its label."""
    here = isinstance(value, Text) and guide.has(key.value) and guide.label(value.value)
    return bool(here) and (alone or key.value[:1].isupper())


def _entity_and_kind(entity: list[Text | Group], guide: Guide) -> tuple[list[Text | Group], list[Text | Group]]:
    """Splits the values of several entity fields, such as `entity` and `word`, into entities and labels."""
    kind: list[Text | Group] = [value for value in entity if isinstance(value, Text) and guide.label(value.value)]
    if not kind and not guide.names:
        kind = [value for value in entity if isinstance(value, Text) and not guide.has(value.value)]
    taken = {id(value) for value in kind}
    rest = [value for value in entity if id(value) not in taken]
    return (rest, kind[:1]) if rest else (entity, [])


def _container(inside: Sequence[Group], kind: Sequence[Text | Group], guide: Guide, label: Text | None) -> list[Item]:
    written = next((value for value in kind if isinstance(value, Text) and value.value), label)
    return [item for group in inside for item in items(group, guide, written)]


def _typed(
    named: Sequence[tuple[str, Text, Text | Group]], kind: Sequence[Text | Group], guide: Guide, label: Text | None
) -> list[Item] | None:
    """The entities of a record with a type, but without any of the known field names for its entity."""
    written = next((value for value in kind if isinstance(value, Text) and value.value), label)
    taken = {id(value) for value in kind}
    others = [value for name, _, value in named if id(value) not in taken and name not in ASIDE]
    inner = [value for value in others if isinstance(value, Group)]
    if inner:
        return [item for group in inner for item in items(group, guide, written)]
    strings = [value for value in others if isinstance(value, Text) and value.value and not _is_number(value)]
    strings += [
        value for _, _, value in named if isinstance(value, Text) and guide.has(value.value) and value is not written
    ]
    if written is not None and strings and (guide.label(written.value) or not guide.names):
        here = [value for value in strings if guide.has(value.value)] or strings
        return [Item(here[0], written, "fields")]
    return [] if len(named) == len(kind) and not any(guide.label(key.value) for _, key, _ in named) else None


def _by_values(named: Sequence[tuple[str, Text, Text | Group]], guide: Guide) -> list[Item] | None:
    """The entity of a record with unknown fields: one value is a label, another is in the passage; keys are neither."""
    if len(named) < 2:
        return None
    strings = [(key, value) for _, key, value in named if isinstance(value, Text) and value.value]
    kind = [value for key, value in strings if guide.label(value.value) and not guide.has(key.value)]
    here = [
        value
        for key, value in strings
        if guide.has(value.value)
        and not guide.heading(key.value)
        and not guide.has(key.value)
        and not _is_number(value)
    ]
    here = [value for value in here if value not in kind[:1]]
    if len(kind) == 1 and here:
        return [Item(here[0], kind[0], "fields")]
    return None


def _fields(
    entity: Sequence[Text | Group], kind: Sequence[Text | Group], guide: Guide, label: Text | None, *, cut: bool
) -> list[Item] | None:
    """The pairs in a record with entity fields and with either type fields or a label from outside the record."""
    surfaces = _flat(_best(entity, guide))
    labels = (
        _flat(next((value for value in kind if any(guide.label(text.value) for text in _flat(value))), kind[0]))
        if kind
        else []
    )
    if labels and surfaces and len(labels) == len(surfaces) == 1:
        return list(_told(surfaces[0], labels[0], guide))
    if not labels:
        plain = [value for value in entity if isinstance(value, Group)]
        if plain and not label and not guide.subject and any(groups(v) or list(entries(v)) for v in plain):
            return [item for value in plain for item in items(value, guide, label)]
        return [] if cut and label is None and not guide.subject else [Item(surface, label) for surface in surfaces]
    if len(labels) == len(surfaces):
        return [Item(surface, written) for surface, written in zip(surfaces, labels, strict=True)]
    if len(surfaces) == 1:
        return [Item(surfaces[0], written) for written in labels]
    return [Item(surface, labels[0]) for surface in surfaces]


def _told(surface: Text, written: Text, guide: Guide) -> Iterator[Item]:
    if guide.label(surface.value) and not guide.label(written.value) and guide.has(written.value):
        yield Item(written, surface, "sides")
    else:
        yield Item(surface, written)


def _best(values: Sequence[Text | Group], guide: Guide) -> Text | Group:
    """Of several values for an entity, the first that the passage contains."""
    return next((value for value in values if isinstance(value, Group) or guide.has(value.value)), values[0])


def _flat(value: Text | Group) -> list[Text]:
    """The strings in a value: the value itself, those of a list, or the name or text field of a record."""
    if isinstance(value, Text):
        return [value] if value.value else []
    named = [inner for key, inner in entries(value) if _field(key) in _FIELDS]
    if named:
        return _flat(named[0])
    found: list[Text] = []
    for item in value.items:
        if isinstance(item, Group):
            found += _flat(item)
        elif isinstance(item, Text) and item.value and ":" not in value.items and not _is_number(item):
            found.append(item)
    return found


def _entry(key: Text, value: Text | Group, guide: Guide, label: Text | None, *, alone: bool) -> Iterator[Item]:
    """The entities in an entry `key: value` of a dictionary whose keys are entities or labels."""
    name = _field(key)
    if isinstance(value, Text):
        yield from _string_entry(key, value, guide, label, alone=alone)
        return
    written = guide.heading(key.value)
    if written is None and name in CONTAINERS | ENTITY_FIELDS and not guide.has(key.value):
        yield from items(value, guide, label)
    elif (name in ASIDE or name.endswith("attributes")) and written is None:
        return
    elif key.value.isdigit() and written is None and not guide.has(key.value):
        yield from items(value, guide, label)
    elif _describes(value, guide) or (written is None and _all_labels(value, guide)):
        yield from (Item(key, kind) for kind in _kinds(value))
    else:
        yield from _under_label(key, value, guide)


def _under_label(key: Text, value: Group, guide: Guide) -> Iterator[Item]:
    """The entities of a type, `{"person": [...]}`, given as strings, as records, or as keys with their offsets."""
    pairs = list(entries(value))
    fields = {_field(inner) for inner, _ in pairs}
    numbered = all(inner.value.isdigit() and isinstance(child, Group) for inner, child in pairs)
    if (
        pairs
        and not numbered
        and not fields & (ENTITY_FIELDS | CONTAINERS)
        and not any(
            guide.heading(inner.value) or (isinstance(child, Text) and guide.label(child.value))
            for inner, child in pairs
        )
    ):
        yield from (Item(inner, _named(key, guide), "shape") for inner, _ in pairs if _field(inner) not in ASIDE)
        return
    written = _named(key, guide)
    for item in items(value, guide, written):
        foreign = item.label is not None and item.label is not written and not guide.label(item.label.value)
        yield Item(item.entity, written, item.why) if foreign and guide.heading(key.value) else item


def _describes(value: Group, guide: Guide) -> bool:
    """Whether a dictionary describes an entity, `{"Ann": {"type": "person"}}`, without naming it again."""
    fields = {_field(key) for key, inner in entries(value) if not (isinstance(inner, Text) and guide.has(inner.value))}
    names = {_field(key) for key, _ in entries(value)}
    return bool(fields & TYPE_FIELDS) and not names & ENTITY_FIELDS


def _all_labels(value: Group, guide: Guide) -> bool:
    inner = texts(value)
    return bool(inner) and len(inner) == len(value.items) and all(guide.label(text.value) for text in inner)


def _kinds(value: Group) -> list[Text]:
    kinds = [child for key, child in entries(value) if _field(key) in TYPE_FIELDS]
    return [text for kind in kinds for text in _flat(kind)] if kinds else texts(value)


def _string_entry(key: Text, value: Text, guide: Guide, label: Text | None, *, alone: bool) -> Iterator[Item]:
    """`{"Ann": "person"}` or `{"person": "Ann"}`: the label set decides which, or the passage if there is no set."""
    name = _field(key)
    swapped = guide.label(key.value) and guide.has(value.value) and not guide.has(key.value)
    if not value.value:
        if not guide.heading(key.value) and name not in ASIDE | _FIELDS | CONTAINERS:
            yield Item(key if guide.has(key.value) else value, label, "untyped")
    elif guide.label(value.value) and not swapped:
        if guide.has(key.value) or name not in _FIELDS:
            yield Item(key, value)
    elif guide.heading(key.value):
        values = split_values(value.value, value.start, guide)
        several = len(values) > 1 and all(guide.has(one.value) for one in values)
        yield from (Item(one, _named(key, guide), "sides") for one in (values if several else [value]))
    else:
        yield from _foreign_entry(key, value, guide, label, alone=alone)


def _foreign_entry(key: Text, value: Text, guide: Guide, label: Text | None, *, alone: bool) -> Iterator[Item]:
    """The same if neither side is a label of the set."""
    name = _field(key)
    if guide.has(key.value) and not guide.has(value.value):
        if not _is_number(value) or not guide.names:
            yield Item(key, value)
        elif guide.subject:
            yield Item(key, label)
    elif name in ASIDE or (name in _FIELDS | CONTAINERS and not guide.has(key.value)):
        if name in ENTITY_FIELDS | CONTAINERS and (label is not None or guide.subject):
            yield Item(value, label)
    elif _is_swapped(key, value, guide):
        yield Item(value, key, "sides")
    else:
        yield Item(key, value, "" if alone and guide.names else "unclear")


def _is_swapped(key: Text, value: Text, guide: Guide) -> bool:
    """Whether only the second of two strings is in the passage, regardless of the case of the first."""
    return len(value.value) > 1 and guide.has(value.value) and key.value.casefold() not in guide.folded_text


def _is_either(key: Text, guide: Guide) -> bool:
    numbered = any(map(str.isdigit, key.value))
    return _field(key) in _FIELDS and not numbered and guide.heading(key.value) is not None


def _named(key: Text, guide: Guide) -> Text:
    """A key as the label that it means; plurals count, too."""
    return Text(guide.heading(key.value) or key.value, key.start, key.end)


def _field(key: Text) -> str:
    return field_name(key.value)


def _is_number(item: Text) -> bool:
    return not item.quoted and _NUMBER.fullmatch(item.value) is not None
