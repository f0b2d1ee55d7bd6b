"""Labels and entities that no separator tells apart: `[PER] Ann`, `Ann/person`, several in one line.

Tried where nothing else reads a line. An entity must occur in the passage, and a label must be one of the set.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice

from ner_ray.families.toolkit.guide import ENTITY_FIELDS, TYPE_FIELDS, Guide, Item, field_name
from ner_ray.families.toolkit.lists import Text, unquote

_EDGES = " \t\r,;，；、*`"
_LABEL = r"(?P<label>[^\[\]<>(){}|\n]{1,60}?)"
_ENTITY = r"(?P<entity>[^\n]{1,200}?)"
_ONE = tuple(
    re.compile(pattern)
    for pattern in (
        rf"[\[<(]{_LABEL}[\]>)]\s*:?\s*{_ENTITY}",
        rf"{_ENTITY}\s*<{_LABEL}>",
        rf"[TR]\d{{1,6}}\s{_LABEL}\s\d+\s\d+(?:;\d+\s\d+){{0,9}}\s{_ENTITY}",
    )
)
_WEAK = re.compile(r"\s*(?:[;/=|:：]|--|->|=>)\s*|\s+")
# `[Ann](PER) met [Bo](PER)`, `[Ann | PER]`, `{Ann: PER}, {Bo: PER}`, `Ann(B-PER) Lee(I-PER) left(O)`
_MARKED = re.compile(
    r"[\[{(](?P<entity>[^\[\](){}|:;\n]{1,200})(?:[\]}]\s?\((?P<behind>[^()\n]{1,60})\)|\s*[|:;]\s*(?P<inside>[^\[\](){}\n]{1,60})[\]})])"
    r"|(?P<word>[^\s()]{1,100})\((?P<tag>[BILUES]-[^()\n]{1,60})\)"
)
# `[Ann | PER], [PER: Bo]`, `(Ann, PER) (Bo, PER)`: tuples without quotes, and what may stand between them.
_BARE_TUPLE = re.compile(r"[\[({<](?P<inside>[^\[\](){}<>\n]{3,400})[\])}>]")
_BETWEEN_PARTS = re.compile(r"\s*(?:\||->|=>|::|[,;:，；：])\s*|\s[-–—]\s")
_BESIDE_TUPLES = re.compile(r"[\s,;.，；。、*•·\d)\[\](){}-]*(?:(?:and|und|et|y|e|和)[\s,]*)?")
_SPLITS = (re.compile(r"[;；]\s*"), re.compile(r"[,，、]\s*"), re.compile(r"[.。]\s+"))
_ATTRIBUTES = re.compile(
    r"<\w[\w-]{0,40}(?P<attributes>(?:\s+\w{1,40}\s?=\s?(?:\"[^\"<>]{0,200}\"|'[^'<>]{0,200}')){2,9})\s*/?>"
)
_ATTRIBUTE = re.compile(r"(?P<name>\w+)\s?=\s?(?P<quote>[\"'])(?P<value>[^<>]*?)(?P=quote)")
_LONGEST = 4000
_MOST_SPLITS = 12


def statements(body: str, start: int, guide: Guide) -> list[Item]:
    """The entities in a line that contains labels of the set.

    Args:
        body: the line without its bullet.
        start: its offset in the answer.
        guide: the label set and the passage.
    """
    if len(body) > _LONGEST:
        return []
    found = list(_attributes(body, start, guide)) or list(_marked(body, start, guide))
    return found or _several(body, start, guide) or _one(body, start, guide)


def bare_tuples(line: str, start: int, guide: Guide) -> list[Item]:
    """The entities in a line that consists of tuples without quotes, such as `[Ann | person], [Bo | person]`.

    Without a label set, the passage must contain the first part of every tuple and no second part.
    """
    found: list[Item] = []
    at = 0
    if len(line) > _LONGEST or not set(line) & set("[({<"):
        return found
    for match in _BARE_TUPLE.finditer(line):
        item = _in_tuple(match, start, guide)
        if item is None or not _BESIDE_TUPLES.fullmatch(line, at, match.start()):
            return []
        found.append(item)
        at = match.end()
    return found if _BESIDE_TUPLES.fullmatch(line, at) else []


def _in_tuple(match: re.Match[str], start: int, guide: Guide) -> Item | None:
    inside, begin = match["inside"], start + match.start("inside")
    for between in islice(_BETWEEN_PARTS.finditer(inside), _MOST_SPLITS):
        first, second = clean(inside[: between.start()], begin), clean(inside[between.end() :], begin + between.end())
        if not first or not second:
            continue
        if guide.has(first.value) and not guide.has(second.value) and (guide.label(second.value) or not guide.names):
            return Item(first, second)
        if guide.label(first.value) and guide.has(second.value) and not guide.has(first.value):
            return Item(second, first, "sides")
    return None


def clean(text: str, start: int) -> Text | None:
    """A side of a line without Markdown, quotes, separators, and brackets that stand alone."""
    bare, at = _cleaned(text)
    return Text(bare, start + at, start + at + len(bare)) if bare else None


@lru_cache(4096)
def _cleaned(text: str) -> tuple[str, int]:
    bare = text.strip(" \t\r")
    for _ in range(2):
        bare = bare.strip(_EDGES)
        if len(bare) > 2 and bare[0] == bare[-1] == "_":
            bare = bare[1:-1]
        bare = unquote(bare)
        bare = bare[:-1] if bare.endswith(")") and "(" not in bare else bare
    bare = bare.strip()
    return bare, text.find(bare)


def _attributes(body: str, start: int, guide: Guide) -> Iterator[Item]:
    """`<entity type="person" text="Ann"/>`."""
    for tag in _ATTRIBUTES.finditer(body):
        begin = start + tag.start("attributes")
        named = {field_name(one["name"]): one for one in _ATTRIBUTE.finditer(tag["attributes"])}
        kind = next((one for name, one in named.items() if name in TYPE_FIELDS and guide.label(one["value"])), None)
        entity = next((one for name, one in named.items() if name in ENTITY_FIELDS and guide.has(one["value"])), None)
        if kind and entity:
            yield Item(_text(entity, "value", begin), _text(kind, "value", begin))


def _marked(body: str, start: int, guide: Guide) -> Iterator[Item]:
    for match in _MARKED.finditer(body):
        part, label = ("word", "tag") if match["word"] else ("entity", "behind" if match["behind"] else "inside")
        if guide.label(match[label].strip()) and guide.has(match[part].strip()):
            yield Item(_text(match, part, start), _text(match, label, start))


def _several(body: str, start: int, guide: Guide) -> list[Item]:
    """`Ann => person; Bo => person`: a statement in each part of a line."""
    for split in _SPLITS:
        begins = [0, *(match.end() for match in split.finditer(body))]
        ends = [*(match.start() for match in split.finditer(body)), len(body)]
        parts = [(begin, end) for begin, end in zip(begins, ends, strict=True) if body[begin:end].strip()]
        if len(parts) > 1:
            found = [_one(body[begin:end], start + begin, guide) for begin, end in parts]
            if all(found):
                return [item for items in found for item in items]
    return []


def _one(body: str, start: int, guide: Guide) -> list[Item]:
    bare = body.rstrip(" .。\t*`_")
    if guide.is_abbreviated(bare):
        bare += "."
    for form in _ONE:
        match = form.fullmatch(bare)
        if match and (item := _item(match, start, guide)):
            return [item]
    return _weak(bare, start, guide)


def _weak(body: str, start: int, guide: Guide) -> list[Item]:
    for match in islice(_WEAK.finditer(body), _MOST_SPLITS):
        left, right = clean(body[: match.start()], start), clean(body[match.end() :], start + match.end())
        if left and right and guide.has(left.value) and guide.label(right.value) and not guide.has(right.value):
            return [Item(left, right)]
        if left and right and match[0].strip() and guide.label(left.value) and guide.has(right.value):
            return [Item(right, left, "sides")]
    return []


def _item(match: re.Match[str], start: int, guide: Guide) -> Item | None:
    entity = clean(match["entity"], start + match.start("entity"))
    label = clean(match["label"], start + match.start("label"))
    known = label and guide.label(label.value)
    return Item(entity, label) if entity and known and guide.has(entity.value) else None


def _text(match: re.Match[str], part: str, start: int) -> Text:
    return Text(match[part].strip(), start + match.start(part), start + match.end(part))
