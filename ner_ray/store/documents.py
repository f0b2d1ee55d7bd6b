"""Reads shards into rows of one shape: row id, document id, text, labels, kept columns.

A row id is one int64 that holds the shard's ordinal and the row's number. Text that is not valid UTF-8 and row groups
that cannot be decoded make their own rows fail, not the job. That values have the types in which they are kept is made
sure of before the job starts (`store.run_schema`).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from ner_ray.errors import ErrorCode, InputError
from ner_ray.schema import (
    ANSWERS,
    CHUNKS,
    DOC_ID,
    ERROR,
    ERRORS,
    EXCHANGES,
    KEPT_CHUNKS,
    KEPT_EXCHANGES,
    LABELS,
    ROW_ID,
    TEXT,
    error_to_row,
    with_column,
)
from ner_ray.storage import open_store
from ner_ray.store.column_types import plain
from ner_ray.store.column_values import as_plain, as_text, valid_text
from ner_ray.store.ids import id_texts
from ner_ray.store.naming import partitions
from ner_ray.store.shards import Shard, open_parquet, require_unchanged
from ner_ray.store.waves import NumberedShard
from ner_ray.text.usable import decoded
from ner_ray.types import ErrorRecord

_BATCH_ROWS = 256
_LARGE_GROUP = 1 << 28  # bytes, unpacked
_PIECE = 1 << 23


@dataclass(frozen=True, slots=True)
class Columns:
    """The role of each input column that is read.

    Attributes:
        text: the column with the text.
        doc_id: the column with the document id; None for ids made of the file's name in the run and the row number.
        labels: the column with a label set per row, or None.
        keep: columns to copy to the output, each once.
        max_characters: texts longer than this are not annotated.
        answers: whether recorded answers are read as well (see `ANSWERS`).
    """

    text: str
    doc_id: str | None
    labels: str | None
    keep: tuple[str, ...]
    max_characters: int
    answers: bool = False

    def wanted(self) -> list[str]:
        """The columns to read, each once."""
        named = [self.text, self.doc_id, self.labels, *self.keep, *(ANSWERS if self.answers else ())]
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
        ChangedInputError: the file is gone or has changed since it was planned.
    """
    return _read(numbered, lambda group: range(max(first, group.start), min(stop, group.stop)), columns, schema)


def read_groups(
    numbered: NumberedShard, first: int, stop: int, columns: Columns, schema: pa.Schema
) -> Iterator[pa.Table]:
    """The rows of the row groups that begin among the rows `first:stop`; otherwise like `read_rows`.

    A row group can only be decoded from its beginning. Where several tasks share a shard, each row group is thus read
    by exactly one of them, and the tasks need not know the row groups beforehand.
    """
    return _read(numbered, lambda group: group if first <= group.start < stop else range(0), columns, schema)


def _read(
    numbered: NumberedShard, wanted: Callable[[range], range], columns: Columns, schema: pa.Schema
) -> Iterator[pa.Table]:
    """The wanted rows of each row group, given the numbers of its rows."""
    require_unchanged(numbered.shard)
    store, path = open_store(numbered.shard.address)
    with store.open_input_file(path) as stream:
        file = _opened(stream)
        own, of_folders = _where(file.schema_arrow.names, numbered.shard, columns)
        for group, rows in enumerate(_row_groups(file.metadata)):
            done, last = (span := wanted(rows)).start, span.stop
            if not _chosen(numbered, span):
                continue
            try:
                for row, batch in _batches(file, stream, group, rows.start, own):
                    begin, end = max(done - row, 0), min(last - row, batch.num_rows)
                    if begin < end:
                        part = _with_constants(pa.Table.from_batches([batch]).slice(begin, end - begin), of_folders)
                        yield _rows(part, numbered, range(row + begin, row + end), columns, schema)
                        done = row + end
                    if done >= last:
                        break
            except _UndecodableError as error:
                yield _corrupt_rows(numbered, range(done, last), columns, schema, str(error))


def _opened(stream: pa.NativeFile) -> pq.ParquetFile:
    """The file; of large row groups, only pieces are in memory, not whole columns."""
    file = open_parquet(stream)
    groups = range(file.metadata.num_row_groups)
    if max((file.metadata.row_group(group).total_byte_size for group in groups), default=0) < _LARGE_GROUP:
        return file
    return open_parquet(stream, metadata=file.metadata, buffer_size=_PIECE, pre_buffer=False)


class _UndecodableError(Exception):
    """The bytes of a row group are there, but not what they should be."""


def _batches(
    file: pq.ParquetFile, stream: pa.NativeFile, group: int, begins: int, columns: list[str]
) -> Iterator[tuple[int, pa.RecordBatch]]:
    """The batches of a row group, each with the number of its first row.

    Raises:
        _UndecodableError: the next batch cannot be decoded. No other error is taken for that.
    """
    batches = file.iter_batches(batch_size=_BATCH_ROWS, row_groups=[group], columns=columns)
    row = begins
    while True:
        try:
            batch = next(batches, None)
        except (pa.ArrowException, OSError) as error:
            if not _bytes_can_be_read(stream, file.metadata.row_group(group)):
                raise  # an error of the store, which may be temporary: Ray retries the task
            raise _UndecodableError(f"{type(error).__name__}: {str(error).splitlines()[0]}") from error
        if batch is None:
            return
        yield row, batch
        row += batch.num_rows


def _where(names: Sequence[str], shard: Shard, columns: Columns) -> tuple[list[str], dict[str, str | None]]:
    """The wanted columns that are in the file, and the values of those that only its folders hold."""
    own = [name for name in columns.wanted() if name in names]
    of_folders = partitions(shard.uri, shard.name)
    return own, {name: of_folders[name] for name in columns.wanted() if name not in names and name in of_folders}


def _with_constants(table: pa.Table, values: Mapping[str, str | None]) -> pa.Table:
    for name, value in values.items():
        table = table.append_column(name, pa.repeat(pa.scalar(value, pa.string()), len(table)))
    return table


def _row_groups(metadata: pq.FileMetaData) -> Iterator[range]:
    """The numbers of the rows of each row group."""
    row = 0
    for group in range(metadata.num_row_groups):
        rows = metadata.row_group(group).num_rows
        yield range(row, row + rows)
        row += rows


def _chosen(numbered: NumberedShard, span: range) -> Sequence[int]:
    """The numbers of those rows within a span that are to be read."""
    if numbered.chosen is None:
        return span
    return numbered.chosen[bisect_left(numbered.chosen, span.start) : bisect_left(numbered.chosen, span.stop)]


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
    roles = {columns.text: pa.string(), columns.doc_id: pa.string(), columns.labels: pa.list_(pa.string())}
    kinds = roles | {name: schema.field(name).type for name in columns.keep} | (ANSWERS if columns.answers else {})
    empty = {name: pa.nulls(count, kind) for name, kind in kinds.items() if name}
    table = _rows(pa.table(empty), numbered, numbers, columns, schema)
    error = ErrorRecord(ErrorCode.CORRUPT_SHARD, "read", f"the row group cannot be decoded: {reason}")
    table = with_column(table, ERRORS, pa.list_(ERROR), [[error_to_row(error)]] * table.num_rows)
    chosen = [row_id - numbered.first_row_id() for row_id in table[ROW_ID].to_pylist()]
    return with_column(table, DOC_ID, pa.string(), _numbered_ids(numbered, chosen))


def _rows(batch: pa.Table, numbered: NumberedShard, span: range, columns: Columns, schema: pa.Schema) -> pa.Table:
    """The rows that the shard numbers `span`, without those that are not chosen."""
    batch = as_plain(batch)
    numbers = _chosen(numbered, span)
    if numbered.chosen is not None:
        batch = batch.take(pa.array([number - span.start for number in numbers], pa.int64()))
    texts, errors = texts_of(batch[columns.text], columns.max_characters)
    table = {
        ROW_ID: pa.array([numbered.first_row_id() + number for number in numbers], pa.int64()),
        DOC_ID: id_texts(batch[columns.doc_id]) if columns.doc_id else _numbered_ids(numbered, numbers),
        TEXT: pa.array(texts, pa.large_string()),
        ERRORS: pa.array(errors, pa.list_(ERROR)),
    }
    if columns.labels:
        table[LABELS] = label_sets(batch[columns.labels])
    if columns.answers:
        table |= {CHUNKS: batch[KEPT_CHUNKS].cast(ANSWERS[KEPT_CHUNKS])}
        table |= {EXCHANGES: batch[KEPT_EXCHANGES].cast(ANSWERS[KEPT_EXCHANGES])}
    for name in columns.keep:
        if name not in table:
            table[name] = _kept(batch[name], schema.field(name), numbered)
    return pa.table(table)


def _kept(column: pa.ChunkedArray, field: pa.Field, numbered: NumberedShard) -> pa.ChunkedArray:
    """A column in the type in which it is kept.

    Raises:
        InputError: a value is not one of that type, because the file has changed since it was checked.
    """
    try:
        if column.null_count == len(column):  # of a type that the column has by chance
            return pa.chunked_array([pa.nulls(len(column), field.type)])
        return valid_text(column if column.type == field.type else column.cast(field.type))
    except pa.ArrowException as error:
        raise InputError(
            f"{numbered.shard.uri}: column {field.name!r} cannot be kept as {field.type}: {error}"
        ) from error


def label_sets(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column of label sets, one per row, as lists of names."""
    return as_text(column.cast(plain(column.type)), pa.list_(pa.string()))


def _numbered_ids(numbered: NumberedShard, numbers: Sequence[int]) -> pa.Array:
    return pa.array([f"{numbered.shard.name}:{number}" for number in numbers], pa.string())


def texts_of(column: pa.ChunkedArray, longest: int) -> tuple[list[str], list[list[dict[str, str]]]]:
    """Texts, and the errors of each as rows; a text that cannot be annotated is empty and has one error."""
    raw = column.cast(pa.large_binary()).to_pylist()
    pairs = [decoded(value, longest) for value in raw]
    return [text for text, _ in pairs], [[error_to_row(error)] if error else [] for _, error in pairs]
