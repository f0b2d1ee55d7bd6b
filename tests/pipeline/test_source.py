"""Reading costs each file once, whatever its row groups and however many tasks are wanted."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ner_ray.pipeline import source as source_module
from ner_ray.pipeline.progress import Counts
from ner_ray.pipeline.source import ShardSource
from ner_ray.schema import ROW_ID
from ner_ray.store import documents
from ner_ray.store.documents import Columns
from ner_ray.store.shards import list_shards
from ner_ray.store.waves import NumberedShard
from tests.counting import CountingStore

COLUMNS = Columns(text="text", doc_id=None, labels=None, keep=(), max_characters=10_000)
MIB = 1 << 20
ROWS = 40_000


def written(folder: Path, row_groups: int) -> NumberedShard:
    """A file of 40 MiB that nothing compresses."""
    texts = [os.urandom(524).hex() for _ in range(ROWS)]
    table = pa.table({"text": texts})
    pq.write_table(table, folder / "a.parquet", row_group_size=ROWS // row_groups, compression="none")
    return NumberedShard(2, list_shards(str(folder))[0])


def ids_of(source: ShardSource) -> list[int]:
    tables = (table for task in source.get_read_tasks(1) for table in task())
    return [row_id for table in tables for row_id in table[ROW_ID].to_pylist()]


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> CountingStore:
    """Counts what documents cost to read."""
    counting = CountingStore()
    monkeypatch.setattr(documents, "open_store", lambda uri: (counting, uri))
    return counting


@pytest.mark.parametrize("row_groups", [1, 1000])
def test_a_file_is_read_once_whatever_the_number_of_tasks(
    tmp_path: Path, store: CountingStore, row_groups: int
) -> None:
    shard = written(tmp_path, row_groups)
    assert shard.shard.size > 39 * MIB
    for tasks in (8, 64, 640):
        store.bytes = 0
        source = ShardSource([shard], COLUMNS, pa.schema([]), tasks=tasks, counts=Counts(None))

        ids = [
            row_id for task in source.get_read_tasks(tasks) for table in task() for row_id in table[ROW_ID].to_pylist()
        ]

        assert ids == shard.row_ids().tolist()
        assert store.bytes <= 1.2 * shard.shard.size
        assert len(source) == 3  # which follows from the size


@pytest.mark.parametrize(("megabytes", "tasks", "ranges"), [(1, 640, 1), (100, 4, 4), (100, 640, 6), (10_000, 4, 156)])
def test_the_number_of_tasks_follows_from_the_size(megabytes: int, tasks: int, ranges: int) -> None:
    shard = list_shards("package://sample")[0]
    large = NumberedShard(0, type(shard)(shard.uri, megabytes * MIB, 0, 1_000_000))

    source = ShardSource([large], COLUMNS, pa.schema([]), tasks=tasks, counts=Counts(None))

    assert len(source) == ranges
    assert source.estimate_inmemory_data_size() == pytest.approx(2 * megabytes * MIB, rel=0.001)


def test_of_a_shard_only_row_groups_with_chosen_rows_are_read(tmp_path: Path, store: CountingStore) -> None:
    shard = written(tmp_path, 1000)
    retried = NumberedShard(2, shard.shard, chosen=(7, 20_000))

    source = ShardSource([retried], COLUMNS, pa.schema([]), tasks=1, counts=Counts(None))
    ids = ids_of(source)

    assert ids == retried.row_ids().tolist()
    assert store.bytes < 3 * MIB  # most of it the footer


def test_of_large_row_groups_only_pieces_are_in_memory(
    tmp_path: Path, store: CountingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(documents, "_LARGE_GROUP", 8 * MIB)
    monkeypatch.setattr(documents, "_PIECE", MIB)
    monkeypatch.setattr(source_module, "_LEAST_BYTES", 64 * MIB)
    shard = written(tmp_path, 1)
    (task,) = ShardSource([shard], COLUMNS, pa.schema([]), tasks=1, counts=Counts(None)).get_read_tasks(1)

    next(tables := iter(task()))

    assert store.bytes < 5 * MIB
    assert sum(map(len, tables)) == ROWS - 256
    assert store.bytes <= 1.2 * shard.shard.size
