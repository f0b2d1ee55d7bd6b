"""A normal form in which different spellings of the same text are equal, with offsets back into the original.

A run of white space becomes one space. Everything else is folded cluster by cluster (a base character with its marks,
or one syllable of Hangul): quotes and dashes to one form each, compatibility characters and width (NFKC), case.
Invisible characters (soft hyphen, zero-width characters, directional marks, variation selectors) are removed, as are
characters that Arabic and Hebrew writers may omit: tatweel and vowel points. No cluster depends on its neighbours, so
the normal form of a part of a text is a part of the normal form of the text.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import regex
from numpy.typing import NDArray

from ner_ray.text.tokens import BLANK, SYLLABLE

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
_OPTIONAL = dict.fromkeys(
    [
        *range(0x591, 0x5BE),
        0x5BF,
        0x5C1,
        0x5C2,
        0x5C4,
        0x5C5,
        0x5C7,
        0x640,
        *range(0x64B, 0x653),
        0x670,
    ],
)
_TABLE = _SIGNS | _UNSEEN | _OPTIONAL
_JAMO = r"\u1100-\u11FF\uA960-\uA97F\uD7B0-\uD7FF"
_MARK = r"\p{M}\uFF9E\uFF9F"  # the latter two mark half-width kana, although their category is not M
_VANISHING = r"\u0640\uFC5E-\uFC63\uFCF2-\uFCF4\uFE70-\uFE7F"  # tatweel, and vowel points without a letter
# Runs are the fast path: nothing in them can combine with what follows, and nothing vanishes.
_PIECE = regex.compile(
    rf"(?V1)(?P<blank>[{BLANK}]+)"
    rf"|(?P<run>[!-~]+(?![{_MARK}])|[[\p{{L}}\p{{N}}\p{{P}}]--[{_JAMO}{_MARK}{_VANISHING}]]+(?![{_MARK}{_JAMO}]))"
    rf"|(?:{SYLLABLE}|[^{BLANK}])[{_MARK}]*",
)


@dataclass(frozen=True, slots=True, eq=False)
class Normalized:
    """A normal form with the origin of each of its code points.

    Attributes:
        text: the normal form.
        origins: shape (len(text), 2): for each code point of `text`, the half-open span of the source it came from.
    """

    text: str
    origins: NDArray[np.int64]

    def to_source(self, start: int, end: int) -> tuple[int, int]:
        """The smallest span of the source that `text[start:end]` came from; requires `start < end`."""
        return int(self.origins[start, 0]), int(self.origins[end - 1, 1])

    def is_whole(self, start: int, end: int) -> bool:
        """Whether neither end of `text[start:end]` falls inside what one span of the source became."""
        begins, ends = self.origins[:, 0], self.origins[:, 1]
        return bool(
            (start == 0 or begins[start] >= ends[start - 1]) and (end >= len(self.text) or begins[end] >= ends[end - 1])
        )


def fold(text: str) -> str:
    """The normal form alone, without white space at its ends.

    >>> fold("  STRASSE") == fold("Straße")
    True
    """
    if text.isascii():
        return " ".join(text.casefold().translate(_SIGNS).split())
    return "".join(_fold_piece(match[0], match.lastgroup) for match in _PIECE.finditer(text)).strip()


def normalize(text: str) -> Normalized:
    """The normal form of any text, with the origin of each of its code points; linear in the text.

    >>> normalize("ﬁn").text, normalize("ﬁn").to_source(0, 3)
    ('fin', (0, 2))
    """
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
    """Source spans, shape (n, 2), from pieces (source length, normal length, whether code points map one to one)."""
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
        # Nothing in a run can shrink, so equal lengths mean that code points map one to one.
        return folded if len(folded) == len(piece) else "".join(map(_fold_cluster, piece))
    return _fold_cluster(piece)


@lru_cache(maxsize=65536)
def _fold_cluster(cluster: str) -> str:
    return _compose(cluster)


def _compose(text: str) -> str:
    compatible = unicodedata.normalize("NFKC", text.translate(_TABLE))
    folded = unicodedata.normalize("NFKC", compatible.casefold())
    return " ".join(folded.translate(_TABLE).split())
