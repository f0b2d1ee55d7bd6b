"""The shards of waves as a Ray datasource.

Ray's own Parquet reader will not do: each row needs a small unique id that survives every stage, and only this source
knows the numbers of shard and row that make one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import pyarrow as pa
from ray.data import Datasource, ReadTask
from ray.data.block import BlockMetadata

from ner_ray.errors import ChangedInputError
from ner_ray.pipeline.progress import Counts
from ner_ray.store.documents import Columns, read_groups
from ner_ray.store.waves import NumberedShard

# Bytes of a file that one task reads: enough for the footer, which every task reads, to weigh little, and few enough
# for several tasks to read a large file side by side.
_LEAST_BYTES = 16 << 20
_MOST_BYTES = 64 << 20


class ShardSource(Datasource):  # type: ignore[misc]  # Ray has no types
    """The rows of some shards, in ranges of which one task each reads the row groups that begin there.

    Each file is read once, whatever its row groups and the number of tasks. The number of tasks is fixed here:
    otherwise Ray would split the output of too few tasks.

    Args:
        shards: in the order in which they are to be read.
        columns: what to read.
        schema: types of the kept columns.
        tasks: desired number of tasks; there are fewer if there is little to read, and more if it is much.
        counts: is told which shards are gone or have changed: their rows are missing, and all others are read.
    """

    def __init__(
        self, shards: Sequence[NumberedShard], columns: Columns, schema: pa.Schema, tasks: int, counts: Counts
    ) -> None:
        super().__init__()
        self._columns = columns
        self._schema = schema
        self._counts = counts
        share = sum(numbered.shard.size for numbered in shards) // tasks
        bytes_per_task = min(max(share, _LEAST_BYTES), _MOST_BYTES)
        self._ranges = [part for numbered in shards for part in _ranges(numbered, bytes_per_task)]

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
        columns, schema, counts = self._columns, self._schema, self._counts
        metadata = BlockMetadata(
            num_rows=None,  # known only once the footer has been read
            size_bytes=_size(numbered, first, stop),
            input_files=[numbered.shard.uri],
            exec_stats=None,
        )

        def read() -> Iterator[pa.Table]:
            try:
                yield from read_groups(numbered, first, stop, columns, schema)
            except ChangedInputError as error:  # its wave stays open; the others need not wait
                counts.leave_open(numbered.ordinal, str(error))

        return ReadTask(read, metadata, per_task_row_limit=limit)


def _ranges(numbered: NumberedShard, bytes_per_task: int) -> Iterator[tuple[NumberedShard, int, int]]:
    rows = numbered.shard.rows
    parts = max(1, min(round(numbered.shard.size / bytes_per_task), rows))
    edges = [rows * part // parts for part in range(parts + 1)]
    return ((numbered, first, stop) for first, stop in pairwise(edges))


def _size(numbered: NumberedShard, first: int, stop: int) -> int:
    return 2 * numbered.shard.size * (stop - first) // numbered.shard.rows
