"""A wave's output files: brought into order after a driver was killed, counted before a commit.

What the files hold is the truth. Ray's own checkpoint says which rows are written; after a kill it may say too much
or too little (a file cut short, a worker of the dead driver that wrote once more). So it is made anew from the files
before a wave goes on.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
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

_LOG = logging.getLogger(__name__)

_READERS = 16

_T = TypeVar("_T")
Ids = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Layout:
    """Files of fewer than `min_rows` are joined, to `max_rows` at most, in row groups of `group_rows`."""

    min_rows: int = 0
    max_rows: int = 1_000_000
    group_rows: int = 5_000


@dataclass(frozen=True, slots=True)
class OutputFile:
    """A readable output file: its path on the store, its size in bytes, and the ids of its rows."""

    path: str
    size: int
    ids: Ids


def tidy(store: fs.FileSystem, folder: str) -> list[OutputFile]:
    """The files below `folder`, after those that cannot be read are gone and no row is in two of them."""
    kept: list[OutputFile] = []
    seen: Ids = np.empty(0, np.int64)
    for file in read_ids(store, folder):
        if file.ids is None:
            _LOG.warning("file.dropped path=%s reason=unreadable", file.path)
            store.delete_file(file.path)
            continue
        fresh = ~np.isin(file.ids, seen)
        fresh[np.setdiff1d(np.arange(len(fresh)), np.unique(file.ids, return_index=True)[1])] = False
        if fresh.all():
            kept.append(OutputFile(file.path, file.size, file.ids))
        else:
            _LOG.warning("file.rewritten path=%s doubled=%d", file.path, int((~fresh).sum()))
            kept += _rewritten(store, file.path, fresh, folder)
        seen = np.concatenate([seen, file.ids[fresh]])
    return kept


@dataclass(frozen=True, slots=True)
class _Found:
    path: str
    size: int
    ids: Any  # of int64; None if unreadable


def read_ids(store: fs.FileSystem, folder: str) -> list[_Found]:
    """All Parquet files in a folder, in order of their names, with the ids of their rows or None."""
    infos = store.get_file_info(fs.FileSelector(folder, allow_not_found=True))
    files = sorted(
        (info for info in infos if info.is_file and info.path.endswith(".parquet")), key=lambda one: one.path
    )
    with ThreadPoolExecutor(_READERS) as threads:
        return list(threads.map(lambda info: _Found(info.path, info.size, _ids(store, info.path)), files))


def _ids(store: fs.FileSystem, path: str) -> Any:
    try:
        return pq.read_table(path, columns=[ROW_ID], filesystem=store)[ROW_ID].to_numpy()
    except pa.ArrowInvalid:  # no footer, or one that is not Parquet's: a writer was killed
        return None


def _rewritten(store: fs.FileSystem, path: str, keep: NDArray[np.bool_], folder: str) -> list[OutputFile]:
    """A file without some of its rows, in another file; the old one goes when the new one is whole."""
    files = [_copy(store, path, pa.array(keep), folder)] if keep.any() else []
    store.delete_file(path)
    return files


def _copy(store: fs.FileSystem, path: str, keep: Any, folder: str) -> OutputFile:  # Arrow's array of bool
    """Some of a file's rows in another file of `folder`, in row groups of the same size."""
    with pq.ParquetFile(path, filesystem=store) as file:
        rows = file.read().filter(keep)
        return write_rows(store, folder, [rows], file.metadata.row_group(0).num_rows)


def write_rows(store: fs.FileSystem, folder: str, rows: Iterable[pa.Table], group_rows: int) -> OutputFile:
    """Writes tables of rows, at least one, as one more file of a folder."""
    store.create_dir(folder, recursive=True)
    path = join(folder, f"part-{uuid.uuid4().hex}.parquet")
    tables = _regrouped(rows, group_rows)
    first = next(tables)
    ids = []
    with (
        store.open_output_stream(path) as stream,
        pq.ParquetWriter(stream, first.schema, compression="zstd", write_page_checksum=True) as file,
    ):
        for table in chain([first], tables):
            file.write_table(table, row_group_size=group_rows)
            ids.append(table[ROW_ID].to_numpy())
    return OutputFile(path, store.get_file_info(path).size, np.concatenate(ids))


def _regrouped(tables: Iterable[pa.Table], rows: int) -> Iterator[pa.Table]:
    """The same rows in tables that make whole row groups, as far as there are so many."""
    pending: list[pa.Table] = []
    for table in tables:
        pending.append(table)
        if sum(map(len, pending)) >= rows:
            yield pa.concat_tables(pending)
            pending = []
    if pending:
        yield pa.concat_tables(pending)


def write_checkpoint(store: fs.FileSystem, folder: str, files: Sequence[OutputFile]) -> None:
    """Replaces Ray's checkpoint of written rows by one that says what the files hold."""
    if store.get_file_info(folder).type == fs.FileType.Directory:
        store.delete_dir(folder)
    ids = np.concatenate([file.ids for file in files]) if files else np.empty(0, np.int64)
    if not len(ids):
        return
    store.create_dir(folder, recursive=True)
    with store.open_output_stream(join(folder, "written.parquet")) as stream:
        pq.write_table(pa.table({ROW_ID: ids}), stream)


def compact(store: fs.FileSystem, files: list[OutputFile], folder: str, layout: Layout) -> list[OutputFile]:
    """Joins small files, of which no more are in memory than a row group takes; the small ones go afterwards."""
    small = [file for file in files if len(file.ids) < layout.min_rows]
    if len(small) < 2:  # one alone has nothing to be joined with
        return files
    joined = []
    for group in grouped(small, lambda file: len(file.ids), layout.max_rows):
        tables = (pq.read_table(file.path, filesystem=store) for file in group)
        joined.append(write_rows(store, folder, tables, layout.group_rows))
    for file in small:
        store.delete_file(file.path)
    return [file for file in files if len(file.ids) >= layout.min_rows] + joined


def grouped(items: Iterable[_T], size: Callable[[_T], int], most: int) -> Iterator[list[_T]]:
    """Neighbours in groups of at most `most` together; one that is larger makes a group of its own."""
    group: list[_T] = []
    for item in items:
        if group and sum(map(size, group)) + size(item) > most:
            yield group
            group = []
        group.append(item)
    if group:
        yield group


def without(store: fs.FileSystem, paths: Sequence[str], ids: Ids, folder: str) -> tuple[list[str], list[OutputFile]]:
    """Which files hold rows of `ids`, and new files below `folder` with their other rows."""
    touched: list[str] = []
    rests: list[OutputFile] = []
    for path in paths:
        mine = pq.read_table(path, columns=[ROW_ID], filesystem=store)[ROW_ID]
        gone = pc.is_in(mine, pa.array(ids))
        if not pc.any(gone).as_py():
            continue
        touched.append(path)
        if not pc.all(gone).as_py():
            rests.append(_copy(store, path, pc.invert(gone), folder))
    return touched, rests
