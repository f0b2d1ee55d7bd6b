"""A run's progress, and whether its committed files are complete and intact: from the run directory, without Ray."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from ner_ray.errors import RunError
from ner_ray.schema import ROW_ID
from ner_ray.store.drift import Drift, drift
from ner_ray.store.lease import holder_of
from ner_ray.store.manifests import tallied
from ner_ray.store.row_runs import Runs
from ner_ray.store.run import RunDirectory
from ner_ray.store.run_schema import derive, mismatch, typed_files
from ner_ray.store.shards import Shard
from ner_ray.store.tally import Tally
from ner_ray.store.wave_files import OutputFile, read_ids
from ner_ray.store.waves import ROW_BITS, Wave, missing_shards

_READERS = 8


@dataclass(frozen=True, slots=True)
class Status:
    """The progress of a run.

    Attributes:
        run: the run directory.
        waves: number of planned waves.
        committed: number of committed waves, which are those that readers see.
        rows: number of rows in the shards of all planned waves.
        done: number of these that are committed or written, and not being retried.
        tally: counts of the committed documents: entities, documents by status and error code, entities by label.
        drift: labels that the last wave found much more or less often than the waves before.
        quarantined: input files that cannot be read, with the reason, as of the last start.
        missing: input files that were planned and are gone, with their numbers of rows, as of the last start.
        rate: committed rows per second that their waves took; None before the first commit.
        eta: seconds until all rows are done at that rate; None without a rate.
        driver: the driver that is writing now, or None.
        last_commit: time of the last commit (ISO 8601, UTC), or None.
    """

    run: str
    waves: int
    committed: int
    rows: int
    done: int
    tally: Tally
    drift: dict[str, Drift]
    quarantined: dict[str, str]
    missing: dict[str, int]
    rate: float | None
    eta: float | None
    driver: str | None
    last_commit: str | None

    def to_dict(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self) | {"tally": self.tally.to_dict()}


def status(uri: str) -> Status:
    """The progress of a run, from its directory alone.

    Raises:
        RunError: there is no run.
    """
    run = RunDirectory(uri)
    record = run.record()
    waves, manifests = run.waves(), run.manifests()
    if not record and not waves:
        raise RunError(f"there is no run in {uri}")
    numbers = {manifest["wave"] for manifest in manifests}
    open_waves = [wave for wave in waves if wave.number not in numbers]
    left = sum(wave.rows - _written(run, wave) for wave in open_waves)
    rows = sum(shard.rows for shard in _current_shards(waves).values())
    rate = _rate(manifests)
    return Status(
        run=run.uri,
        waves=len(waves),
        committed=len(manifests),
        rows=rows,
        done=rows - left,
        tally=tallied(manifests),
        drift=drift(waves, manifests),
        quarantined=record.get("last", {}).get("quarantined", {}),
        missing={numbered.shard.uri: numbered.rows for numbered in missing_shards(waves)},
        rate=rate,
        eta=left / rate if rate else None,
        driver=holder_of(run.store, run.path),
        last_commit=max((manifest["committed"] for manifest in manifests if "committed" in manifest), default=None),
    )


def _current_shards(waves: Sequence[Wave]) -> dict[int, Shard]:
    """The shards of all waves by ordinal, without those that a later wave replaces."""
    replaced = {ordinal for wave in waves for ordinal in wave.replaces}
    numbered_shards = [numbered for wave in waves for numbered in wave.shards]
    return {numbered.ordinal: numbered.shard for numbered in numbered_shards if numbered.ordinal not in replaced}


def _written(run: RunDirectory, wave: Wave) -> int:
    files = [file for file in read_ids(run.store, run.data_path(wave)) if isinstance(file, OutputFile)]
    written = Runs.joined(file.rows for file in files).union()
    return len(written.where(wave.holds(written.firsts)))


def _rate(manifests: Sequence[dict[str, Any]]) -> float | None:
    timed = [manifest["counts"] for manifest in manifests if manifest["counts"].get("seconds")]
    seconds = sum(counts["seconds"] for counts in timed)
    return sum(counts.get("documents", 0) for counts in timed) / seconds if seconds else None


@dataclass(frozen=True, slots=True)
class Finding:
    """A discrepancy between a run's manifests and its files.

    Attributes:
        place: the file, shard or run concerned.
        problem: what is wrong with it.
    """

    place: str
    problem: str


def verify(uri: str) -> tuple[int, list[Finding]]:
    """Reads every committed file completely and compares it with the manifests.

    The checksum of each page is verified, each input row of a committed wave must occur exactly once, and all files
    must read as one table.

    Returns:
        The number of rows read, and the discrepancies.

    Raises:
        RunError: there is no run, or nothing is committed.
    """
    run = RunDirectory(uri)
    if not (paths := run.files()):
        raise run.nothing_committed()
    described = {file["path"]: file for manifest in run.manifests() for file in manifest["files"]}
    with ThreadPoolExecutor(_READERS) as threads:
        read = list(threads.map(lambda path: _read(run.store, path), paths))
    findings = [Finding(path, problem) for path, (_, problem) in zip(paths, read, strict=True) if problem]
    findings += _compare_types(run, [path for path, (ids, _) in zip(paths, read, strict=True) if ids is not None])
    for path, (ids, _) in zip(paths, read, strict=True):
        described_file = described[path.removeprefix(run.path).strip("/")]
        if ids is not None and len(ids) != described_file.get("rows", len(ids)):
            findings.append(Finding(path, f"{len(ids)} rows, the manifest says {described_file['rows']}"))
    row_ids = np.concatenate([ids for ids, _ in read if ids is not None] or [np.empty(0, np.int64)])
    return len(row_ids), findings + _compare(run, row_ids)


def _read(store: fs.FileSystem, path: str) -> tuple[Any, str]:
    """A file's row ids, of shape (rows,) and int64, and no problem; or None and the problem."""
    try:
        with pq.ParquetFile(path, filesystem=store, page_checksum_verification=True) as file:
            ids = [batch[ROW_ID].to_numpy() for batch in file.iter_batches()]
    except (pa.ArrowException, OSError) as error:
        return None, f"cannot be read: {str(error).splitlines()[0]}"
    return (np.concatenate(ids) if ids else np.empty(0, np.int64)), ""


def _compare_types(run: RunDirectory, paths: Sequence[str]) -> list[Finding]:
    """Compares the columns of readable files with those of the run."""
    files = typed_files(run.store, paths)
    try:
        schema = run.recorded_schema() or derive(files)
    except RunError as error:
        return [Finding(run.uri, error.message)]
    problems = [(file.place, mismatch(file, schema)) for file in files]
    return [Finding(place, problem) for place, problem in problems if problem]


def _compare(run: RunDirectory, row_ids: Any) -> list[Finding]:
    """Compares the number of rows in and out of each shard; `row_ids` are those in all committed files."""
    done = run.committed()
    waves = [wave for wave in run.waves() if wave.number in done]
    shards = _current_shards(waves)
    ordinals, counts = np.unique(row_ids >> ROW_BITS, return_counts=True)  # the shard is in the upper bits
    out = dict(zip(ordinals.tolist(), counts.tolist(), strict=True))
    findings = [
        Finding(shard.uri, f"{shard.rows} rows in, {out.get(ordinal, 0)} out")
        for ordinal, shard in shards.items()
        if out.get(ordinal, 0) != shard.rows
    ]
    findings += [
        Finding(run.uri, f"{out[ordinal]} rows that belong to no shard") for ordinal in out.keys() - shards.keys()
    ]
    duplicates = len(row_ids) - len(np.unique(row_ids))
    return findings + ([Finding(run.uri, f"{duplicates} duplicate rows")] if duplicates else [])
