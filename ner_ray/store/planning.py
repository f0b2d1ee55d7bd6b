"""Which waves a run has from now on. Only decisions are made here; `RunDirectory` reads and writes the plans."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np

from ner_ray.errors import RunError
from ner_ray.store.changes import Input, OnChange, changed_shards, settled, still_there
from ner_ray.store.shards import Shard
from ner_ray.store.wave_files import grouped
from ner_ray.store.waves import ROW_BITS, Ids, NumberedShard, Wave, current_shards


def next_waves(
    waves: Sequence[Wave],
    committed: Collection[int],
    shards: Sequence[Shard],
    rows_per_wave: int,
    on_change: OnChange,
) -> list[Wave]:
    """All waves of a run: those that it has, as their files are now, and those for new and changed files.

    Raises:
        InputError: a file has changed, and `on_change` is `error`.
    """
    now = Input(shards, waves)
    settled_waves = settled(waves, committed, now, on_change)
    changed = changed_shards(settled_waves, now, on_change)
    current = current_shards(settled_waves)
    fresh = [shard for shard in now.readable() if shard.rows and shard.uri not in current]
    numbered = _numbered([*changed, *fresh], [*waves, *settled_waves], current)
    groups = grouped(numbered, lambda numbered: numbered.rows, rows_per_wave)
    return [*settled_waves, *(Wave(number, tuple(group)) for number, group in enumerate(groups, start=len(waves)))]


def _numbered(
    shards: Sequence[Shard], waves: Iterable[Wave], current: Mapping[str, NumberedShard]
) -> list[NumberedShard]:
    """The shards with the next ordinals, and with those of the versions that they replace."""
    used = (numbered.ordinal for wave in waves for numbered in (*wave.shards, *wave.missing))
    first = 1 + max(used, default=-1)
    return [
        NumberedShard(ordinal, shard, replaces=current[shard.uri].ordinal if shard.uri in current else None)
        for ordinal, shard in enumerate(shards, start=first)
    ]


def retry_wave(waves: Sequence[Wave], ids: Ids, shards: Sequence[Shard]) -> Wave:
    """A wave of committed rows; those of files that are gone or have changed are set aside.

    Raises:
        InputError: none of their files is still what it was.
    """
    planned = {numbered.ordinal: numbered.shard for wave in waves for numbered in wave.shards}
    rows: dict[int, list[int]] = {}  # ordinal of a shard -> numbers of its rows, ascending
    for row_id in np.sort(ids).tolist():
        rows.setdefault(row_id >> ROW_BITS, []).append(row_id & ((1 << ROW_BITS) - 1))
    chosen = [NumberedShard(ordinal, planned[ordinal], tuple(numbers)) for ordinal, numbers in rows.items()]
    return still_there(Wave(len(waves), tuple(chosen)), Input(shards, waves))


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


def unfinished(waves: Iterable[Wave], committed: Collection[int]) -> list[Wave]:
    """Planned waves that are not committed."""
    return [wave for wave in waves if wave.number not in committed]
