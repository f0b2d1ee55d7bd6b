"""Row ids as runs of consecutive ones: the rows of a shard are numbered one after the other, and mostly written so.

A wave of a hundred million rows is then a few thousand pairs of numbers, and whether a row is there twice is told
without looking at each row.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ner_ray.store.waves import ROW_BITS, Ids, NumberedShard


@dataclass(frozen=True, slots=True, eq=False)
class Runs:
    """Row ids, in the order of the rows.

    Attributes:
        firsts: the id with which each run begins, int64 of shape (runs,).
        stops: the id after the last one of each, int64 of shape (runs,).
    """

    firsts: Ids
    stops: Ids

    @classmethod
    def of(cls, ids: Ids) -> Runs:
        """The runs of row ids, which may be any."""
        begins = np.ones(len(ids), bool)
        begins[1:] = np.diff(ids) != 1
        return cls(ids[begins], ids[np.roll(begins, -1)] + 1)

    @classmethod
    def joined(cls, parts: Iterable[Runs]) -> Runs:
        """The runs of all parts, in their order."""
        parts = [cls(np.empty(0, np.int64), np.empty(0, np.int64)), *parts]
        return cls(np.concatenate([part.firsts for part in parts]), np.concatenate([part.stops for part in parts]))

    def __len__(self) -> int:
        """The number of rows."""
        return int((self.stops - self.firsts).sum())

    @property
    def ids(self) -> Ids:
        """The ids themselves, of shape (rows,)."""
        lengths = self.stops - self.firsts
        before = np.cumsum(lengths) - lengths  # the number of rows before each run
        ids: Ids = np.repeat(self.firsts - before, lengths) + np.arange(len(self))
        return ids

    @property
    def ordinals(self) -> list[int]:
        """The shards of which there are rows, ascending."""
        return [int(ordinal) for ordinal in np.unique(self.firsts >> ROW_BITS)]

    def where(self, mask: NDArray[np.bool_]) -> Runs:
        """The runs of a mask of shape (runs,)."""
        return Runs(self.firsts[mask], self.stops[mask])

    def ordered(self) -> Runs:
        """The same runs, ascending."""
        order = np.argsort(self.firsts, kind="stable")
        return Runs(self.firsts[order], self.stops[order])

    def union(self) -> Runs:
        """Each id once: runs that are ascending and do not overlap."""
        runs = self.ordered()
        begins = ~_overlaps(runs)
        last_stops = np.maximum.accumulate(runs.stops) if len(runs.stops) else runs.stops
        return Runs(runs.firsts[begins], last_stops[np.roll(begins, -1)])

    def overlapping(self) -> NDArray[np.bool_]:
        """A mask of shape (runs,): those that overlap others, directly or by way of others."""
        order = np.argsort(self.firsts, kind="stable")
        overlaps = _overlaps(self.ordered())
        group = np.cumsum(~overlaps)
        mask = np.empty(len(order), bool)
        mask[order] = np.isin(group, group[overlaps])
        return mask

    def count(self, numbered: NumberedShard) -> int:
        """How many rows of a shard are among the ids, whose runs are ascending and do not overlap."""
        first = numbered.first_row_id()
        begin, end = np.searchsorted(self.firsts, (first, first + (1 << ROW_BITS)))
        own = Runs(self.firsts[begin:end], self.stops[begin:end])
        if numbered.chosen is None:
            return int(np.maximum(np.minimum(own.stops, first + numbered.shard.rows) - own.firsts, 0).sum())
        return int(np.isin(own.ids, numbered.row_ids(), assume_unique=True).sum())


def _overlaps(runs: Runs) -> NDArray[np.bool_]:
    """Of ascending runs, those that begin before one of the runs before them has ended."""
    overlaps = np.zeros(len(runs.firsts), bool)
    if len(overlaps):
        overlaps[1:] = runs.firsts[1:] < np.maximum.accumulate(runs.stops)[:-1]
    return overlaps
