"""Which waves a run has from now on. Only decisions are made here; `RunDirectory` reads and writes the plans."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from ner_ray.errors import RunError
from ner_ray.store.changes import Input, OnChange, changed_shards, settled, still_there
from ner_ray.store.comparison import Concern
from ner_ray.store.wave_files import grouped
from ner_ray.store.waves import ROW_BITS, Ids, NumberedShard, Wave, current_shards


def next_waves(
    found: Concern, committed: Collection[int], rows_per_wave: int, on_change: OnChange
) -> tuple[list[Wave], list[Wave]]:
    """The waves that a listing concerns, as their files are now, and waves for new and changed files.

    Raises:
        InputError: a file has changed, and `on_change` is `error`.
    """
    now = Input(found.shards, found.waves)
    settled_waves = settled(found.waves, committed, now, on_change)
    changed = changed_shards(settled_waves, now, on_change)
    current = current_shards(settled_waves)
    fresh = [shard for shard in now.readable() if shard.rows and shard.uri not in current]
    numbered = [
        NumberedShard(ordinal, shard, replaces=current[shard.uri].ordinal if shard.uri in current else None)
        for ordinal, shard in enumerate([*changed, *fresh], start=found.next_ordinal)
    ]
    groups = grouped(numbered, lambda numbered: numbered.rows, rows_per_wave)
    return settled_waves, [Wave(number, tuple(group)) for number, group in enumerate(groups, start=found.next_wave)]


def retry_wave(found: Concern, ids: Ids) -> Wave:
    """A wave of committed rows; those of files that are gone or have changed are set aside.

    Args:
        found: what has to be decided, given a listing, with the shards of these rows.
        ids: of the rows.

    Raises:
        InputError: none of their files is still what it was.
    """
    planned = {numbered.ordinal: numbered.shard for wave in found.waves for numbered in wave.shards}
    rows: dict[int, list[int]] = {}  # ordinal of a shard -> numbers of its rows, ascending
    for row_id in np.sort(ids).tolist():
        rows.setdefault(row_id >> ROW_BITS, []).append(row_id & ((1 << ROW_BITS) - 1))
    chosen = [NumberedShard(ordinal, planned[ordinal], tuple(numbers)) for ordinal, numbers in rows.items()]
    return still_there(Wave(found.next_wave, tuple(chosen)), Input(found.shards, found.waves))


def without_files(
    waves: Sequence[Wave], committed: Collection[int], uris: Collection[str]
) -> tuple[list[Wave], list[NumberedShard]]:
    """The waves that change if some files are given up, and the shards that they lose.

    Raises:
        RunError: one of the files is neither missing nor in an open wave.
    """
    kept: list[Wave] = []
    lost: list[NumberedShard] = []
    for wave in waves:
        rest, dropped = wave.without(uris, committed=wave.number in committed)
        kept += [rest] if dropped else []
        lost += dropped
    if unknown := sorted(set(uris) - {numbered.shard.uri for numbered in lost}):
        raise RunError(
            f"the run does not wait for {unknown[0]}",
            hint="only files that are missing, or are in a wave that is not committed, can be given up; "
            "`ner-ray status` names those that are missing",
        )
    return kept, lost
