"""Which chunks can contain a text, without reading them: a table with a bit for each chunk in each of 65,536 rows.

A text has a row for each three neighbouring characters, and for each two of scripts that write words with one or two.
A chunk that contains a text has a bit in all rows of the text; one that has them without containing it is read in vain.
Texts are compared without regard to case, width and the length of white space. Characters are UTF-16 code units, as
browsers count.
"""

from __future__ import annotations

import base64
import re
import tempfile
import unicodedata
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

ROWS = 1 << 16
_TOGETHER = 256  # rows in a part of the table
_WIDE = 0x2E80  # from here on: Chinese, Japanese, Korean, and halves of characters beyond the first plane
_BLANKS = re.compile("[\t-\r \x85\u2028\u2029]+")
_FACTORS = (0x9E3779B1, 0x85EBCA6B, 0xC2B2AE35)  # of a multiplicative hash


def fold(text: str) -> str:
    r"""A text as it is compared; folded again, it is the same.

    >>> fold("ＮＥＷ\nYork")
    'new york'
    """
    lowered = unicodedata.normalize("NFKC", text).lower()
    return _BLANKS.sub(" ", unicodedata.normalize("NFKC", lowered))  # some capitals become a letter and a mark


def rows(folded: str) -> NDArray[np.uint32]:
    """The rows of a folded text; none if it is too short."""
    units = np.frombuffer(folded.encode("utf-16-le", "surrogatepass"), "<u2").astype(np.uint32)
    wide = units >= _WIDE
    two = wide[:-1] & wide[1:]
    pairs = _hash(units[:-1], units[1:])[two]
    if len(units) < 3:
        return pairs
    three = ~(two[:-1] & wide[2:])
    return np.concatenate([pairs, _hash(units[:-2], units[1:-1], units[2:])[three]])


def _hash(*units: NDArray[np.uint32]) -> NDArray[np.uint32]:
    total = np.zeros(len(units[0]), np.uint32)
    for values, factor in zip(units, _FACTORS, strict=False):
        total ^= values * np.uint32(factor)
    return total >> np.uint32(16)


class Table:
    """The table of a page, chunk by chunk; what it holds lies on a disk until all chunks are there."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115  # open as long as the table is there
        self._chunks = 0

    def add(self, texts: Iterable[str]) -> None:
        """One more chunk."""
        bits = np.zeros(ROWS, bool)
        bits[rows(fold("\0".join(texts)))] = True
        self._file.write(np.packbits(bits).tobytes())
        self._chunks += 1

    def parts(self) -> Iterator[tuple[int, str]]:
        """Each part's number, and its rows one after the other, each a bit per chunk, lowest first, as Base64."""
        self._file.flush()
        if not self._chunks:
            return
        stored = np.memmap(self._file, np.uint8, "r", shape=(self._chunks, ROWS // 8))
        width = _TOGETHER // 8
        for number in range(ROWS // _TOGETHER):
            bits = np.unpackbits(stored[:, number * width : (number + 1) * width], axis=1)
            yield number, base64.b64encode(np.packbits(bits.T, axis=1, bitorder="little").tobytes()).decode()
