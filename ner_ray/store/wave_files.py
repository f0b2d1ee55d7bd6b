"""A wave's output files: repaired after a driver was killed, joined and checked before a commit.

The files themselves are authoritative: no list of written rows is kept beside them, which after a kill might name too
many or too few (a file was cut short, or a worker of the dead driver wrote once more).

Row ids are int64, unique within a run and in no particular order; most are consecutive (`ner_ray.store.row_runs`).
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pyarrow import fs

from ner_ray.schema import ROW_ID
from ner_ray.storage import join
from ner_ray.store.column_values import as_plain, conformed
from ner_ray.store.row_runs import Runs
from ner_ray.store.run_schema import derive, typed_files
from ner_ray.store.waves import Ids

_LOG = logging.getLogger(__name__)

_READERS = 16

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Layout:
    """Files with fewer than `min_rows` are joined, to at most `max_rows`, in row groups of `group_rows`."""

    min_rows: int = 0
    max_rows: int = 1_000_000
    group_rows: int = 5_000


@dataclass(frozen=True, slots=True)
class OutputFile:
    """A readable output file.

    Attributes:
        path: on the store.
        size: in bytes.
        rows: the ids of its rows, in the order of the rows.
    """

    path: str
    size: int
    rows: Runs


def tidy(
    store: fs.FileSystem, folder: str, belongs: Callable[[Ids], NDArray[np.bool_]] | None = None
) -> list[OutputFile]:
    """Deletes unreadable files and duplicate rows; returns the files that remain.

    Invariant: every row id is in at most one of the files returned, and at most once. The first of duplicates stays,
    in the order of the files' names and their rows. A kill during a rewrite leaves more duplicates, which the next call
    removes, but never loses a row: the new file is complete before the old one is deleted.

    Rows are looked at one by one only in files that share a range of ids with others.

    Args:
        store: the filesystem that holds the folder.
        folder: the output files of a wave.
        belongs: a mask of the rows to keep, given row ids of which each stands for all of its shard; None for all.
    """
    files = _readable(store, folder)
    runs = Runs.joined(file.rows for file in files)
    doubtful = runs.overlapping()
    if belongs:
        doubtful |= ~belongs(runs.firsts)
    owners = np.repeat(np.arange(len(files)), [len(file.rows.firsts) for file in files])
    doubtful_files = [files[at] for at in np.unique(owners[doubtful])]
    masks = {file.path: mask for file, mask in zip(doubtful_files, _masks(doubtful_files, belongs), strict=True)}
    kept: list[OutputFile] = []
    for file in files:
        if file.path not in masks or masks[file.path].all():
            kept.append(file)
        else:
            mask = masks[file.path]
            _LOG.warning("file.rewritten path=%s rows_dropped=%d", file.path, int((~mask).sum()))
            kept += _rewritten(store, file.path, mask, folder)
    return kept


def _masks(files: Sequence[OutputFile], belongs: Callable[[Ids], NDArray[np.bool_]] | None) -> list[NDArray[np.bool_]]:
    """For each file a mask of its rows: those that belong, and are in no file before it and in no row before."""
    if not files:
        return []
    ids = np.concatenate([file.rows.ids for file in files])
    keep = _first_of_each(ids)
    if belongs:
        keep &= belongs(ids)
    return np.split(keep, np.cumsum([len(file.rows) for file in files[:-1]], dtype=np.int64))


def _readable(store: fs.FileSystem, folder: str) -> list[OutputFile]:
    """The files of a folder; those that cannot be read are deleted."""
    files = []
    for file in read_ids(store, folder):
        if isinstance(file, OutputFile):
            files.append(file)
        else:
            _LOG.warning("file.dropped path=%s reason=unreadable", file)
            store.delete_file(file)
    return files


def _first_of_each(ids: Ids) -> NDArray[np.bool_]:
    """A mask of shape (rows,): the first position of each id. One stable sort brings equal ids together, in order."""
    order = np.argsort(ids, kind="stable")
    ordered = ids[order]
    first = np.ones(len(ids), bool)
    first[order[1:]] = ordered[1:] != ordered[:-1]
    return first


def read_ids(store: fs.FileSystem, folder: str) -> list[OutputFile | str]:
    """All Parquet files in a folder, in the order of their names; of those that cannot be read only the path."""
    infos = store.get_file_info(fs.FileSelector(folder, allow_not_found=True))
    files = [info for info in infos if info.is_file and info.path.endswith(".parquet")]
    files.sort(key=lambda info: info.path)
    with ThreadPoolExecutor(_READERS) as threads:
        return list(threads.map(partial(_output_file, store), files))


def _output_file(store: fs.FileSystem, info: fs.FileInfo) -> OutputFile | str:
    try:
        ids = pq.read_table(info.path, columns=[ROW_ID], filesystem=store)[ROW_ID].to_numpy()
    except pa.ArrowInvalid:  # no valid Parquet footer: a writer was killed
        return str(info.path)
    return OutputFile(info.path, info.size, Runs.of(ids))


def _rewritten(store: fs.FileSystem, path: str, keep: NDArray[np.bool_], folder: str) -> list[OutputFile]:
    """Copies the rows of `keep`, a mask of shape (rows,), to a new file; deletes the old one once that is complete."""
    files = [_copy(store, path, pa.array(keep), folder)] if keep.any() else []
    store.delete_file(path)
    return files


def _copy(store: fs.FileSystem, path: str, keep: Any, folder: str) -> OutputFile:  # an Arrow array of bool
    """Copies the rows of `keep`, a mask of length rows, to a new file of `folder`, with row groups of the same size."""
    with pq.ParquetFile(path, filesystem=store) as file:
        rows = as_plain(file.read()).filter(keep)
        return write_rows(store, folder, [rows], file.metadata.row_group(0).num_rows)


def write_rows(store: fs.FileSystem, folder: str, rows: Iterable[pa.Table], group_rows: int) -> OutputFile:
    """Writes tables of rows, at least one, to a new file of a folder."""
    store.create_dir(folder, recursive=True)
    path = join(folder, f"part-{uuid.uuid4().hex}.parquet")
    tables = _regrouped(rows, group_rows)
    first = next(tables)
    runs = []
    with (
        store.open_output_stream(path) as stream,
        pq.ParquetWriter(stream, first.schema, compression="zstd", write_page_checksum=True) as file,
    ):
        for table in chain([first], tables):
            file.write_table(table, row_group_size=group_rows)
            runs.append(Runs.of(table[ROW_ID].to_numpy()))
    return OutputFile(path, store.get_file_info(path).size, Runs.joined(runs))


def _regrouped(tables: Iterable[pa.Table], rows: int) -> Iterator[pa.Table]:
    """The same rows in tables of at least `rows` rows each, the last excepted."""
    pending: list[pa.Table] = []
    for table in tables:
        pending.append(table)
        if sum(map(len, pending)) >= rows:
            yield pa.concat_tables(pending)
            pending = []
    if pending:
        yield pa.concat_tables(pending)


def compact(store: fs.FileSystem, files: list[OutputFile], folder: str, layout: Layout) -> list[OutputFile]:
    """Joins small files, with only as many in memory as fill a row group, then deletes them; returns all files."""
    small = [file for file in files if len(file.rows) < layout.min_rows]
    if len(small) < 2:  # a single file has nothing to be joined with
        return files
    joined = []
    # An earlier start of the wave may have written narrower types, or no hashes.
    schema = derive(typed_files(store, [file.path for file in small]))
    for group in grouped(small, lambda file: len(file.rows), layout.max_rows):
        tables = (conformed(pq.read_table(file.path, filesystem=store), schema) for file in group)
        joined.append(write_rows(store, folder, tables, layout.group_rows))
    for file in small:
        store.delete_file(file.path)
    return [file for file in files if len(file.rows) >= layout.min_rows] + joined


def grouped(items: Iterable[_T], size: Callable[[_T], int], most: int) -> Iterator[list[_T]]:
    """Consecutive items in groups of a total size of at most `most`; a larger item forms a group of its own."""
    group: list[_T] = []
    for item in items:
        if group and sum(map(size, group)) + size(item) > most:
            yield group
            group = []
        group.append(item)
    if group:
        yield group


def without(store: fs.FileSystem, paths: Sequence[str], ids: Ids, folder: str) -> tuple[list[str], list[OutputFile]]:
    """Removes rows without changing a file.

    Args:
        store: the filesystem of all paths.
        paths: the files to look into.
        ids: of the rows to remove.
        folder: where new files go.

    Returns:
        The files that hold any of these rows, and new files with the other rows of those.
    """
    touched: list[str] = []
    rewritten: list[OutputFile] = []
    for path in paths:
        row_ids = pq.read_table(path, columns=[ROW_ID], filesystem=store)[ROW_ID]
        removed = pc.is_in(row_ids, pa.array(ids))  # a mask over the file's rows
        if not pc.any(removed).as_py():
            continue
        touched.append(path)
        if not pc.all(removed).as_py():
            rewritten.append(_copy(store, path, pc.invert(removed), folder))
    return touched, rewritten
