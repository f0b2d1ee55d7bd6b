"""A wave's shards as a Ray datasource.

One of our own, since a row must carry its shard's and its own number as one int64 id: Ray's checkpoint needs a small
unique id that survives every stage.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
from ray.data import Datasource, ReadTask
from ray.data.block import BlockMetadata

from ner_ray.store.documents import Columns, read_rows
from ner_ray.store.run import NumberedShard

_MIN_ROWS_PER_TASK = 16


class ShardSource(Datasource):  # type: ignore[misc]  # Ray has no types
    """The rows of some shards, in ranges that are read by one task each.

    How many is settled here: Ray would split what too few tasks read, and split the parts again after the filter of
    a resumed wave, down to blocks of one row.
    """

    def __init__(self, shards: Sequence[NumberedShard], columns: Columns, schema: pa.Schema, tasks: int) -> None:
        super().__init__()
        self._columns = columns
        self._schema = schema
        total = sum(numbered.shard.rows for numbered in shards)
        most = max(_MIN_ROWS_PER_TASK, -(-total // tasks))
        self._ranges = [
            (numbered, first, min(first + most, numbered.shard.rows))
            for numbered in shards
            for first in range(0, numbered.shard.rows, most)
        ]

    def __len__(self) -> int:
        return len(self._ranges)

    def estimate_inmemory_data_size(self) -> int:
        """About twice the size of what is read of the files."""
        return sum(_size(*part) for part in self._ranges)

    def get_read_tasks(
        self,
        parallelism: int,  # noqa: ARG002  # Ray's signature
        per_task_row_limit: int | None = None,
        data_context: object = None,  # noqa: ARG002  # Ray's signature
    ) -> list[ReadTask]:
        """One for each range."""
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
