"""Reads a wave's shards into rows of one shape: row id, document id, text, labels, kept columns.

A Ray datasource of our own, since a row must carry its shard's and its own number as one int64 id (Ray's checkpoint
wants a small unique id that survives every stage), and since text that is no valid UTF-8 must cost its row, not
the job.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq
from ray.data import Datasource, ReadTask
from ray.data.block import BlockMetadata

from ner_ray.schema import DOC_ID, ERROR, ERRORS, LABELS, ROW_ID, TEXT, with_column
from ner_ray.storage import open_store
from ner_ray.store.run import NumberedShard

_BATCH_ROWS = 256
_LEAST_ROWS_PER_TASK = 16


@dataclass(frozen=True, slots=True)
class Columns:
    """Which columns of the input are what."""

    text: str
    doc_id: str | None
    labels: str | None
    keep: tuple[str, ...]
    max_characters: int

    def wanted(self) -> list[str]:
        """The columns to read, each once."""
        named = [self.text, self.doc_id, self.labels, *self.keep]
        return list(dict.fromkeys(name for name in named if name))


class ShardSource(Datasource):  # type: ignore[misc]  # Ray has no types
    """The rows of some shards, in ranges that are read by a task each.

    How many is settled here. Ray would split what too few tasks read, and split the parts again behind the filter of
    a wave that goes on, down to blocks of one row.
    """

    def __init__(self, shards: Sequence[NumberedShard], columns: Columns, schema: pa.Schema, tasks: int) -> None:
        super().__init__()
        self._columns = columns
        self._schema = schema
        total = sum(numbered.shard.rows for numbered in shards)
        most = max(_LEAST_ROWS_PER_TASK, -(-total // tasks))
        self._ranges = [
            (numbered, first, min(first + most, numbered.shard.rows))
            for numbered in shards
            for first in range(0, numbered.shard.rows, most)
        ]

    def __len__(self) -> int:
        return len(self._ranges)

    def estimate_inmemory_data_size(self) -> int:
        """About twice the size of what is read of the files."""
        return sum(_size(*one) for one in self._ranges)

    def get_read_tasks(
        self,
        parallelism: int,  # noqa: ARG002  # Ray's signature
        per_task_row_limit: int | None = None,
        data_context: object = None,  # noqa: ARG002  # Ray's signature
    ) -> list[ReadTask]:
        """One for each range."""
        return [self._task(*one, per_task_row_limit) for one in self._ranges]

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


def read_rows(
    numbered: NumberedShard, first: int, stop: int, columns: Columns, schema: pa.Schema
) -> Iterator[pa.Table]:
    """The rows `first:stop` of a shard, some hundred at a time; only their row groups are read.

    Args:
        numbered: the shard.
        first: number of the first row.
        stop: number of the row after the last.
        columns: what to read.
        schema: of the kept columns, which all shards are cast to.
    """
    store, path = open_store(numbered.shard.uri)
    with store.open_input_file(path) as stream:
        file = pq.ParquetFile(stream)
        for group, begins in _row_groups(file.metadata, first, stop):
            row = begins
            last = min(stop, row + file.metadata.row_group(group).num_rows)
            done = max(first, row)
            try:
                for batch in file.iter_batches(batch_size=_BATCH_ROWS, row_groups=[group], columns=columns.wanted()):
                    begin, end = max(first - row, 0), min(last - row, batch.num_rows)
                    if begin < end:
                        part = pa.Table.from_batches([batch]).slice(begin, end - begin)
                        yield _rows(part, numbered, range(row + begin, row + end), columns, schema)
                        done = row + end
                    row += batch.num_rows
            except (pa.ArrowException, OSError) as error:
                if not _bytes_can_be_read(stream, file.metadata.row_group(group)):
                    raise  # the store's trouble, which may pass: Ray tries again
                yield _corrupt_rows(numbered, range(done, last), columns, schema, type(error).__name__)


def _row_groups(metadata: pq.FileMetaData, first: int, stop: int) -> Iterator[tuple[int, int]]:
    """The row groups that hold rows `first:stop`, each with the number of its first row."""
    row = 0
    for group in range(metadata.num_row_groups):
        rows = metadata.row_group(group).num_rows
        if row < stop and row + rows > first:
            yield group, row
        row += rows


def _bytes_can_be_read(stream: pa.NativeFile, group: pq.RowGroupMetaData) -> bool:
    """Whether the store gives a row group's bytes, so that what cannot be read is the file's own fault."""
    try:
        stream.seek(group.column(0).dictionary_page_offset or group.column(0).data_page_offset)
        stream.read(sum(group.column(number).total_compressed_size for number in range(group.num_columns)))
    except OSError:
        return False
    return True


def _corrupt_rows(
    numbered: NumberedShard, numbers: range, columns: Columns, schema: pa.Schema, reason: str
) -> pa.Table:
    """Rows that are in a shard by its footer but cannot be decoded: they fail one by one, the others go on."""
    count = len(numbers)
    lost = {name: pa.nulls(count, schema.field(name).type) for name in columns.keep}
    empty = {columns.text: pa.nulls(count, pa.string())}
    if columns.doc_id:
        empty[columns.doc_id] = _numbered_ids(numbered, numbers)
    if columns.labels:
        empty[columns.labels] = pa.nulls(count, pa.list_(pa.string()))
    problem = _problem("corrupt_shard", f"the row group cannot be decoded: {reason}")
    table = _rows(pa.table(lost | empty), numbered, numbers, columns, schema)
    return with_column(table, ERRORS, pa.list_(ERROR), [[problem]] * table.num_rows)


def _rows(batch: pa.Table, numbered: NumberedShard, place: range, columns: Columns, schema: pa.Schema) -> pa.Table:
    numbers: Sequence[int] = place
    if numbered.chosen is not None:
        numbers = numbered.chosen[bisect_left(numbered.chosen, place.start) : bisect_left(numbered.chosen, place.stop)]
        batch = batch.take(pa.array([number - place.start for number in numbers], pa.int64()))
    texts, errors = _texts(batch[columns.text], columns.max_characters)
    table = {
        ROW_ID: pa.array([numbered.first_row_id() + number for number in numbers], pa.int64()),
        DOC_ID: _doc_ids(batch, numbered, numbers, columns),
        TEXT: pa.array(texts, pa.large_string()),
        ERRORS: pa.array(errors, pa.list_(ERROR)),
    }
    if columns.labels:
        table[LABELS] = batch[columns.labels].cast(pa.list_(pa.string()))
    for name in columns.keep:
        if name not in table:
            table[name] = batch[name].cast(schema.field(name).type)
    return pa.table(table)


def _doc_ids(batch: pa.Table, numbered: NumberedShard, numbers: Sequence[int], columns: Columns) -> pa.Array:
    if columns.doc_id:
        return batch[columns.doc_id].cast(pa.string())
    return _numbered_ids(numbered, numbers)


def _numbered_ids(numbered: NumberedShard, numbers: Sequence[int]) -> pa.Array:
    shard = numbered.shard.uri.rsplit("/", 1)[-1].removesuffix(".parquet")
    return pa.array([f"{shard}:{number}" for number in numbers], pa.string())


def _texts(column: pa.ChunkedArray, longest: int) -> tuple[list[str], list[list[dict[str, str]]]]:
    """Texts, empty where there is none that can be annotated, and the reasons."""
    raw = column.cast(pa.large_binary()).to_pylist()
    pairs = [_text(value, longest) for value in raw]
    return [text for text, _ in pairs], [errors for _, errors in pairs]


def _text(value: bytes | None, longest: int) -> tuple[str, list[dict[str, str]]]:
    if value is None:
        return "", [_problem("null_text", "the text is null")]
    try:
        text = value.decode()
    except UnicodeDecodeError as error:
        return "", [_problem("invalid_utf8", f"byte {error.start}: {error.reason}")]
    if len(text) > longest:
        return "", [_problem("too_long", f"{len(text)} characters; input.max_characters is {longest}")]
    return text, []


def _problem(code: str, message: str) -> dict[str, str]:
    return {"code": code, "stage": "read", "message": message}
