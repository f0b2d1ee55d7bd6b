"""What a run directory says about itself: how far it is, and whether all it promises is there. No cluster needed."""

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
from ner_ray.store.run import ROW_BITS, RunDirectory, Wave
from ner_ray.store.shards import Shard
from ner_ray.store.tally import Tally
from ner_ray.store.wave_files import read_ids

_READERS = 8


@dataclass(frozen=True, slots=True)
class Status:
    """How far a run is.

    Attributes:
        waves: planned ones.
        committed: waves that readers see.
        rows: of all shards in planned waves.
        done: those that are committed or written, and not to be tried again.
        tally: of the committed documents: entities, documents by status and error code, entities by label.
        drift: labels that the last wave found much more or less often than the waves before.
        quarantined: input files that cannot be read, with the reason, as of the last run.
        rate: committed rows a second of the time that their waves took; None before the first.
        eta: seconds that the open rows will take at that rate; None where there is none.
        driver: who is writing now, or None.
    """

    run: str
    waves: int
    committed: int
    rows: int
    done: int
    tally: Tally
    drift: dict[str, Drift]
    quarantined: dict[str, str]
    rate: float | None
    eta: float | None
    driver: str | None
    last_commit: str | None

    def to_dict(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self) | {"tally": self.tally.to_dict()}


def status(uri: str) -> Status:
    """How far a run is, from its directory alone.

    Raises:
        RunError: there is no run.
    """
    run = RunDirectory(uri)
    record = run.record()
    waves, manifests = run.waves(), run.manifests()
    if not record and not waves:
        raise RunError(f"there is no run in {uri}")
    numbers = {manifest["wave"] for manifest in manifests}
    waiting = [wave for wave in waves if wave.number not in numbers]
    left = sum(wave.rows - _written(run, wave) for wave in waiting)
    rows = sum(shard.rows for shard in _current_shards(waves).values())
    rate = _rate(manifests)
    return Status(
        run=run.uri,
        waves=len(waves),
        committed=len(manifests),
        rows=rows,
        done=rows - left,
        tally=run.tally(),
        drift=drift(waves, manifests),
        quarantined=record.get("last", {}).get("quarantined", {}),
        rate=rate,
        eta=left / rate if rate else None,
        driver=holder_of(run.store, run.path),
        last_commit=max((one["committed"] for one in manifests if "committed" in one), default=None),
    )


def _current_shards(waves: Sequence[Wave]) -> dict[int, Shard]:
    """By their ordinals, without those that other waves replace."""
    gone = {ordinal for wave in waves for ordinal in wave.replaces}
    return {one.ordinal: one.shard for wave in waves for one in wave.shards if one.ordinal not in gone}


def _written(run: RunDirectory, wave: Wave) -> int:
    ids = [file.ids for file in read_ids(run.store, run.data_path(wave)) if file.ids is not None]
    return len(np.unique(np.concatenate(ids))) if ids else 0


def _rate(manifests: Sequence[dict[str, Any]]) -> float | None:
    timed = [one for one in manifests if one["counts"].get("seconds")]
    seconds = sum(one["counts"]["seconds"] for one in timed)
    return sum(one["counts"].get("documents", 0) for one in timed) / seconds if seconds else None


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as the run says."""

    place: str
    problem: str


def verify(uri: str) -> tuple[int, list[Finding]]:
    """Reads every committed file whole and compares with what the manifests say; returns rows read and findings.

    Each page's checksum is compared with its bytes; each input row of a committed wave must be there exactly once.

    Raises:
        RunError: there is no run, or nothing is committed.
    """
    run = RunDirectory(uri)
    if not (paths := run.files()):
        raise run.nothing_committed()
    sizes = {file["path"]: file for manifest in run.manifests() for file in manifest["files"]}
    with ThreadPoolExecutor(_READERS) as threads:
        read = list(threads.map(lambda path: _read(run.store, path), paths))
    findings = [Finding(path, problem) for path, (_, problem) in zip(paths, read, strict=True) if problem]
    for path, (ids, _) in zip(paths, read, strict=True):
        said = sizes[path.removeprefix(run.path).strip("/")]
        if ids is not None and len(ids) != said.get("rows", len(ids)):
            findings.append(Finding(path, f"{len(ids)} rows, the manifest says {said['rows']}"))
    found = np.concatenate([ids for ids, _ in read if ids is not None] or [np.empty(0, np.int64)])
    return len(found), findings + _compare(run, found)


def _read(store: fs.FileSystem, path: str) -> tuple[Any, str]:
    try:
        with pq.ParquetFile(path, filesystem=store, page_checksum_verification=True) as file:
            ids = [batch[ROW_ID].to_numpy() for batch in file.iter_batches()]
    except (pa.ArrowException, OSError) as error:
        return None, f"cannot be read: {str(error).splitlines()[0]}"
    return (np.concatenate(ids) if ids else np.empty(0, np.int64)), ""


def _compare(run: RunDirectory, found: Any) -> list[Finding]:
    """Rows in against rows out, shard by shard."""
    done = run.committed()
    waves = [wave for wave in run.waves() if wave.number in done]
    shards = _current_shards(waves)
    ordinals, counts = np.unique(found >> ROW_BITS, return_counts=True)
    out = dict(zip(ordinals.tolist(), counts.tolist(), strict=True))
    findings = [
        Finding(shard.uri, f"{shard.rows} rows in, {out.get(ordinal, 0)} out")
        for ordinal, shard in shards.items()
        if out.get(ordinal, 0) != shard.rows
    ]
    findings += [Finding(run.uri, f"{out[ordinal]} rows of no shard") for ordinal in out.keys() - shards.keys()]
    doubled = len(found) - len(np.unique(found))
    return findings + ([Finding(run.uri, f"{doubled} rows are there more than once")] if doubled else [])
