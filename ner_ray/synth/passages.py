"""Documents cut into passages for a teacher, with their offsets.

`split` is LangChain's recursive splitter (`RecursiveCharacterTextSplitter` with `keep_separator=True` and no overlap)
as Sky-NER's `2.chunk_corpus.py` uses it (github.com/Emma1066/Retrieval-Augmented-IT-OpenNER, commit f4b177b), working
on offsets instead of strings. It leaves the punctuation that ends a sentence at the start of the next passage, which
`move_sentence_ends` repairs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import pairwise

Span = tuple[int, int]
CountTokens = Callable[[list[str]], list[int]]

SEPARATORS = {
    "zh": ("。", "！", "？", "\n\n", "\n", "；", " "),
    "en": (". ", "! ", "? ", "\n\n", "\n", "; ", " "),
}
"""Where a passage may be cut, best place first: as published for Chinese, and the same punctuation for English, for
which nothing has been published."""

PUBLISHED_ENDS = "。！？；"
_ENDS = PUBLISHED_ENDS + ".!?;"
_CLOSERS = "”’」』）】》…"


def split(
    text: str, count_tokens: CountTokens, budget: int, separators: Sequence[str] = SEPARATORS["zh"]
) -> list[Span]:
    """Passages in order, as half-open spans of characters without white space at their ends.

    A piece is cut at the first separator that occurs in it, and pieces are joined as long as they have at most
    `budget` tokens together. Tokens are counted piece by piece, as published, so the count of a whole passage may
    differ from the sum by a few. A piece without any separator remains as it is, however long.

    >>> split("One. Two. Three.", lambda texts: [len(text.split()) for text in texts], 3, [". "])
    [(0, 8), (8, 16)]
    """
    trimmed = (_trim(text, *span) for span in _split(text, 0, len(text), count_tokens, budget, separators))
    return [(start, end) for start, end in trimmed if start < end]


def move_sentence_ends(text: str, spans: Sequence[Span], *, whole: bool = True) -> list[Span]:
    """The passages with the punctuation that ends a sentence moved into that sentence's passage.

    Args:
        text: the document.
        spans: its passages; punctuation is moved only where a passage directly follows the one before.
        whole: move a run of punctuation together with the closing quotes and brackets after it; if False, as published,
            one Chinese mark, which can leave an empty passage that is kept.
    """
    moved = list(spans)
    pattern = re.compile(f"[{_ENDS}]+[{_CLOSERS}]*" if whole else f"[{PUBLISHED_ENDS}]")
    for number, (left, right) in enumerate(pairwise(spans), start=1):
        match = pattern.match(text, *right)
        if match and left[1] == right[0]:
            moved[number - 1] = (moved[number - 1][0], match.end())
            moved[number] = (match.end(), right[1])
    if not whole:
        return moved
    trimmed = (_trim(text, *span) for span in moved)
    return [(start, end) for start, end in trimmed if start < end]


def _split(
    text: str, start: int, end: int, count_tokens: CountTokens, budget: int, separators: Sequence[str]
) -> list[Span]:
    at = next((i for i, sign in enumerate(separators) if text.find(sign, start, end) >= 0), len(separators))
    separator, finer = (separators[at], separators[at + 1 :]) if at < len(separators) else (None, ())
    pieces = _pieces(text, start, end, separator)
    counts = count_tokens([text[begin:stop] for begin, stop in pieces])
    done: list[Span] = []
    waiting: list[tuple[Span, int]] = []
    for piece, tokens in zip(pieces, counts, strict=True):
        if tokens < budget:
            waiting.append((piece, tokens))
            continue
        done += _join(waiting, budget)
        waiting = []
        done += _split(text, *piece, count_tokens, budget, finer) if finer else [piece]
    return done + _join(waiting, budget)


def _pieces(text: str, start: int, end: int, separator: str | None) -> list[Span]:
    """The pieces that a separator cuts `text[start:end]` into; all but the first begin with it."""
    if separator is None:
        return [(start, end)]
    cuts = [match.start() for match in re.finditer(re.escape(separator), text[start:end])]
    borders = [start, *(start + cut for cut in cuts), end]
    return [(left, right) for left, right in pairwise(borders) if left < right]


def _join(pieces: Sequence[tuple[Span, int]], budget: int) -> list[Span]:
    """Neighbouring pieces joined from the left as long as they fit."""
    joined: list[Span] = []
    total = 0
    for (start, end), tokens in pieces:
        if joined and total + tokens <= budget:
            joined[-1] = (joined[-1][0], end)
            total += tokens
        else:
            joined.append((start, end))
            total = tokens
    return joined


def _trim(text: str, start: int, end: int) -> Span:
    inside = text[start:end]
    first = end - len(inside.lstrip())
    return first, first + len(inside.strip())
