"""Text in a form in which spellings of the same thing are equal, with the way back to the original.

White space runs become one blank; all else is folded cluster by cluster (a base character and its marks):
quotes and dashes to one form, compatibility characters and width (NFKC), case, and characters that cannot be
seen (soft hyphen, zero-width characters, directional marks, variation selectors) away. Since no cluster looks
at its neighbours, the normal form of a part is the part of the normal form.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import regex
from numpy.typing import NDArray

from ner_ray.text.tokens import BLANK

_SIGNS = {
    **dict.fromkeys(map(ord, "‘’‚‛′‵´`ʼ＇"), "'"),
    **dict.fromkeys(map(ord, "“”„‟″‶«»〝〞〟「」『』＂"), '"'),
    **dict.fromkeys(map(ord, "‐‑‒–—―−﹘﹣－"), "-"),
}
_UNSEEN = dict.fromkeys(
    [
        0xAD,
        0x34F,
        0x61C,
        *range(0x200B, 0x2010),
        *range(0x202A, 0x202F),
        *range(0x2060, 0x206A),
        *range(0xFE00, 0xFE10),
        0xFEFF,
        *range(0xE0100, 0xE01F0),
    ],
)
_TABLE = _SIGNS | _UNSEEN
_JAMO = r"\u1100-\u11FF\uA960-\uA97F\uD7B0-\uD7FF"
_MARK = r"\p{M}\uFF9E\uFF9F"  # the two are marks of half-width kana, whatever their category says
# The runs are the fast path: nothing in them can join with what follows.
_PIECE = regex.compile(
    rf"(?V1)(?P<blank>[{BLANK}]+)"
    rf"|(?P<run>[!-~]+(?![{_MARK}])|[[\p{{L}}\p{{N}}\p{{P}}]--[{_JAMO}{_MARK}]]+(?![{_MARK}]))"
    rf"|[{_JAMO}]+[{_MARK}]*|[^{BLANK}][{_MARK}]*",
)


@dataclass(frozen=True, slots=True, eq=False)
class Normalized:
    """A normal form that remembers its source.

    Attributes:
        text: the normal form.
        origins: of shape (len(text), 2): the half-open span of the source that each code point stands for.
    """

    text: str
    origins: NDArray[np.int64]

    def to_source(self, start: int, end: int) -> tuple[int, int]:
        """The smallest span of the source that `text[start:end]` stands for; `start < end` is required."""
        return int(self.origins[start, 0]), int(self.origins[end - 1, 1])

    def is_whole(self, start: int, end: int) -> bool:
        """Whether `text[start:end]` neither begins nor ends within what one source span became."""
        begins, ends = self.origins[:, 0], self.origins[:, 1]
        return bool(
            (start == 0 or begins[start] >= ends[start - 1]) and (end >= len(self.text) or begins[end] >= ends[end - 1])
        )


def fold(text: str) -> str:
    """The normal form alone, white space at its ends cut off."""
    if text.isascii():
        return " ".join(text.casefold().translate(_SIGNS).split())
    return "".join(_fold_piece(match[0], match.lastgroup) for match in _PIECE.finditer(text)).strip()


def normalize(text: str) -> Normalized:
    """The normal form of any text, with the origin of each of its code points. Takes linear time."""
    lengths: list[tuple[int, int, bool]] = []
    folded: list[str] = []
    for match in _PIECE.finditer(text):
        kind = match.lastgroup
        source = match[0]
        piece = _fold_piece(source, kind)
        if kind == "run" and len(piece) != len(source):
            singles = [_fold_cluster(character) for character in source]
            lengths.extend((1, len(single), False) for single in singles)
            folded.extend(singles)
        else:
            lengths.append((len(source), len(piece), kind == "run"))
            folded.append(piece)
    return Normalized("".join(folded), _origins(lengths))


def _origins(pieces: list[tuple[int, int, bool]]) -> NDArray[np.int64]:
    """Source spans out of pieces of (source length, normal length, whether they match one to one)."""
    table = np.array(pieces, dtype=np.int64).reshape(-1, 3)
    source, normal, linear = table[:, 0], table[:, 1], table[:, 2].astype(bool)
    source_start = np.cumsum(source) - source
    normal_start = np.cumsum(normal) - normal
    piece = np.repeat(np.arange(len(table)), normal)
    inside = np.arange(len(piece)) - normal_start[piece]
    starts = source_start[piece] + np.where(linear[piece], inside, 0)
    ends = np.where(linear[piece], starts + 1, source_start[piece] + source[piece])
    return np.stack([starts, ends], axis=1)


def _fold_piece(piece: str, kind: str | None) -> str:
    if kind == "blank":
        return " "
    if kind == "run":
        if piece.isascii():
            return piece.casefold().translate(_SIGNS)
        folded = _compose(piece)
        # Equal lengths mean one to one, for nothing in a run can shrink.
        return folded if len(folded) == len(piece) else "".join(map(_fold_cluster, piece))
    return _fold_cluster(piece)


@lru_cache(maxsize=65536)
def _fold_cluster(cluster: str) -> str:
    return _compose(cluster)


def _compose(text: str) -> str:
    compatible = unicodedata.normalize("NFKC", text.translate(_TABLE))
    folded = unicodedata.normalize("NFKC", compatible.casefold())
    return " ".join(folded.translate(_TABLE).split())
