"""A reader of answers in lines: `mention (LABEL)`, `mention: LABEL`, `LABEL: a, b`, bullets, headings, tables.

The label set tells which side of a line is the label; without a label set, or for labels outside it, the passage does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from ner_ray.families.toolkit.guide import CONTAINERS, ENTITY_FIELDS, TYPE_FIELDS, Guide, Item, field_name
from ner_ray.families.toolkit.languages import may_deny
from ner_ray.families.toolkit.lists import Text, unquote
from ner_ray.families.toolkit.questions import affirms, behind_answer, introduces, is_question, question
from ner_ray.families.toolkit.statements import bare_tuples, clean, statements

_LINE = re.compile(r"[^\n]+")
_LEAD = re.compile(
    r"(?:\s|>|[-•·▪◦‣–—+](?=[\s*_`\"'“])|\*(?=\s)|#{1,6}(?=\s)|\(?\d{1,3}[.)、](?=\s|[^\d\s])|\[[ xX]\]\s)+"
)
# Lines of nothing but words, with a label behind them or without: what long answers consist of, read at little cost.
_PLAIN = re.compile(
    r"(?P<lead>[ \t]*(?:(?:[-*•]|\d{1,3}[.)])[ \t]+)?)(?P<words>[^\W_][\w'’]*+(?:[ -][^\W_][\w'’]*+)*+)"
    r"(?:: (?P<label>[^\W_][\w -]*)| \((?P<inner>[^\W_][\w -]*)\))?[ \t]*"
)
_FENCE = re.compile(r"\s*(?:```\w*|~~~\w*)\s*")
_PARENS = re.compile(r"(?P<head>[^\n]*?\S)\s*[(（\[](?P<inner>[^()（）\[\]]{1,200})[)）\]](?P<tail>[^()（）]*)")
_BRACKET = re.compile(r"[(（\[]")
_SEVERAL = re.compile(
    r"(?P<head>[^(),;，；（]+)\s*[(（\[](?P<inner>[^()（）\[\]]{1,80})[)）\]]\s*(?:[,;，；、.]|and\b|$)"
)
_SEPARATOR = re.compile(r"\s*(?:->|→|=>|⇒|:=|\|)\s*|\s*[:：]\s*|\s+[-–—=~]\s+|\t+|,\s*(?=[^,]{1,40}$)")
_PARTS = re.compile(r"[^,，、;；]+")
_AND = re.compile(r"\s+(?:and|und|et|y|e|en|i|и|ve|och|og|ja|dan|و)\s+|\s*(?:和|及|と|및)\s*")
_AMPERSAND = re.compile(rf"{_AND.pattern}|\s+&\s+")
_FIELD = re.compile(
    r"(?:^|[,;|]\s{0,3})[*_`\"']{0,3}(?P<name>[^\W\d][\w -]{0,24}?)[*_`\"']{0,3}\s?[:：=][*_`]{0,3}\s?"
    r"(?P<value>(?:(?![,;|]\s{0,3}[*_`\"']{0,3}[^\W\d][\w -]{0,24}[*_`\"']{0,3}\s?[:：=]).){1,300})"
)
_TAGGED = re.compile(
    r"<(?P<name>\w[\w -]{0,40}?)(?:\s+\w+\s?=\s?[\"'](?P<kind>[^\"'<>]{1,60})[\"'])?[^<>]{0,80}>"
    r"(?P<text>[^<>]{1,300})</(?P=name)>"
)
_FIELDS = ENTITY_FIELDS | TYPE_FIELDS
_NOT_PLAIN = _FIELDS | CONTAINERS
_FIELD_TAG = re.compile(r"<(?P<name>\w{1,40})>(?P<value>[^<>\n]{1,300})</(?P=name)>")
_ANY_TAG = re.compile(r"</?\w{1,40}>")
_RULE = re.compile(r"[\s|:+-]+")
_PIECES = re.compile(r"[^;\s][^;]*")
_STATEMENTS = re.compile(r"[;；]\s|[:：]\s.*[;；,，]")
_SENTENCE = re.compile(r"[.!?。！？]\s")
_MARKUP = "*_`"
_TRIM = " \t\r,;，；、."
_MOST_SEPARATORS = 4
_MOST_WORDS = 20
_MOST_LABEL_WORDS = 4
_ASSIGNED = re.compile(r"\s?[:：=]")
_KEYWORD = re.compile(r"\w{1,20}\s?=\s?(?=[\"'])")
_LONGEST_HEADING = 80


@dataclass(frozen=True, slots=True)
class Lines:
    """The entities that lines name.

    Attributes:
        items: the entities, in order.
        denied: whether a line or a value says that there is nothing.
    """

    items: tuple[Item, ...]
    denied: bool = False


@dataclass(slots=True)
class _State:
    """What earlier lines mean for the current one: their heading, fields without a counterpart, and what they named."""

    heading: Text | None = None
    entity: Text | None = None
    label: Text | None = None
    asked: Item | None = None
    denied: bool = False
    named: dict[tuple[str, Text | None], tuple[int, list[Item]]] = field(default_factory=dict)


def read_lines(answer: str, guide: Guide, *, cut: bool = False) -> Lines:
    """The entities in an answer that consists of lines.

    Args:
        answer: an answer of any form.
        guide: the label set, the passage, and the label that was asked for.
        cut: whether the last line may be incomplete; it is then left out.
    """
    state = _State()
    found: list[Item] = []
    lines = list(_LINE.finditer(answer))
    if cut and lines and lines[-1].end() == len(answer):
        lines.pop()
    for match in lines:
        found += _read(match, guide, state)
    return Lines(tuple(found), state.denied)


def pair_in(value: str, guide: Guide) -> tuple[str, str] | None:
    """The entity and label in a string such as `Ann (person)` or `person: Ann`; None if it has no label of the set."""
    for item in _known_sides(value, 0, guide) if guide.may_name_a_label(value) else ():
        if item.label is not None:
            return item.entity.value, item.label.value
    return None


def split_values(text: str, start: int, guide: Guide) -> list[Text]:
    """The entities in `a, b and c`, which stays whole if the passage contains it as a whole.

    Args:
        text: the text after a label.
        start: its offset in the answer.
        guide: holds the passage.
    """
    whole = clean(text, start)
    if whole is None:
        return []
    if guide.has(whole.value):
        return [whole]
    parts = [part for match in _PARTS.finditer(text) if (part := clean(match[0], start + match.start()))]
    if len(parts) > 1 and any(guide.has(part.value) for part in parts):
        return [piece for part in parts for piece in _and(part, guide)]
    return _and(whole, guide)


def _and(part: Text, guide: Guide) -> list[Text]:
    if guide.has(part.value):
        return [part]
    bare = part.value.rstrip(".")
    if guide.has(bare):
        return [Text(bare, part.start, part.start + len(bare))]
    for conjunction in (_AND, _AMPERSAND):
        pieces = _pieces(part, conjunction)
        if len(pieces) > 1 and all(guide.has(piece.value) for piece in pieces):
            return pieces
    head = _PARENS.fullmatch(part.value)
    if head and guide.has(head["head"]):
        return [Text(head["head"], part.start, part.start + head.end("head"))]
    return [part]


def _pieces(part: Text, conjunction: re.Pattern[str]) -> list[Text]:
    pieces: list[Text] = []
    begin = 0
    for match in conjunction.finditer(part.value):
        pieces.append(Text(part.value[begin : match.start()], part.start + begin, part.start + match.start()))
        begin = match.end()
    pieces.append(Text(part.value[begin:], part.start + begin, part.end))
    return [piece for piece in pieces if piece.value]


def _read(match: re.Match[str], guide: Guide, state: _State) -> list[Item]:
    """The items of a line. Models that are caught in a loop repeat lines; under the same heading, one is read once."""
    key = match[0], state.heading
    complete = state.entity is None and state.label is None and state.asked is None
    if complete and key in state.named:
        start, named = state.named[key]
        return [_moved(item, match.start() - start, state.heading) for item in named]
    found = [] if not match[0].strip() or _FENCE.fullmatch(match[0]) else _whole_line(match, guide, state)
    if complete and (state.heading, state.entity, state.label, state.asked) == (key[1], None, None, None):
        state.named[key] = match.start(), found
    return found


def _whole_line(match: re.Match[str], guide: Guide, state: _State) -> list[Item]:
    line, start = match[0], match.start()
    plain = _PLAIN.fullmatch(line)
    if plain and (found := _plain_line(plain, start, guide, state)) is not None:
        return found
    asked = question(line, start, guide)
    if asked:
        state.asked, state.heading = asked.item, None if asked.item else asked.label
        return []
    begin = behind_answer(line, guide) if state.heading or state.asked or guide.subject else 0
    if begin and state.asked:
        return _answered(line[begin:], state)
    line = " " * begin + line[begin:]
    return _tagged(match, guide) or bare_tuples(line, start, guide) or _line(line, start, guide, state)


def _plain_line(match: re.Match[str], start: int, guide: Guide, state: _State) -> list[Item] | None:
    """The items of a line of words, as `_line` reads them; None if more than its form must be looked at."""
    words, begin = match["words"], start + match.start("words")
    label = match["label"] or match["inner"]
    if len(match[0]) > _LONGEST_HEADING or state.asked or guide.may_name_a_label(words):
        return None
    if label:
        labelled = label in guide.names and field_name(words) not in _NOT_PLAIN
        return _plainly_labelled(match, begin, guide) if labelled and not is_question(match[0]) else None
    if guide.has(words) or _AMPERSAND.search(words):
        return None
    if guide.is_nothing(words):
        state.denied = True
        return []
    is_item = bool(match["lead"].strip())
    if is_item and (state.heading or guide.subject):
        return [Item(Text(words, begin, begin + len(words)), state.heading)]
    if is_item:
        state.entity = None
    else:
        state.heading = None
    return []


def _plainly_labelled(match: re.Match[str], begin: int, guide: Guide) -> list[Item] | None:
    if may_deny(match["words"].casefold()) or guide.is_nothing(match["label"] or match["inner"]):
        return None
    words, part = match["words"], "label" if match["label"] else "inner"
    entity = Text(words, begin, begin + len(words)) if match["label"] else _named(words, begin, guide)
    shift = begin - match.start("words")
    return [Item(entity, Text(match[part], shift + match.start(part), shift + match.end(part)))] if entity else None


def _moved(item: Item, shift: int, heading: Text | None) -> Item:
    moved = item.moved(shift)
    return moved._replace(label=heading) if item.label is heading else moved


def _line(line: str, start: int, guide: Guide, state: _State) -> list[Item]:
    if line.count("|") > 1:
        found = _row(_cells(line) if "<|>" in line else line, start, guide)
        state.denied |= any(not item.entity.value for item in found)
        return [item for item in found if item.entity.value]
    line = _with_fields(line) if "</" in line else line
    lead = _LEAD.match(line)
    begin = lead.end() if lead else 0
    body = line[begin:].rstrip()
    is_item = bool(lead and lead[0].strip(" >#\t")) and not line.lstrip().startswith("#")
    if ":" in body or "：" in body or "=" in body:
        fields = _fields(body, start + begin, guide, state)
        if fields is not None:
            return fields
    written = _heading(body, guide, is_item=is_item)
    if written is not None:
        state.heading = Text(written, start + begin, start + begin + len(body))
        return []
    if guide.is_nothing(body.strip(_MARKUP)) or _denies(body, guide):
        state.denied = True
        return []
    found = _stated(body, start + begin, guide) if guide.may_name_a_label(body) else []
    found = found or list(_unknown_sides(body, start + begin, guide, state))
    if not found and (state.heading is not None or guide.subject):
        found = _under_heading(body, start + begin, guide, state, is_item=is_item)
    state.denied |= any(not item.entity.value for item in found)
    if not found and is_item and state.heading is None:
        state.entity = _alone(body, start + begin, guide)
    if not found and state.heading is not None and not is_item:
        state.heading = None
    return [item for item in found if item.entity.value]


def _answered(line: str, state: _State) -> list[Item]:
    """The entity about which a question asks, if the answer is yes."""
    asked, state.asked = state.asked, None
    state.denied |= not affirms(line)
    return [asked] if asked and affirms(line) else []


def _with_fields(line: str) -> str:
    """A line of the same length in which tags named like fields are fields."""
    fields = _FIELD_TAG.sub(_as_field, line)
    return fields if fields == line else _ANY_TAG.sub(lambda tag: " " * len(tag[0]), fields)


def _as_field(match: re.Match[str]) -> str:
    """`<text>Ann</text>` as ` text:Ann      ,`, of the same length."""
    if field_name(match["name"]) not in _FIELDS:
        return match[0]
    return f" {match['name']}:{match['value']}".ljust(len(match[0]) - 1) + ","


def _labelled(value: Text, guide: Guide) -> list[Item]:
    """The entity and its label in the value of a field: `Entity 1: Ann (person)`."""
    return [] if guide.has(value.value) else _stated(value.value, value.start, guide)


def _alone(body: str, start: int, guide: Guide) -> Text | None:
    """The entity that a bullet consists of; its fields follow."""
    entity = clean(body, start)
    return entity if entity and guide.has(entity.value) else None


def _stated(body: str, start: int, guide: Guide) -> list[Item]:
    """The entities with the labels of the set that a line gives them; of two readings, the one with more entities."""
    found = list(_known_sides(body, start, guide))
    here = sum(guide.has(item.entity.value) for item in found)
    if found and guide.labels_in(body) <= len(found):
        return found
    others = statements(body, start, guide)
    return others if len(others) > here else found


def _cells(line: str) -> str:
    """A tuple in GraphRAG's notation as a table row of the same length."""
    return line.replace("<|COMPLETE|>", " " * 12).replace("<|>", " | ")


def _tagged(match: re.Match[str], guide: Guide) -> list[Item]:
    """Entities in tags, `<person>Ann</person>` or `<entity type="person">Ann</entity>`."""
    found = []
    for tag in _TAGGED.finditer(match[0]) if "</" in match[0] else ():
        written = next((text for text in (tag["kind"], tag["name"]) if text and guide.label(text)), "")
        entity = clean(tag["text"], match.start() + tag.start("text"))
        if entity and (written or (guide.subject and guide.has(entity.value))):
            label = Text(written or guide.subject, match.start() + tag.start(), match.start() + tag.end("name"))
            found.append(Item(entity, label))
    return found


def _fields(body: str, start: int, guide: Guide, state: _State) -> list[Item] | None:
    """The entity that a line such as `Type: person` completes, in answers with one field per line.

    None if the line contains no fields.
    """
    found: list[Item] = []
    named = False
    for piece in _FIELD.finditer(body):
        name = field_name(piece["name"])
        if name not in _FIELDS | CONTAINERS or guide.heading(piece["name"]) or guide.has(piece["name"]):
            continue
        value = clean(piece["value"], start + piece.start("value"))
        if value is None:
            continue
        if name in TYPE_FIELDS and (guide.label(value.value) or not guide.names):
            state.label, named = value, True
            state.heading = state.heading if state.entity else Text(value.value, value.start, value.end)
        elif name in CONTAINERS and state.label and state.entity is None:
            found += [Item(one, state.label) for one in split_values(value.value, value.start, guide)]
            state.label, named = None, True
        elif (
            name in ENTITY_FIELDS and not guide.has(value.value) and (pair := _stated(value.value, value.start, guide))
        ):
            found, named = [*found, *pair], True
        elif name in ENTITY_FIELDS and not guide.is_nothing(value.value) and not guide.label(value.value):
            state.entity, named = value, True
        if named and state.entity and (state.label or guide.subject):
            found.append(Item(state.entity, state.label))
            state.entity = state.label = None
    return found if named else None


def _heading(body: str, guide: Guide, *, is_item: bool) -> str | None:
    """The label that applies to the next lines, if the line is nothing but a label."""
    title = body.strip("*_`# \t")
    announced = title.endswith((":", "：")) or (is_item and guide.label(title) is not None and not guide.has(title))
    if len(title) > _LONGEST_HEADING or title[:1] in ":：'\"" or (is_item and not announced and body[:2] != "**"):
        return None
    return guide.heading(title.rstrip(":： ")) if announced or not guide.has(title) else None


def _denies(body: str, guide: Guide) -> bool:
    """Whether a line such as `Entities: none` says that there is nothing."""
    left, _, right = body.partition(":") if ":" in body else body.partition("：")
    return (
        bool(right)
        and len(body) < 80
        and not guide.heading(_bare(left))
        and guide.is_nothing(right.strip(_MARKUP + _TRIM))
    )


def _under_heading(body: str, start: int, guide: Guide, state: _State, *, is_item: bool) -> list[Item]:
    """The entities in a line without a label: they have the label of the heading, or the one that was asked for."""
    values = split_values(body, start, guide)
    here = [value for value in values if guide.has(value.value)]
    if here and len(here) == len(values):
        return [Item(value, state.heading) for value in values]
    if not is_item:
        return []
    first = _before_comment(body, start, guide)
    return [Item(first, state.heading)] if first else [Item(value, state.heading) for value in values]


def _before_comment(body: str, start: int, guide: Guide) -> Text | None:
    """The entity in `Ann: the heroine`, `Ann - a name`, `**Ann**, who ...`."""
    for match in _SEPARATOR.finditer(body):
        head = clean(body[: match.start()], start)
        if head and guide.has(head.value):
            return head
    return None


def _known_sides(body: str, start: int, guide: Guide) -> Iterator[Item]:
    """The entities in a line that contains a label of the set; a label without an entity yields a blank one."""
    segments = _segments(body, guide)
    if segments:
        for label, begin, end in segments:
            yield from _valued(Text(label, start + begin, start + begin), body[begin:end], start + begin, guide)
        return
    several = list(_SEVERAL.finditer(body)) if _BRACKET.search(body) else []
    behind = [match for match in several if guide.label(match["inner"])]
    before = [match for match in several if guide.heading(_bare(match["head"]))]
    if len(behind) > 1:
        yield from (item for match in behind if (item := _parenthesised(match, start, guide)))
        return
    if len(before) > 1:
        for match in before:
            yield from _valued(_label(match["head"], start, guide), match["inner"], start + match.start("inner"), guide)
        return
    parens = _PARENS.match(body) if _BRACKET.search(body) else None
    if parens and guide.label(parens["inner"]) and not guide.has(body.rstrip(_TRIM)):
        item = _parenthesised(parens, start, guide)
        if item and not guide.label(item.entity.value.rstrip(":")):
            yield item
            return
    left, _, name = parens["head"].rpartition(":") if parens and not parens["tail"].strip(_TRIM) else ("", "", "")
    if parens and guide.heading(_bare(name)) and not guide.has(_bare(left)):
        yield from _valued(_label(name, start, guide), parens["inner"], start + parens.start("inner"), guide)
        return
    yield from _separated(body, start, guide)


def _segments(body: str, guide: Guide) -> list[tuple[str, int, int]]:
    """Each label of a line with several, and start and end of what follows it: `PER: Ann; LOC: Paris`."""
    found: list[tuple[str, int, int]] = []
    signs = _some(_ASSIGNED.finditer(body))
    for match in signs if len(signs) > 1 else ():
        before = body[max(0, match.start() - _LONGEST_HEADING) : match.start()]
        words = list(re.finditer(r"\S+", before))[-_MOST_LABEL_WORDS:]
        for word in words:
            label = guide.heading(before[word.start() :])
            if label and not guide.has(before[word.start() :] + match[0]):
                found.append((label, match.start() - len(before) + word.start(), match.end()))
                break
    if len(found) < 2:
        return []
    ends = [*(entry[1] for entry in found[1:]), len(body)]
    return [(label, begin, end) for (label, _, begin), end in zip(found, ends, strict=True)]


def _parenthesised(match: re.Match[str], start: int, guide: Guide) -> Item | None:
    entity = _named(match["head"], start + match.start("head"), guide)
    label = Text(match["inner"].strip(), start + match.start("inner"), start + match.end("inner"))
    return Item(entity, label) if entity else None


def _label(written: str, start: int, guide: Guide) -> Text:
    return Text(guide.heading(_bare(written)) or written, start, start + len(written))


def _bare(text: str) -> str:
    return unquote(text.strip(_MARKUP + _TRIM))


def _separated(body: str, start: int, guide: Guide) -> Iterator[Item]:
    separators = list(_some(_SEPARATOR.finditer(body)))
    for match in reversed(separators):
        left = body[: match.start()].strip(_MARKUP + " ")
        if match[0].strip() != "," and guide.heading(unquote(left)):
            named = Text(guide.heading(unquote(left)) or left, start, start + match.start())
            yield from _valued(named, body[match.end() :], start + match.end(), guide)
            return
    for match in separators:
        right = body[match.end() :].strip(_MARKUP + _TRIM)
        label = right if guide.label(unquote(right)) else re.split(r"\s*[(（,，;；–—]|\s-\s|\.\s", right, maxsplit=1)[0]
        entity = clean(body[: match.start()], start)
        if entity and guide.label(unquote(label.strip(_MARKUP))):
            yield Item(entity, Text(unquote(label.strip(_MARKUP)), start + match.end(), start + len(body)))
            return


def _valued(label: Text, values: str, start: int, guide: Guide) -> Iterator[Item]:
    if guide.is_nothing(values.strip(_MARKUP + _TRIM)):
        yield Item(Text("", start, start), label)
        return
    keyword = _KEYWORD.match(values)
    if keyword:
        values, start = values[keyword.end() :], start + keyword.end()
    for value in split_values(values, start, guide):
        yield Item(value if not guide.is_nothing(value.value) else Text("", start, start), label)


def _unknown_sides(body: str, start: int, guide: Guide, state: _State) -> Iterator[Item]:
    """The entities in a line with a label outside the set, or in any line if there is no set."""
    if guide.subject or len(body) > 400 or (state.heading is not None and guide.names):
        return
    pieces = list(_PIECES.finditer(body)) if ";" in body and not guide.names else ()
    found = [list(_one_statement(piece[0], start + piece.start(), guide)) for piece in pieces]
    if len(pieces) > 1 and all(found):
        yield from (item for items in found for item in items)
    else:
        yield from _one_statement(body, start, guide)


def _one_statement(body: str, start: int, guide: Guide) -> Iterator[Item]:
    brackets = _SEVERAL.finditer(body) if _BRACKET.search(body) else ()
    several = [match for match in brackets if guide.has(match["head"].strip(_MARKUP + " "))]
    parens = (
        [several[0]] if len(several) == 1 and several[0].end() == len(body) else several if len(several) > 1 else []
    )
    if parens and all(_is_label(match["inner"]) for match in parens):
        for match in parens:
            entity = clean(match["head"], start + match.start("head"))
            if entity:
                yield Item(entity, Text(match["inner"], start + match.start("inner"), start + match.end("inner")))
        return
    for match in _some(_SEPARATOR.finditer(body)):
        if match[0].strip() == ",":
            continue
        left, right = clean(body[: match.start()], start), clean(body[match.end() :], start + match.end())
        if left is None or right is None or introduces(left.value):
            continue
        if guide.has(left.value) and _is_label(right.value):
            yield Item(left, right, "unclear" if guide.has(right.value) and not guide.names else "")
            return
        values = split_values(body[match.end() :], start + match.end(), guide)
        if not guide.names and _is_label(left.value) and all(guide.has(value.value) for value in values):
            yield from (Item(value, left) for value in values)
            return


def _named(head: str, start: int, guide: Guide) -> Text | None:
    """The entity in the text before a label: all of that text, unless only its end occurs in the passage."""
    whole = clean(head, start)
    if whole is None or guide.has(whole.value):
        return whole
    for match in list(re.finditer(r"(?<=\s)\S", head))[:_MOST_WORDS]:
        rest = clean(head[match.start() :], start + match.start())
        if rest and guide.has(rest.value):
            return rest
    return whole


def _row(line: str, start: int, guide: Guide) -> list[Item]:
    """A row of a Markdown table: an entity and its label, in any two cells."""
    if _RULE.fullmatch(line):
        return []
    cells: list[Text] = []
    lead = _LEAD.match(line)
    begin = line.find("|") + 1 if line.lstrip().startswith("|") else lead.end() if lead else 0
    while (end := line.find("|", begin)) >= 0 or line[begin:].strip():
        end = len(line) if end < 0 else end
        if cell := clean(line[begin:end], start + begin):
            cells.append(cell)
        begin = end + 1
    labels = [cell for cell in cells if guide.label(cell.value)]
    here = [cell for cell in cells if guide.has(cell.value) and cell not in labels[:1]]
    if any(guide.is_nothing(cell.value.strip("=")) or cell.value in {"False", "false"} for cell in cells[1:3]):
        return [Item(Text("", start, start))]
    if labels and (here or len(cells) == 2):
        entity = here[0] if here else next((cell for cell in cells if cell is not labels[0]), None)
        return [Item(one, labels[0]) for one in split_values(entity.value, entity.start, guide)] if entity else []
    if not here:
        return []
    others = [cell for cell in cells if cell is not here[0] and _is_label(cell.value)]
    return [Item(here[0], None if guide.subject else others[0])] if others or guide.subject else []


def _some(matches: Iterator[re.Match[str]]) -> Sequence[re.Match[str]]:
    """The first few and the last few matches, so that a line full of separators costs no more than any other."""
    found = list(matches)
    return found if len(found) <= 2 * _MOST_SEPARATORS else [*found[:_MOST_SEPARATORS], *found[-_MOST_SEPARATORS:]]


def _is_label(text: str) -> bool:
    return (
        len(text) <= 40
        and len(text.split()) <= 4
        and not _SENTENCE.search(text + " ")
        and not _STATEMENTS.search(text)
        and any(map(str.isalpha, text))
    )
