"""A tolerant reader of the brackets that models write: JSON, Python, and broken forms of both.

It reads any string in linear time, never evaluates anything, and reports whether something had to be repaired and
whether the end is missing. It accepts single and typographic quotes, unquoted items, unescaped quotes, missing commas,
and full-width punctuation. What the brackets mean is decided in `records`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

QUOTES = {'"': '"', "'": "'", "“": "”", "‘": "’", "`": "`", "「": "」", "„": "“", "«": "»"}
_CLOSERS = {"[": "]", "{": "}", "(": ")"}
_WIDE = str.maketrans("，、：；【】（）｛｝", ",,:,[](){}")
_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_BARE = re.compile(r"[^\[\]{}(),:，、：；【】（）｛｝\"“”\n]+")
# A bracket that begins a list: followed by another bracket, a quote, or the end of an empty list.
_START = re.compile(
    r"[\[【]\s*[\]】\[{(\"'“‘`「„]|[{｛]\s*(?:[}｝\"'“‘]|[^\W\d_]\w{0,24}\s?[:：])|\(\s?[\"'“]"
    r"|[\[【{｛]\s*(?i:null|none)\s*[\]】}｝]"
)
_EMPTY_WORDS = frozenset({"none", "null", "true", "false", "...", "nil", "nan"})
_LITERAL = re.compile(r"-?\d+(?:\.\d+)?|null|true|false")
_COMMENT = re.compile(r"//[^\n]*")
# No answer to our prompts is nested more deeply than this; anything deeper is skipped.
_MAX_DEPTH = 32


@dataclass(frozen=True, slots=True)
class Text:
    """A string in a list; `answer[start:end]` is its place, including its quotes. Blank for `null`."""

    value: str
    start: int
    end: int
    quoted: bool = True


@dataclass(slots=True)
class Group:
    """Brackets and their content: texts, groups, and `":"` between the two sides of an entry."""

    bracket: str
    items: list[Text | Group | str] = field(default_factory=list)
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Root:
    """An outermost list in an answer, at `answer[start:end]`.

    Attributes:
        group: its content.
        start: the offset of its opening bracket.
        end: the offset after its closing bracket.
        odd: whether something in it had to be repaired.
        cut: whether its end is missing.
        likely: whether it begins like a list; False for any other bracket, read only if there is no list.
    """

    group: Group
    start: int
    end: int
    odd: bool = False
    cut: bool = False
    likely: bool = True


def roots(answer: str) -> list[Root]:
    """The outermost lists of an answer, in order; they do not overlap.

    >>> [len(root.group.items) for root in roots('["a", "b"] and {"c": "d"}')]
    [2, 3]
    """
    found: list[Root] = []
    at = 0
    while (start := _start(answer, at)) is not None:
        root = _Scanner(answer, start).scan()
        found.append(root)
        at = root.end
    if not found and (start := _any_bracket(answer)) is not None:
        found.append(replace(_Scanner(answer, start).scan(), likely=False))
    return found


def texts(group: Group) -> list[Text]:
    """The strings directly in a group."""
    return [item for item in group.items if isinstance(item, Text)]


def groups(group: Group) -> list[Group]:
    """The groups directly in a group."""
    return [item for item in group.items if isinstance(item, Group)]


def entries(group: Group) -> Iterator[tuple[Text, Text | Group]]:
    """Key and value of every `key: value` in a group."""
    items = group.items
    for key, colon, value in zip(items, items[1:], items[2:], strict=False):
        if colon == ":" and isinstance(key, Text) and isinstance(value, Text | Group):
            yield key, value


def is_empty(group: Group) -> bool:
    """Whether neither a group nor the groups within it contain any text, apart from keys."""
    keys = {id(key) for key, _ in entries(group)}
    return all(
        item == ":"
        or id(item) in keys
        or (is_empty(item) if isinstance(item, Group) else not getattr(item, "value", ""))
        for item in group.items
    )


def unquote(text: str) -> str:
    """The text without the quotes around it, if there are any."""
    quote = QUOTES.get(text[:1])
    return text[1:-1].strip() if quote and len(text) > 2 and text.endswith((quote, text[0])) else text


def _start(answer: str, at: int) -> int | None:
    match = _START.search(answer, at)
    return match.start() if match else None


def _any_bracket(answer: str) -> int | None:
    return min((answer.find(bracket) for bracket in "[{【" if bracket in answer), default=None)


class _Scanner:
    """One pass over a list, with a stack of its own, so that no nesting depth can make it fail."""

    def __init__(self, answer: str, start: int) -> None:
        self.answer = answer
        self.start = start
        self.at = start + 1
        self.root = Group(answer[start].translate(_WIDE))
        self.stack = [self.root]
        self.skipped = 0
        self.odd = answer[start] not in _CLOSERS

    def scan(self) -> Root:
        """The group that begins at the start, and its extent."""
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
            elif plain in "]})":
                self._close(plain, dangling=last == ",")
                last = "item"
            elif plain in _CLOSERS:
                self.odd |= last == "item"
                self._open(plain)
                last = plain
            else:
                self.odd |= last == "item"
                if not self._text(self.stack[-1]):
                    break
                last = "item"
        for group in self.stack:
            group.cut = True
        return Root(self.root, self.start, self.at, self.odd, cut=bool(self.stack))

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
        """Reads a string or a bare word into `group`; False if the answer ends within it."""
        start = self.at
        if self.answer[start] in QUOTES:
            value = self._quoted(group.bracket)
            if value is None:
                return False
            group.items.append(Text(value.strip(), start, self.at))
            return True
        comment = _COMMENT.match(self.answer, start)
        if comment:
            self.odd = True
            self.at = comment.end()
            return True
        match = _BARE.match(self.answer, start)
        self.odd |= match is None or _LITERAL.fullmatch(match[0].strip()) is None
        self.at = match.end() if match else start + 1
        if match is None:
            return True
        if self.at >= len(self.answer):
            return False
        value = match[0].strip()
        kept = "" if value.casefold() in _EMPTY_WORDS else value
        group.items.append(Text(kept, start, self.at, quoted=False))
        return True

    def _quoted(self, bracket: str) -> str | None:
        """The string that begins here; None if its end is missing."""
        opening = self.answer[self.at]
        quote = QUOTES[opening]
        closers = quote + '”"' if opening == "„" else quote
        self.odd |= quote != '"'
        begin = at = self.at + 1
        while at < len(self.answer):
            char = self.answer[at]
            if char == "\\":
                at += 2
            elif char in closers and self._ends_string(at, bracket):
                self.at = at + 1
                return _unescape(self.answer[begin:at])
            else:
                self.odd |= char in closers
                at += 1
        self.at = len(self.answer)
        return None

    def _ends_string(self, at: int, bracket: str) -> bool:
        """Whether a quote closes its string: it is followed by a delimiter, the end, or white space and a quote."""
        rest = self.answer[at + 1 : at + 64]
        following = rest.lstrip()
        if not following:
            return True
        delimiters = ",]})" + (":" if bracket == "{" else "")
        return following[0].translate(_WIDE) in delimiters or (following[0] in QUOTES and rest[0].isspace())


def _unescape(raw: str) -> str:
    if "\\" not in raw:
        return raw
    decoded = _ESCAPE.sub(lambda match: chr(int(match[1], 16)) if match[1] else _ESCAPES.get(match[2], match[2]), raw)
    # Surrogate pairs become the character that they encode; a lone surrogate is not text.
    return decoded.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
