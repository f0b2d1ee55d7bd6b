"""Reads shards into rows of one shape: row id, document id, text, labels, kept columns.

A row id is one int64 that holds the shard's ordinal and the row's number. Text that is not valid UTF-8 and row groups
that cannot be decoded make their own rows fail, not the job.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from ner_ray.errors import ErrorCode
from ner_ray.schema import DOC_ID, ERROR, ERRORS, LABELS, ROW_ID, TEXT, error_to_row, with_column
from ner_ray.storage import open_store
from ner_ray.store.shards import require_unchanged
from ner_ray.store.waves import NumberedShard
from ner_ray.text.usable import decoded
from ner_ray.types import ErrorRecord

_BATCH_ROWS = 256


@dataclass(frozen=True, slots=True)
class Columns:
    """The role of each input column that is read.

    Attributes:
        text: the column with the text.
        doc_id: the column with the document id; None for ids made of file name and row number.
        labels: the column with a label set per row, or None.
        keep: columns to copy to the output.
        max_characters: texts longer than this are not annotated.
    """

    text: str
    doc_id: str | None
    labels: str | None
    keep: tuple[str, ...]
    max_characters: int

    def wanted(self) -> list[str]:
        """The columns to read, each once."""
        named = [self.text, self.doc_id, self.labels, *self.keep]
        return list(dict.fromkeys(name for name in named if name))


def read_rows(
    numbered: NumberedShard, first: int, stop: int, columns: Columns, schema: pa.Schema
) -> Iterator[pa.Table]:
    """The rows `first:stop` of a shard, in tables of at most 256 rows; only the row groups that hold them are read.

    Args:
        numbered: the shard.
        first: number of the first row.
        stop: number of the row after the last.
        columns: what to read.
        schema: types of the kept columns, to which every shard is cast.

    Raises:
        InputError: the file is gone or has changed since it was planned.
    """
    require_unchanged(numbered.shard)
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
                    raise  # an error of the store, which may be temporary: Ray retries the task
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
    """Whether the store delivers a row group's bytes, so that a failure to decode them is the file's own fault."""
    try:
        stream.seek(group.column(0).dictionary_page_offset or group.column(0).data_page_offset)
        stream.read(sum(group.column(number).total_compressed_size for number in range(group.num_columns)))
    except OSError:
        return False
    return True


def _corrupt_rows(
    numbered: NumberedShard, numbers: range, columns: Columns, schema: pa.Schema, reason: str
) -> pa.Table:
    """Rows that the footer lists but that cannot be decoded: each gets an error, and the other rows go on."""
    count = len(numbers)
    kept = {name: pa.nulls(count, schema.field(name).type) for name in columns.keep}
    empty = {columns.text: pa.nulls(count, pa.string())}
    if columns.doc_id:
        empty[columns.doc_id] = _numbered_ids(numbered, numbers)
    if columns.labels:
        empty[columns.labels] = pa.nulls(count, pa.list_(pa.string()))
    error = ErrorRecord(ErrorCode.CORRUPT_SHARD, "read", f"the row group cannot be decoded: {reason}")
    table = _rows(pa.table(kept | empty), numbered, numbers, columns, schema)
    return with_column(table, ERRORS, pa.list_(ERROR), [[error_to_row(error)]] * table.num_rows)


def _rows(batch: pa.Table, numbered: NumberedShard, span: range, columns: Columns, schema: pa.Schema) -> pa.Table:
    """The rows that the shard numbers `span`, without those that are not chosen."""
    numbers: Sequence[int] = span
    if numbered.chosen is not None:  # ascending, so those within the span are one slice
        numbers = numbered.chosen[bisect_left(numbered.chosen, span.start) : bisect_left(numbered.chosen, span.stop)]
        batch = batch.take(pa.array([number - span.start for number in numbers], pa.int64()))
    texts, errors = texts_of(batch[columns.text], columns.max_characters)
    table = {
        ROW_ID: pa.array([numbered.first_row_id() + number for number in numbers], pa.int64()),
        DOC_ID: _doc_ids(batch, numbered, numbers, columns),
        TEXT: pa.array(texts, pa.large_string()),
        ERRORS: pa.array(errors, pa.list_(ERROR)),
    }
    if columns.labels:
        table[LABELS] = label_sets(batch[columns.labels])
    for name in columns.keep:
        if name not in table:
            table[name] = batch[name].cast(schema.field(name).type)
    return pa.table(table)


def label_sets(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column of label sets, one per row, as lists of names."""
    return column.cast(pa.list_(pa.string()))


def _doc_ids(batch: pa.Table, numbered: NumberedShard, numbers: Sequence[int], columns: Columns) -> pa.Array:
    if columns.doc_id:
        return batch[columns.doc_id].cast(pa.string())
    return _numbered_ids(numbered, numbers)


def _numbered_ids(numbered: NumberedShard, numbers: Sequence[int]) -> pa.Array:
    shard = numbered.shard.uri.rsplit("/", 1)[-1].removesuffix(".parquet")
    return pa.array([f"{shard}:{number}" for number in numbers], pa.string())


def texts_of(column: pa.ChunkedArray, longest: int) -> tuple[list[str], list[list[dict[str, str]]]]:
    """Texts, and the errors of each as rows; a text that cannot be annotated is empty and has one error."""
    raw = column.cast(pa.large_binary()).to_pylist()
    pairs = [decoded(value, longest) for value in raw]
    return [text for text, _ in pairs], [[error_to_row(error)] if error else [] for _, error in pairs]
