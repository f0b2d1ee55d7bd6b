"""Waves: shards with their numbers in the run, planned together and committed together.

A row id is an int64: the shard's ordinal in the upper bits, the row's number within the shard in the lower 40.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ner_ray.store.shards import Shard

ROW_BITS = 40

Ids = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class NumberedShard:
    """A shard with its number in the run, from which row ids are made.

    Attributes:
        ordinal: identifies the shard within the run; never given to another one.
        chosen: the numbers of the rows to read, ascending; None for all.
        replaces: the ordinal of an earlier version of the file, whose committed rows this one supersedes.
        displaced: whether another shard has taken the file's name.
    """

    ordinal: int
    shard: Shard
    chosen: tuple[int, ...] | None = None
    replaces: int | None = None
    displaced: bool = False

    def first_row_id(self) -> int:
        """The id of row 0; row `n` has the id `first_row_id() + n`."""
        return self.ordinal << ROW_BITS

    @property
    def rows(self) -> int:
        return self.shard.rows if self.chosen is None else len(self.chosen)

    def row_ids(self) -> Ids:
        """The ids of the rows to read, ascending, of shape (rows,)."""
        numbers = np.arange(self.shard.rows) if self.chosen is None else np.array(self.chosen)
        return self.first_row_id() + numbers.astype(np.int64)

    def without_rows(self, ids: Ids) -> NumberedShard | None:
        """The shard without the rows of `ids`, which are ascending and unique; None if no row is left."""
        first = self.first_row_id()
        begin, end = np.searchsorted(ids, (first, first + self.shard.rows))
        if begin == end:
            return self
        left = np.setdiff1d(self.row_ids(), ids[begin:end], assume_unique=True) - first
        return replace(self, chosen=tuple(left.tolist())) if len(left) else None

    def at(self, shard: Shard) -> NumberedShard:
        """The same rows, with the ids that they had, read from where the file is now."""
        return replace(self, shard=replace(shard, name=self.shard.name), displaced=False)


@dataclass(frozen=True, slots=True)
class Wave:
    """Shards that are annotated and committed together.

    Attributes:
        missing: shards that were planned and are gone; the wave is committed without them unless they come back first.
    """

    number: int
    shards: tuple[NumberedShard, ...]
    missing: tuple[NumberedShard, ...] = ()

    @property
    def rows(self) -> int:
        return sum(numbered.rows for numbered in self.shards)

    @property
    def replaces(self) -> tuple[int, ...]:
        """Ordinals of shards that have changed since they were committed, and whose rows this wave supersedes."""
        return tuple(numbered.replaces for numbered in self.shards if numbered.replaces is not None)

    def row_ids(self) -> Ids:
        """The ids of all input rows, of shape (rows,): exactly those that the committed wave must have."""
        return np.concatenate([np.empty(0, np.int64), *(numbered.row_ids() for numbered in self.shards)])

    def holds(self, ids: Ids) -> NDArray[np.bool_]:
        """Which ids are those of rows of the wave's shards, of the shape of `ids`."""
        return np.isin(ids >> ROW_BITS, [numbered.ordinal for numbered in self.shards])

    def without_rows(self, ids: Ids) -> Wave:
        """The wave without the rows of `ids`, which are ascending and unique."""
        left = (numbered.without_rows(ids) for numbered in self.shards)
        return replace(self, shards=tuple(numbered for numbered in left if numbered))

    def without(self, uris: Collection[str], *, committed: bool) -> tuple[Wave, list[NumberedShard]]:
        """The wave without some files, and the shards that it loses; a committed wave loses only those missing."""
        shards, missing = (
            [numbered for numbered in among if numbered.shard.uri in uris]
            for among in ((() if committed else self.shards), self.missing)
        )
        kept = replace(
            self,
            shards=tuple(numbered for numbered in self.shards if numbered not in shards),
            missing=tuple(numbered for numbered in self.missing if numbered not in missing),
        )
        return kept, shards + missing

    def to_dict(self) -> dict[str, Any]:
        """As in the file of its plan."""
        plan = {"wave": self.number, "shards": [_to_dict(numbered) for numbered in self.shards]}
        return plan | ({"missing": [_to_dict(numbered) for numbered in self.missing]} if self.missing else {})

    @classmethod
    def from_dict(cls, plan: dict[str, Any]) -> Wave:
        shards, missing = ([_from_dict(plain) for plain in plan.get(name, ())] for name in ("shards", "missing"))
        # Earlier versions list the replaced ordinals beside the shards, whose first ones replace them, in this order.
        for at, ordinal in enumerate(plan.get("replaces", ())):
            shards[at] = replace(shards[at], replaces=ordinal)
        return cls(plan["wave"], tuple(shards), tuple(missing))


class WaveNumbers:
    """Tells by its id which of some open waves a row belongs to; no two of them have a shard in common."""

    def __init__(self, waves: Iterable[Wave]) -> None:
        pairs = sorted((numbered.ordinal, wave.number) for wave in waves for numbered in wave.shards)
        self._ordinals, self._numbers = np.array(pairs, np.int64).reshape(-1, 2).T

    def of(self, ids: Ids) -> NDArray[np.int64]:
        """The numbers of the waves, of the shape of `ids`."""
        numbers: NDArray[np.int64] = self._numbers[np.searchsorted(self._ordinals, ids >> ROW_BITS)]
        return numbers


def _to_dict(numbered: NumberedShard) -> dict[str, Any]:
    optional = {"chosen": numbered.chosen, "replaces": numbered.replaces, "displaced": numbered.displaced or None}
    given = {name: value for name, value in optional.items() if value is not None}
    return {"ordinal": numbered.ordinal, **given, **numbered.shard.to_dict()}


def _from_dict(plain: dict[str, Any]) -> NumberedShard:
    shard = dict(plain)
    ordinal, chosen = shard.pop("ordinal"), shard.pop("chosen", None)
    own = {name: shard.pop(name) for name in ("replaces", "displaced") if name in shard}
    return NumberedShard(ordinal, Shard.from_dict(shard), None if chosen is None else tuple(chosen), **own)


def current_shards(waves: Sequence[Wave]) -> dict[str, NumberedShard]:
    """The shard that the waves have for each file, by URI, without earlier versions of it."""
    replaced = {ordinal for wave in waves for ordinal in wave.replaces}
    return {
        numbered.shard.uri: numbered
        for wave in waves
        for numbered in wave.shards
        if numbered.chosen is None and not numbered.displaced and numbered.ordinal not in replaced
    }


def missing_shards(waves: Sequence[Wave]) -> list[NumberedShard]:
    """Shards that were planned, are gone, and have neither come back nor been given up."""
    current = current_shards(waves)

    def has_come_back(numbered: NumberedShard) -> bool:
        return numbered.shard.uri in current and current[numbered.shard.uri].ordinal > numbered.ordinal

    missing = (numbered for wave in waves for numbered in wave.missing)
    return [numbered for numbered in missing if numbered.chosen is None and not has_come_back(numbered)]


def left_out(waves: Sequence[Wave]) -> list[NumberedShard]:
    """Shards of which rows were to be retried and cannot be, because their files are gone or have changed."""
    return [numbered for wave in waves for numbered in wave.missing if numbered.chosen is not None]
