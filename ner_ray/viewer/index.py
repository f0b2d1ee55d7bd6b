"""Which documents have which labels, scores, kinds, states and errors: a few bytes each, to choose documents by.

A block covers some documents one after the other. It is plain data: the names of its labels and error codes, which are
numbered, and, as Base64 of little-endian numbers one after the other,

    codes    uint32 per document: a bit for each of its error codes; the last bit stands for the 32nd and all further
    ends     uint32 per document: where its pairs end
    labels   uint16 per pair of a document and a label; uint32 if `wide`
    states   uint8 per document
    values   uint8 per pair: what `score_value` makes of its highest score, or the bits of its kinds
"""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

_MOST_CODES = 32
_NARROW = 1 << 16


class Numbers(dict[str, int]):
    """Numbers for names, in the order in which they are asked for."""

    def __missing__(self, name: str) -> int:
        self[name] = number = len(self)
        return number


def score_value(score: float | None) -> int:
    """A score as a byte that keeps two digits and the order; 0 for none, or none that is a number.

    >>> score_value(None), score_value(float("nan")), score_value(0.0), score_value(0.29), score_value(1.0)
    (0, 0, 1, 30, 101)
    """
    return 0 if score is None or math.isnan(score) else 1 + int(min(max(score, 0.0), 1.0) * 100 + 1e-6)


class Index:
    """A block, document by document.

    Args:
        merge: makes one value of those of a label in a document: `np.maximum` for scores, `np.bitwise_or` for kinds.
    """

    def __init__(self, merge: np.ufunc = np.maximum) -> None:
        self._merge = merge
        self._labels, self._codes = Numbers(), Numbers()
        self._states: list[int] = []
        self._bits: list[int] = []
        self._owners: list[int] = []
        self._named: list[int] = []
        self._values: list[int] = []

    def __len__(self) -> int:
        return len(self._states)

    def add(self, state: int, codes: Iterable[str], pairs: Iterable[tuple[str, int]]) -> None:
        """One more document, with its labels and their values."""
        number = len(self._states)
        self._states.append(state)
        self._bits.append(sum(1 << bit for bit in {min(self._codes[code], _MOST_CODES - 1) for code in codes}))
        for label, value in pairs:
            self._owners.append(number)
            self._named.append(self._labels[label])
            self._values.append(value)

    def block(self) -> dict[str, Any]:
        """The block as plain data."""
        owners, labels, values = self._pairs()
        wide = len(self._labels) > _NARROW
        parts = (
            np.array(self._bits, "<u4"),
            np.searchsorted(owners, np.arange(len(self)), side="right").astype("<u4"),
            labels.astype("<u4" if wide else "<u2"),
            np.array(self._states, np.uint8),
            values.astype(np.uint8),
        )
        packed = base64.b64encode(b"".join(part.tobytes() for part in parts)).decode()
        return {
            "rows": len(self),
            "pairs": len(owners),
            "wide": wide,
            "labels": list(self._labels),
            "codes": list(self._codes),
            "data": packed,
        }

    def _pairs(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Document, label and merged value of each pair, sorted."""
        width = max(1, len(self._labels))
        keys = np.array(self._owners, np.int64) * width + np.array(self._named, np.int64)
        order = np.argsort(keys, kind="stable")
        distinct, firsts = np.unique(keys[order], return_index=True)
        values = np.array(self._values, np.int64)[order]
        merged = self._merge.reduceat(values, firsts) if len(firsts) else values
        return distinct // width, distinct % width, merged
