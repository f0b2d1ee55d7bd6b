"""A tolerant reader of the brackets that models write: JSON, Python, and broken forms of both.

It reads any string in linear time, never evaluates anything, and reports whether something had to be repaired and
whether the end is missing. It accepts single and typographic quotes, unquoted items, unescaped quotes, missing commas,
and full-width punctuation. What the brackets mean is decided in `records`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

QUOTES = {'"': '"', "'": "'", "“": "”", "‘": "’", "`": "`", "「": "」", "„": "“", "«": "»"}
_CLOSERS = {"[": "]", "{": "}", "(": ")"}
_SIGNS = frozenset("[]{}(),:")
_WIDE = str.maketrans("，、：；【】（）｛｝", ",,:,[](){}")
_WIDE_ENDS = "，、；】）｝"
_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_BARE = re.compile(r"[^\[\]{}(),:，、：；【】（）｛｝\"“”\n]+")
# A bracket that begins a list: followed by another bracket, a quote, or the end of an empty list.
_START = re.compile(
    r"[\[【]\s*[\]】\[{(\"'“‘`「„]|[{｛]\s*(?:[}｝\"'“‘]|[^\W\d_]\w{0,24}\s?[:：])|\(\s?[\"'“]"
    r"|(?<=\w)\(\s?[^\W\d]\w{0,40}\s?=\s?[\"'\[<]"
    r"|[\[【{｛]\s*(?i:null|none)\s*[\]】}｝]"
)
_EMPTY_WORDS = frozenset({"none", "null", "true", "false", "...", "nil", "nan", "undefined"})
# A string that holds a list: `"[{\"entity\": ...}]"`, as in the arguments of a tool.
_ENCODED = re.compile(r"\s*[\[{]\s*(?:[\"'\[{]|[\]}]\s*\Z)")
_ENCODES = re.compile(r"(?:\\[nrt]|\s)*[\[{]")
_LITERAL = re.compile(r"-?\d+(?:\.\d+)?|null|true|false")
# What nearly all lists consist of: signs, and strings of which nothing has to be repaired.
_PLAIN = re.compile(r'\s*(?:(?P<sign>[\[\]{}(),:])|"(?P<text>[^"\\]*)"(?=\s{0,60}(?:[,\]})]|(?P<key>:))))')
# The parts of `Entity(text='Ann', type=<Type.PERSON: 'person'>)`, which Python prints for records.
_ARGUMENT = re.compile(r"(?P<name>[^\W\d]\w{0,40})\s?=\s?(?:<[\w.]{1,80}:\s?)?(?=[\"'\[{(])")
_CALL = re.compile(r"[^\W\d]\w{0,40}\(\s?[^\W\d]\w{0,40}\s?=")
_MEMBER_END = re.compile(r"\s?>\s*(?=[,)])")
_COMMENT = re.compile(r"//[^\n]*|/\*(?:[^*]|\*(?!/)){0,500}\*/|#\s[^\n\[\]{}]*(?=\n)")
_BEGIN = 32  # characters by which a list is compared with earlier ones
# No answer to our prompts is nested more deeply than this; anything deeper is skipped.
_MAX_DEPTH = 12
_MOST_ENCODED = 2


class Text(NamedTuple):
    """A string in a list; `answer[start:end]` is its place, including its quotes. Blank for `null`."""

    value: str
    start: int
    end: int
    quoted: bool = True

    def moved(self, shift: int) -> Text:
        """The same string further behind."""
        return Text(self.value, self.start + shift, self.end + shift, self.quoted)


@dataclass(slots=True)
class Group:
    """Brackets and their content: texts, groups, and `":"` between the two sides of an entry."""

    bracket: str
    items: list[Text | Group | str] = field(default_factory=list)
    cut: bool = False


class Root(NamedTuple):
    """An outermost list in an answer, at `answer[start:end]`.

    Attributes:
        group: its content.
        start: the offset of its opening bracket.
        end: the offset after its closing bracket.
        odd: whether something in it had to be repaired.
        cut: whether its end is missing.
        likely: whether it begins like a list; False for any other bracket, read only if there is no list.
        shift: how far it stands behind the offsets in its group: a list that repeats another shares its group.
    """

    group: Group
    start: int
    end: int
    odd: bool = False
    cut: bool = False
    likely: bool = True
    shift: int = 0


def roots(answer: str) -> list[Root]:
    """The outermost lists of an answer, in order; they do not overlap.

    >>> [len(root.group.items) for root in roots('["a", "b"] and {"c": "d"}')]
    [2, 3]
    """
    found: list[Root] = []
    known: dict[str, Root] = {}
    at = 0
    while (start := _start(answer, at)) is not None:
        begin = answer[start : start + _BEGIN]
        root = known[begin] = _repeated(answer, start, known.get(begin)) or _Scanner(answer, start).scan()
        found.append(root)
        at = root.end
    if not found and (start := _any_bracket(answer)) is not None:
        found.append(_Scanner(answer, start).scan()._replace(likely=False))
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


def _repeated(answer: str, start: int, earlier: Root | None) -> Root | None:
    """A list that is the same as an earlier one, as in the answer of a model that is caught in a loop."""
    if earlier is None or not answer.startswith(answer[earlier.start : earlier.end], start):
        return None
    further = start - earlier.start
    return earlier._replace(start=start, end=earlier.end + further, shift=earlier.shift + further)


def _start(answer: str, at: int) -> int | None:
    match = _START.search(answer, at)
    return match.start() if match else None


def _any_bracket(answer: str) -> int | None:
    return min((answer.find(bracket) for bracket in "[{【" if bracket in answer), default=None)


class _Scanner:
    """One pass over a list, with a stack of its own, so that no nesting depth can make it fail."""

    def __init__(self, answer: str, start: int, *, encoded: int = 0) -> None:
        self.answer = answer
        self.encoded = encoded
        self.start = start
        self.at = start + 1
        self.root = Group(answer[start].translate(_WIDE))
        self.stack = [self.root]
        self.skipped = 0
        self.odd = answer[start] not in _CLOSERS

    def scan(self) -> Root:
        """The group that begins at the start, and its extent."""
        last = "["
        while self.stack and last:
            match = _PLAIN.match(self.answer, self.at)
            if match is None or (match["key"] and self.stack[-1].bracket != "{"):
                last = self._other(last)
            elif match["sign"]:
                self.at = match.end()
                last = match["sign"] if match["sign"] == "," else self._sign(match["sign"], last)
            else:
                self.odd |= last == "item"
                start, self.at = match.start("text") - 1, match.end("text") + 1
                self._append(match["text"], match["text"], start)
                last = "item"
        for group in self.stack:
            group.cut = True
        return Root(self.root, self.start, self.at, self.odd, cut=bool(self.stack))

    def _other(self, last: str) -> str:
        """Reads what is not as plain as `_PLAIN`, and returns what it was; empty if the answer ends within it."""
        while self.at < len(self.answer) and self.answer[self.at].isspace():
            self.at += 1
        if self.at >= len(self.answer):
            return ""
        char = self.answer[self.at]
        plain = char.translate(_WIDE)
        self.odd |= plain != char
        if plain in _SIGNS:
            self.at += 1
            return self._sign(plain, last)
        self.odd |= last == "item"
        return "item" if self._text(self.stack[-1]) else ""

    def _sign(self, sign: str, last: str) -> str:
        if sign in ",:":
            if sign == ":":
                self.stack[-1].items.append(":")
            return sign
        if sign in _CLOSERS:
            self.odd |= last == "item"
            self._open(sign)
            return sign
        self._close(sign, dangling=last == ",")
        return "item"

    def _open(self, bracket: str) -> None:
        if len(self.stack) >= _MAX_DEPTH:
            self.skipped += 1
            return
        group = Group(bracket)
        outer = self.stack[-1].items
        if bracket == "(" and outer and isinstance(outer[-1], Text) and _is_callee(self.answer, outer[-1], self.at):
            outer.pop()
        outer.append(group)
        self.stack.append(group)

    def _close(self, bracket: str, *, dangling: bool) -> None:
        self.odd |= dangling or _CLOSERS[self.stack[-1].bracket] != bracket
        if self.skipped:
            self.skipped -= 1
        else:
            self.stack.pop()

    def _text(self, group: Group) -> bool:
        """Reads a string or a bare word into `group`; False if the answer ends within it."""
        start = self.at
        if self.answer[start] in QUOTES:
            raw = self._quoted(group.bracket)
            if raw is not None:
                self._append(raw, _unescape(raw), start)
            elif encoded := _encoded(self.answer[start + 1 :], start + 1, self.encoded, cut=True):
                group.items.append(encoded)
            return raw is not None
        skipped = _COMMENT.match(self.answer, start) or _MEMBER_END.match(self.answer, start)
        if skipped:
            self.odd = True
            self.at = skipped.end()
            return True
        argument = _ARGUMENT.match(self.answer, start)
        if argument:
            group.items += [Text(argument["name"], start, argument.end("name"), quoted=False), ":"]
            self.at = argument.end()
            return True
        return self._bare(group)

    def _bare(self, group: Group) -> bool:
        start = self.at
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

    def _append(self, raw: str, value: str, start: int) -> None:
        """Appends a string, or the list that it holds."""
        encoded = _encoded(raw, start + 1, self.encoded) if value[:1] in "[{ \n" else None
        self.odd |= encoded is not None
        self.stack[-1].items.append(Text(value.strip(), start, self.at) if encoded is None else encoded)

    def _quoted(self, bracket: str) -> str | None:
        """The string that begins here, as written; None if its end is missing."""
        opening = self.answer[self.at]
        closers = QUOTES[opening] + ('”"' if opening == "„" else "")
        begin = self.at + 1
        match = _string(closers, bracket == "{").match(self.answer, begin)
        if match is None:
            self.at = len(self.answer)
            return None
        self.at = match.end()
        raw = self.answer[begin : self.at - 1]
        self.odd |= opening != '"' or any(closer in _ESCAPE.sub("", raw) for closer in closers)
        return raw


@lru_cache
def _string(closers: str, ends_at_colon: bool) -> re.Pattern[str]:
    """The rest of a string: a quote closes it if a delimiter, the end, or white space and a quote follows."""
    colon = ":：" if ends_at_colon else ""
    ends = rf"(?:\s{{0,62}}(?:[,\]}}){_WIDE_ENDS}{colon}]|>\s?[,)]|\Z)|\s{{63}}|\s{{1,62}}[{''.join(QUOTES)}])"
    return re.compile(rf"(?:[^\\{closers}]++|\\.|[{closers}](?!{ends}))*+[{closers}]", re.DOTALL)


def _is_callee(answer: str, text: Text, at: int) -> bool:
    """Whether a bare word is the name of a record: `Entity(text='Ann')`."""
    return not text.quoted and text.end == at - 1 and _CALL.match(answer, text.start) is not None


def _encoded(raw: str, begin: int, depth: int, *, cut: bool = False) -> Group | None:
    """The list that a string holds; None if it holds anything else.

    Args:
        raw: the string as written.
        begin: its offset in the answer.
        depth: how many strings it is in that hold lists themselves.
        cut: whether its end is missing.
    """
    if depth >= _MOST_ENCODED or not _ENCODES.match(raw):
        return None
    text, places = _decode(raw, begin)
    start = _ENCODED.match(text)
    if start is None or len(places) <= len(text):
        return None
    root = _Scanner(text, len(text) - len(text.lstrip()), encoded=depth + 1).scan()
    if root.cut != cut or text[root.end :].strip():
        return None
    _relocate(root.group, places)
    return root.group


def _decode(raw: str, begin: int) -> tuple[str, list[int]]:
    """A string without its escapes, and where each of its characters, and its end, is in the answer."""
    places: list[int] = []
    at = 0
    for match in _ESCAPE.finditer(raw):
        places += [*range(begin + at, begin + match.start()), begin + match.start()]
        at = match.end()
    return _unescape(raw), [*places, *range(begin + at, begin + len(raw) + 1)]


def _relocate(group: Group, places: Sequence[int]) -> None:
    for number, item in enumerate(group.items):
        if isinstance(item, Group):
            _relocate(item, places)
        elif isinstance(item, Text):
            group.items[number] = item._replace(start=places[item.start], end=places[item.end])


def _unescape(raw: str) -> str:
    if "\\" not in raw:
        return raw
    decoded = _ESCAPE.sub(lambda match: chr(int(match[1], 16)) if match[1] else _ESCAPES.get(match[2], match[2]), raw)
    # Surrogate pairs become the character that they encode; a lone surrogate is not text.
    return decoded.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
