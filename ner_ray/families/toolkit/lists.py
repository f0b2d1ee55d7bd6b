"""A tolerant reader of the lists that models write: JSON, Python, and what is left of them.

Reads any string, never evaluates anything, and says whether the list was well-formed and whether it was cut
off. It reads single and typographic quotes, unquoted items, quotes that were not escaped, missing commas,
full-width punctuation, code fences, prose around the list, bullets instead of a list.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

_QUOTES = {'"': '"', "'": "'", "“": "”", "‘": "’", "`": "`", "「": "」"}
_CLOSERS = {"[": "]", "{": "}", "(": ")"}
_WIDE = str.maketrans("，、：；【】（）｛｝", ",,:,[](){}")
_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_BARE = re.compile(r"[^\[\]{}(),:，、：；【】（）｛｝\"“”\n]+")
_START = re.compile(r"[\[【]\s*[\]】\[{(\"'“‘`「]|[{｛]\s*[}｝\"'“‘]")
_BULLET = re.compile(r"^[ \t]*(?:[-*•·]|\d{1,3}[.)、])[ \t]+(?P<item>\S.*?)[ \t]*$", re.MULTILINE)
_NOTHING = re.compile(r"(?:none|null|nil|n/?a|no entit(?:y|ies)\b.*|无|没有.*|空)?[.。!]?", re.IGNORECASE)
_EMPTY_WORDS = frozenset({"none", "null", "true", "false", "..."})
_FIELD = re.compile(r"[\s_\d]+")
_ENTITY_FIELDS = frozenset({"entity", "text", "name", "mention", "span", "surface", "word", "实体", "实体名称"})
_TYPE_FIELDS = frozenset(
    {"type", "label", "category", "class", "entitytype", "typeofentity", "entitylabel", "类别", "类型"}
    | {"实体类别", "实体类型", "实体的类别", "标签"}
)
# Deeper nesting than this is no answer to any of our prompts; what is deeper is skipped.
_MAX_DEPTH = 32


@dataclass(frozen=True, slots=True)
class Text:
    """A string of the list; `answer[start:end]` is where it stands, with its quotes."""

    value: str
    start: int
    end: int


@dataclass(slots=True)
class Group:
    """Brackets and what is in them: texts (blank for `null`), groups, `":"` between the sides of a pair."""

    bracket: str
    items: list[Text | Group | str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Listed:
    """What a list says.

    Attributes:
        root: its content, or None where the answer holds no list.
        odd: it had to be repaired, or something else stood around it.
        cut: its end is missing.
    """

    root: Group | None
    odd: bool = False
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Pair:
    """An entity and its type."""

    entity: Text
    label: Text


def read_list(answer: str) -> Listed:
    """The first list in `answer`; an answer that says in words that there is nothing is an empty one."""
    if _NOTHING.fullmatch(answer.strip()) and answer.strip():
        return Listed(Group("["), odd=True)
    start = _start(answer)
    if start is None:
        bullets = [_bullet(match) for match in _BULLET.finditer(answer)]
        return Listed(Group("[", list(bullets)), odd=True) if bullets else Listed(None)
    scanner = _Scanner(answer, start)
    root, end = scanner.scan()
    around = answer[:start].strip() or (not scanner.cut and answer[end:].strip())
    return Listed(root, odd=scanner.odd or bool(around), cut=scanner.cut)


def strings(group: Group) -> list[Text]:
    """The strings of a list of strings that are not blank; of pairs in it the first, of dictionaries the keys."""
    return [text for text in _strings(group) if text.value]


def _strings(group: Group) -> list[Text]:
    found: list[Text] = []
    for item in group.items:
        if isinstance(item, Text):
            found.append(item)
        elif isinstance(item, Group):
            inner = _texts(item)
            keys = [key for key, _ in _entries(item)]
            found += keys or (inner[:1] if len(inner) == 2 else inner)
    return found


def is_plain(group: Group) -> bool:
    """Whether a list holds nothing but strings."""
    return all(isinstance(item, Text) for item in group.items)


def pairs(group: Group) -> list[Pair]:
    """The pairs of entity and type in a list of one-key dictionaries, tuples or records, or in a dictionary.

    A record is a dictionary whose keys say what its values are, such as `entity` and `type`. A type with a
    list of its entities, `{"person": ["Ann", "Bob"]}`, is read too.
    """
    return [pair for pair in _pairs(group) if pair.entity.value and pair.label.value]


def is_empty(group: Group) -> bool:
    """Whether there is no text in a group, nor in the groups within it."""
    return all(isinstance(item, Group) and is_empty(item) for item in group.items)


def _pairs(group: Group) -> list[Pair]:
    if group.bracket == "{":
        return _dictionary_pairs(group)
    inner = _texts(group)
    if group.bracket == "(" and len(inner) == len(group.items) == 2:
        return [Pair(*inner)]
    found: list[Pair] = []
    for item in group.items:
        if isinstance(item, Group):
            texts = _texts(item)
            if item.bracket != "{" and len(texts) == len(item.items) == 2:
                found.append(Pair(*texts))
            else:
                found += _pairs(item)
    return found


def _dictionary_pairs(group: Group) -> list[Pair]:
    entries = list(_entries(group))
    entity = [value for key, value in entries if _field(key) in _ENTITY_FIELDS and isinstance(value, Text)]
    label = [value for key, value in entries if _field(key) in _TYPE_FIELDS and isinstance(value, Text)]
    if entity and label:
        return [Pair(entity[0], label[0])]
    found: list[Pair] = []
    for key, value in entries:
        if isinstance(value, Text):
            found.append(Pair(key, value))
        elif isinstance(value, Group) and value.bracket == "[" and is_plain(value):
            found += [Pair(text, key) for text in _texts(value)]
        elif isinstance(value, Group):
            found += _pairs(value)
    return found


def _field(key: Text) -> str:
    return _FIELD.sub("", key.value).casefold()


def _texts(group: Group) -> list[Text]:
    return [item for item in group.items if isinstance(item, Text)]


def _entries(group: Group) -> Iterator[tuple[Text, Text | Group]]:
    """Key and value of every `key: value` in a group."""
    items = group.items
    for key, colon, value in zip(items, items[1:], items[2:], strict=False):
        if colon == ":" and isinstance(key, Text) and isinstance(value, Text | Group):
            yield key, value


def _start(answer: str) -> int | None:
    likely = _START.search(answer)
    if likely:
        return likely.start()
    found = [answer.find(bracket) for bracket in "[{【" if bracket in answer]
    return min(found) if found else None


def _bullet(match: re.Match[str]) -> Text:
    item = match["item"].rstrip(",;，；")
    quote = _QUOTES.get(item[:1])
    value = item[1:-1] if quote and len(item) > 2 and item.endswith(quote) else item
    return Text(value, match.start("item"), match.start("item") + len(item))


class _Scanner:
    """One pass over a list; keeps its own stack, so no depth can break it."""

    def __init__(self, answer: str, start: int) -> None:
        self.answer = answer
        self.at = start + 1
        self.root = Group(answer[start].translate(_WIDE))
        self.stack = [self.root]
        self.skipped = 0
        self.odd = answer[start] not in _CLOSERS
        self.cut = False

    def scan(self) -> tuple[Group, int]:
        """The group that begins at the start, and where it ends."""
        last = "["
        while self.stack and self.at < len(self.answer):
            char = self.answer[self.at]
            plain = char.translate(_WIDE)
            if char.isspace():
                self.at += 1
                continue
            self.odd |= plain != char
            if plain in ",:":
                self.at += 1
                if plain == ":":
                    self.stack[-1].items.append(":")
                last = plain
                continue
            if plain in "]})":
                self._close(plain, dangling=last == ",")
            else:
                self.odd |= last == "item"
                if plain in _CLOSERS:
                    self._open(plain)
                    last = plain
                    continue
                if not self._text(self.stack[-1]):
                    break
            last = "item"
        self.cut = bool(self.stack)
        return self.root, self.at

    def _open(self, bracket: str) -> None:
        self.at += 1
        if len(self.stack) >= _MAX_DEPTH:
            self.skipped += 1
            return
        group = Group(bracket)
        self.stack[-1].items.append(group)
        self.stack.append(group)

    def _close(self, bracket: str, *, dangling: bool) -> None:
        self.at += 1
        self.odd |= dangling or _CLOSERS[self.stack[-1].bracket] != bracket
        if self.skipped:
            self.skipped -= 1
        else:
            self.stack.pop()

    def _text(self, group: Group) -> bool:
        """Reads a string or a bare word into `group`; False where the answer ends within it."""
        start = self.at
        if self.answer[start] in _QUOTES:
            value = self._quoted(group.bracket)
        else:
            self.odd = True
            match = _BARE.match(self.answer, start)
            self.at = match.end() if match else start + 1
            if match is None:
                return True
            value = match[0].strip() if self.at < len(self.answer) else None
            if value is not None and value.casefold() in _EMPTY_WORDS:
                value = ""
        if value is None:
            return False
        group.items.append(Text(value.strip(), start, self.at))
        return True

    def _quoted(self, bracket: str) -> str | None:
        """The string that begins here; None where its end is missing."""
        quote = _QUOTES[self.answer[self.at]]
        self.odd |= quote != '"'
        begin = at = self.at + 1
        while at < len(self.answer):
            char = self.answer[at]
            if char == "\\":
                at += 2
            elif char == quote and self._ends_string(at, bracket):
                self.at = at + 1
                return _unescape(self.answer[begin:at])
            else:
                self.odd |= char == quote
                at += 1
        self.at = len(self.answer)
        return None

    def _ends_string(self, at: int, bracket: str) -> bool:
        """Whether a quote closes its string: a delimiter follows, the end, or after white space a quote."""
        rest = self.answer[at + 1 : at + 64]
        following = rest.lstrip()
        if not following:
            return True
        delimiters = ",]})" + (":" if bracket == "{" else "")
        return following[0].translate(_WIDE) in delimiters or (following[0] in _QUOTES and rest[0].isspace())


def _unescape(raw: str) -> str:
    if "\\" not in raw:
        return raw
    decoded = _ESCAPE.sub(lambda match: chr(int(match[1], 16)) if match[1] else _ESCAPES.get(match[2], match[2]), raw)
    # Pairs of surrogates become the character they encode; a lone one is no text.
    return decoded.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
