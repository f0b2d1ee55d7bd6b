"""A wave's output files: repaired, whatever a driver that was killed has left; compared with an obvious version."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import fs

from ner_ray.schema import ROW_ID
from ner_ray.store.row_runs import Runs
from ner_ray.store.shards import Shard
from ner_ray.store.wave_files import tidy
from ner_ray.store.waves import ROW_BITS, NumberedShard, Wave

SHARDS, ROWS = 4, 12

some_ids = st.builds(lambda shard, row: (shard << ROW_BITS) + row, st.integers(0, SHARDS - 1), st.integers(0, ROWS - 1))


@st.composite
def parts(draw: st.DrawFn) -> list[int]:
    """The ids of a file: ranges, as stages write them, and a few in any order."""
    first, count = draw(some_ids), draw(st.integers(0, 8))
    return [*range(first, first + count), *draw(st.lists(some_ids, max_size=4))]


def obvious(files: list[list[int]], ordinals: set[int] | None) -> list[list[int]]:
    """What remains of each file's ids."""
    seen: set[int] = set()
    kept = []
    for ids in files:
        rest = []
        for row_id in ids:
            if row_id not in seen and (ordinals is None or row_id >> ROW_BITS in ordinals):
                rest.append(row_id)
            seen.add(row_id)
        kept.append(rest)
    return kept


@given(st.lists(parts(), max_size=6), st.none() | st.sets(st.integers(0, SHARDS - 1)))
def test_each_row_stays_once_where_it_was_first(files: list[list[int]], ordinals: set[int] | None) -> None:
    shards = tuple(NumberedShard(ordinal, Shard("", 0, 0, ROWS)) for ordinal in sorted(ordinals or ()))
    with tempfile.TemporaryDirectory() as folder:
        for number, ids in enumerate(files):
            pq.write_table(pa.table({ROW_ID: pa.array(ids, pa.int64())}), f"{folder}/{number}.parquet")
        store = fs.LocalFileSystem()

        kept = tidy(store, folder, None if ordinals is None else Wave(0, shards).holds)

        expected = [ids for ids, was in zip(obvious(files, ordinals), files, strict=True) if ids or not was]
        assert [file.rows.ids.tolist() for file in kept] == expected
        on_disk = sorted(
            row_id for path in Path(folder).iterdir() for row_id in pq.read_table(path)[ROW_ID].to_pylist()
        )
        assert on_disk == sorted(row_id for ids in expected for row_id in ids)


@given(st.lists(some_ids, max_size=30))
def test_runs_stand_for_their_ids(ids: list[int]) -> None:
    runs = Runs.of(np.array(ids, np.int64))

    assert runs.ids.tolist() == ids
    assert len(runs) == len(ids)
    assert runs.union().ids.tolist() == sorted(set(ids))
    assert runs.ordinals == sorted({row_id >> ROW_BITS for row_id in ids})
    for ordinal in range(SHARDS):
        chosen = tuple(range(0, ROWS - 2, 3))
        for numbered in (
            NumberedShard(ordinal, Shard("", 0, 0, ROWS - 2)),
            NumberedShard(ordinal, Shard("", 0, 0, ROWS - 2), chosen),
        ):
            assert runs.union().count(numbered) == len(set(ids) & set(numbered.row_ids().tolist()))


@given(st.sets(some_ids), st.none() | st.sets(st.integers(0, ROWS - 1), min_size=1))
def test_what_is_left_of_a_wave_is_what_is_not_written(written: set[int], chosen: set[int] | None) -> None:
    rows = chosen and tuple(sorted(chosen))
    wave = Wave(0, tuple(NumberedShard(ordinal, Shard("", 0, 0, ROWS), rows) for ordinal in range(SHARDS - 1)))

    left = wave.without_rows(np.array(sorted(written), np.int64))

    assert left.row_ids().tolist() == [row_id for row_id in wave.row_ids().tolist() if row_id not in written]
    assert all(numbered.rows for numbered in left.shards)
