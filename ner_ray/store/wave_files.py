"""A wave's output files: brought into order after a driver was killed, counted before a commit.

What the files hold is the truth. Ray's own checkpoint says which rows are written; after a kill it may say too much
or too little (a file cut short, a worker of the dead driver that wrote once more). So it is made anew from the files
before a wave goes on.
"""

from __future__ import annotations

import logging
import uuid
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pyarrow import fs

from ner_ray.schema import ROW_ID
from ner_ray.uris import join

_LOG = logging.getLogger(__name__)

_READERS = 16

Ids = NDArray[np.int64]


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
    files = (
        [write_rows(store, folder, pq.read_table(path, filesystem=store).filter(pa.array(keep)))] if keep.any() else []
    )
    store.delete_file(path)
    return files


def write_rows(store: fs.FileSystem, folder: str, rows: pa.Table) -> OutputFile:
    """Writes rows as one more file of a folder."""
    store.create_dir(folder, recursive=True)
    path = join(folder, f"part-{uuid.uuid4().hex}.parquet")
    with store.open_output_stream(path) as stream:
        pq.write_table(rows, stream, compression="zstd", write_page_checksum=True)
    return OutputFile(path, store.get_file_info(path).size, rows[ROW_ID].to_numpy())


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


def compact(store: fs.FileSystem, files: list[OutputFile], folder: str, least: int, most: int) -> list[OutputFile]:
    """Joins files of fewer than `least` rows into some of at most `most`; the small ones go afterwards."""
    small = [file for file in files if len(file.ids) < least]
    if len(small) < 2:  # one alone has nothing to be joined with
        return files
    joined: list[OutputFile] = []
    pending: list[pa.Table] = []
    for file in small:
        table = pq.read_table(file.path, filesystem=store)
        if pending and sum(len(one) for one in pending) + len(table) > most:
            joined.append(write_rows(store, folder, pa.concat_tables(pending)))
            pending = []
        pending.append(table)
    joined.append(write_rows(store, folder, pa.concat_tables(pending)))
    for file in small:
        store.delete_file(file.path)
    return [file for file in files if len(file.ids) >= least] + joined


def count_errors(store: fs.FileSystem, files: Sequence[OutputFile]) -> dict[str, int]:
    """How many documents have each error code, and each status but `ok`."""
    counts: Counter[str] = Counter()
    for file in files:
        table = pq.read_table(file.path, columns=["errors"], filesystem=store) if _has_errors(store, file) else None
        if table is None:
            continue
        for errors in table["errors"].to_pylist():
            counts.update({error["code"] for error in errors or ()})
    return dict(sorted(counts.items()))


def _has_errors(store: fs.FileSystem, file: OutputFile) -> bool:
    return "errors" in pq.read_schema(file.path, filesystem=store).names


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
            rests.append(write_rows(store, folder, pq.read_table(path, filesystem=store).filter(pc.invert(gone))))
    return touched, rests
