"""A wave's shards as a Ray datasource.

Ray's own Parquet reader will not do: its checkpoint needs a small unique id per row that survives every stage, and only
this source knows the numbers of shard and row that make one.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
from ray.data import Datasource, ReadTask
from ray.data.block import BlockMetadata

from ner_ray.store.documents import Columns, read_rows
from ner_ray.store.waves import NumberedShard

_MIN_ROWS_PER_TASK = 16


class ShardSource(Datasource):  # type: ignore[misc]  # Ray has no types
    """The rows of some shards, in ranges that are read by one task each.

    The number of ranges is fixed here. Otherwise Ray would split the output of too few tasks, and after the filter of a
    resumed wave split it again, down to blocks of one row.

    Args:
        shards: of one wave.
        columns: what to read.
        schema: types of the kept columns.
        tasks: desired number of ranges; there are more of them if shards are many, and fewer if they have few rows.
    """

    def __init__(self, shards: Sequence[NumberedShard], columns: Columns, schema: pa.Schema, tasks: int) -> None:
        super().__init__()
        self._columns = columns
        self._schema = schema
        total = sum(numbered.shard.rows for numbered in shards)
        rows_per_task = max(_MIN_ROWS_PER_TASK, -(-total // tasks))
        self._ranges = [
            (numbered, first, min(first + rows_per_task, numbered.shard.rows))
            for numbered in shards
            for first in range(0, numbered.shard.rows, rows_per_task)
        ]

    def __len__(self) -> int:
        return len(self._ranges)

    def estimate_inmemory_data_size(self) -> int:
        """About twice the size of the ranges in the files, in bytes."""
        return sum(_size(*part) for part in self._ranges)

    def get_read_tasks(
        self,
        parallelism: int,  # noqa: ARG002  # Ray's signature
        per_task_row_limit: int | None = None,
        data_context: object = None,  # noqa: ARG002  # Ray's signature
    ) -> list[ReadTask]:
        """One task per range."""
        return [self._task(*part, per_task_row_limit) for part in self._ranges]

    def _task(self, numbered: NumberedShard, first: int, stop: int, limit: int | None) -> ReadTask:
        columns, schema = self._columns, self._schema
        metadata = BlockMetadata(
            num_rows=stop - first,
            size_bytes=_size(numbered, first, stop),
            input_files=[numbered.shard.uri],
            exec_stats=None,
        )
        return ReadTask(lambda: read_rows(numbered, first, stop, columns, schema), metadata, per_task_row_limit=limit)


def _size(numbered: NumberedShard, first: int, stop: int) -> int:
    return 2 * numbered.shard.size * (stop - first) // numbered.shard.rows
