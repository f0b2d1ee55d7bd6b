"""Reads committed files completely, a group at a time; what is found of their rows is small enough to travel."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from ner_ray.errors import RunError
from ner_ray.schema import ROW_ID
from ner_ray.storage import join, open_store
from ner_ray.store.row_runs import Runs
from ner_ray.store.run_schema import decoded, derive, mismatch, typed_files

_READERS = 8


@dataclass(frozen=True, slots=True)
class Finding:
    """A discrepancy between a run's manifests and its files.

    Attributes:
        place: the file, shard or run concerned.
        problem: what is wrong with it.
    """

    place: str
    problem: str


@dataclass(frozen=True, slots=True)
class Checked:
    """What a group of files holds.

    Attributes:
        rows: the ids of its rows, ascending, those that are there twice included.
        findings: what is wrong with the files.
    """

    rows: Runs
    findings: list[Finding]


def check_files(files: Sequence[tuple[str, int | None]], uri: str, schema: str) -> Checked:
    """Reads some committed files of a run completely and checks their columns.

    Args:
        files: paths below the run, with the number of rows according to the manifest, or None.
        uri: the run directory.
        schema: the run's, encoded; empty if it is not known.
    """
    store, path = open_store(uri)
    paths = [join(path, name) for name, _ in files]
    with ThreadPoolExecutor(_READERS) as threads:
        read = list(threads.map(lambda path: _read(store, path), paths))
    ids = {path: found for path, found in zip(paths, read, strict=True) if not isinstance(found, str)}
    findings = [Finding(path, found) for path, found in zip(paths, read, strict=True) if isinstance(found, str)]
    findings += compare_types(store, list(ids), decoded(schema)) if schema else []
    findings += [
        Finding(path, f"{len(ids[path])} rows, the manifest says {rows}")
        for path, (_, rows) in zip(paths, files, strict=True)
        if path in ids and rows not in (None, len(ids[path]))
    ]
    ordered = np.sort(np.concatenate([np.empty(0, np.int64), *(found.ids for found in ids.values())]))
    return Checked(Runs.of(ordered), findings)


def _read(store: fs.FileSystem, path: str) -> Runs | str:
    """A file's rows, or why it cannot be read; the checksum of each page is verified."""
    try:
        with pq.ParquetFile(path, filesystem=store, page_checksum_verification=True) as file:
            return Runs.joined(Runs.of(batch[ROW_ID].to_numpy()) for batch in file.iter_batches())
    except (pa.ArrowException, OSError) as error:
        return f"cannot be read: {str(error).splitlines()[0]}"


def compare_types(store: fs.FileSystem, paths: Sequence[str], schema: pa.Schema | None = None) -> list[Finding]:
    """Compares the columns of readable files with those of their run, or with each other."""
    try:
        files = typed_files(store, paths)
        schema = schema or derive(files)
    except RunError as error:
        return [Finding(str(PurePosixPath(paths[0]).parent), error.message)]
    problems = [(file.place, mismatch(file, schema)) for file in files]
    return [Finding(place, problem) for place, problem in problems if problem]
