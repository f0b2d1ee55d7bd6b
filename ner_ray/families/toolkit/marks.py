"""Entities marked in a copy of their text: `in ##New York## now`.

A text may contain `#` itself (`C#`, headings). Comparison with the source distinguishes marks from text: of a run of
`#`, as many belong to the text as the source has at that place.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

_MARK = "##"
_HASHES = re.compile("#+")


@dataclass(frozen=True, slots=True)
class Marked:
    """A marked span: `start:end` in the copy, `answer_start:answer_end` in the answer, within its marks."""

    start: int
    end: int
    answer_start: int
    answer_end: int


def mark(text: str, spans: Iterable[tuple[int, int]]) -> str:
    """`text` with marks around the spans, which must not overlap."""
    parts, last = [], 0
    for start, end in sorted(spans):
        parts += [text[last:start], _MARK, text[start:end], _MARK]
        last = end
    return "".join([*parts, text[last:]])


def delimitable(text: str, spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """The spans that can be recovered from their marks, without white space at their ends.

    Most can. If a `#` of the text touches a span, the marks may not show on which side of them that `#` belongs.
    """
    kept = [(start, end) for start, end in (trim(text, *span) for span in spans) if start < end]
    while kept:
        found = {(span.start, span.end) for span in unmark(mark(text, kept), text)[1]}
        if found.issuperset(kept):
            break
        kept = [span for span in kept if span in found]
    return kept


def unmark(answer: str, source: str) -> tuple[str, list[Marked], bool]:
    """The answer without its marks, the marked spans, and whether the marks were well-formed.

    The spans are in order and not empty, without white space at their ends; of nested marks, the outermost count.
    """
    runs = list(_runs(answer, source))
    copy, events = _strip(answer, runs)
    spans, clean = _pair(copy, events)
    return copy, _outermost(spans, copy), clean and all(not run.rest for run in runs)


@dataclass(frozen=True, slots=True)
class _Run:
    """A run of `#` in an answer: how many belong to the text, how many marks it has, and 1 if a `#` is left over."""

    start: int
    end: int
    own: int
    marks: int
    rest: int


@dataclass(frozen=True, slots=True)
class _Event:
    """Marks at one place of the copy, before `own` of the text's `#`, which may belong on either side of them."""

    copy: int
    own: int
    answer: int
    marks: int


def _runs(answer: str, source: str) -> Iterator[_Run]:
    own = _own_hashes(answer, source) if "#" in source else {}
    for number, match in enumerate(_HASHES.finditer(answer)):
        length = match.end() - match.start()
        mine = min(own.get(number, 0), length)
        marks, rest = divmod(length - mine, 2)
        if length == 1 and not mine:
            mine, rest = 1, 0
        yield _Run(match.start(), match.end(), mine, marks, rest)


def _own_hashes(answer: str, source: str) -> dict[int, int]:
    """The number of a run of `#` in the answer -> the length of the source's run at the same place.

    A place is a gap between characters other than `#`. Edit operations map the places in the answer to those in the
    source.
    """
    from rapidfuzz.distance import Indel

    in_source = dict(_gaps(source))
    place: dict[int, int] = {}
    for block in Indel.opcodes(_HASHES.sub("", answer), _HASHES.sub("", source)):
        if block.tag == "equal":
            length = block.src_end - block.src_start
            place.update((block.src_start + step, block.dest_start + step) for step in range(length + 1))
    if not place:
        place = {0: 0}
    return {number: in_source.get(place.get(gap, -1), 0) for number, (gap, _) in enumerate(_gaps(answer))}


def _gaps(text: str) -> Iterator[tuple[int, int]]:
    """For each run of `#`: the number of other characters before it, and its length."""
    hashes = 0
    for match in _HASHES.finditer(text):
        yield match.start() - hashes, match.end() - match.start()
        hashes += match.end() - match.start()


def _strip(answer: str, runs: Sequence[_Run]) -> tuple[str, list[_Event]]:
    parts: list[str] = []
    events, last, length = [], 0, 0
    for run in runs:
        parts += [answer[last : run.start], "#" * run.own]
        length += run.start - last
        if run.marks:
            events.append(_Event(length, run.own, run.start, run.marks))
        length += run.own
        last = run.end
    return "".join([*parts, answer[last:]]), events


def _pair(copy: str, events: Sequence[_Event]) -> tuple[list[Marked], bool]:
    """The spans between marks, nested ones included, and whether all marks opened and closed in turn.

    A mark closes the open span, unless it has white space before it and none after it: then it opens another. Several
    marks at one place close all open spans and open the rest: `##A####B##`. The text's own `#` at the place of a mark
    belongs to the span if it touches an ASCII letter or digit, as in corpora with `#Ghent` and `C#`; otherwise it is
    outside, as in `#话题#`.
    """
    opened: list[tuple[int, int]] = []
    spans: list[Marked] = []
    clean = True
    for event in events:
        after = event.copy + event.own
        opens = bool(opened) and event.marks == 1 and _looks_opening(copy, event)
        closing = 0 if opens else min(event.marks, len(opened))
        clean &= not opens and closing <= 1 and event.marks - closing <= 1
        for _ in range(closing):
            start, answer_start = opened.pop()
            hashed = "#" in copy[max(start - 1, 0) : start + 1]
            own = event.own if _is_latin(copy[event.copy - 1 : event.copy]) and not hashed else 0
            spans.append(Marked(start, event.copy + own, answer_start, event.answer + own))
        own = event.own if not closing and _is_latin(copy[after : after + 1]) else 0
        opened += [(after - own, event.answer + event.own - own + 2 * event.marks)] * (event.marks - closing)
    return spans, clean and not opened


def _is_latin(char: str) -> bool:
    return char.isascii() and char.isalnum()


def _looks_opening(copy: str, event: _Event) -> bool:
    before, after = copy[: event.copy][-1:], copy[event.copy : event.copy + 1]
    return (not before or before.isspace()) and bool(after) and not after.isspace()


def _outermost(spans: Sequence[Marked], copy: str) -> list[Marked]:
    kept: list[Marked] = []
    for span in sorted(spans, key=lambda marked: (marked.start, -marked.end)):
        start, end = trim(copy, span.start, span.end)
        if start < end and (not kept or start >= kept[-1].end):
            kept.append(Marked(start, end, span.answer_start, span.answer_end))
    return kept


def trim(text: str, start: int, end: int) -> tuple[int, int]:
    """The span without white space at its ends."""
    inside = text[start:end]
    first = end - len(inside.lstrip())
    return first, first + len(inside.strip())
