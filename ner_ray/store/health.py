"""A run's progress, and whether its committed files are complete and intact: from the run directory, without Ray."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ner_ray.errors import RunError
from ner_ray.store.drift import Drift, drift
from ner_ray.store.file_checks import Checked, Finding, check_files, compare_types
from ner_ray.store.history import History, tallies, tally_of
from ner_ray.store.lease import holder_of
from ner_ray.store.row_runs import Runs
from ner_ray.store.run import RunDirectory
from ner_ray.store.tally import Tally
from ner_ray.store.wave_files import OutputFile, read_ids
from ner_ray.store.waves import ROW_BITS, Wave

_FILES_TOGETHER = 64

# Called with a function, groups of files, and further arguments of the function.
Spread = Callable[..., Iterable[Checked]]


def in_threads(work: Callable[..., Checked], groups: Sequence[Any], *shared: Any) -> Iterator[Checked]:
    """Checks files in this process; each group is read by threads."""
    return (work(group, *shared) for group in groups)


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
    record, history = run.record(), run.history()
    if not record and not history.planned:
        raise RunError(f"there is no run in {uri}")
    left = sum(wave.rows - _written(run, wave) for wave in history.waves(history.open))
    rows = _rows(history.shards("ordinal", "rows", "replaces", "missing"))
    committed = history.table("tally", "removed", "counts", "committed", "chosen")
    rate = _rate(map(json.loads, committed["counts"].drop_null().to_pylist()))
    return Status(
        run=run.uri,
        waves=len(history.planned),
        committed=len(history.committed),
        rows=rows,
        done=rows - left,
        tally=tally_of(committed),
        drift=drift(tallies(_of_whole_shards(committed), "tally")),
        quarantined=record.get("last", {}).get("quarantined", {}),
        missing={numbered.shard.uri: numbered.rows for numbered in run.missing()},
        rate=rate,
        eta=left / rate if rate else None,
        driver=holder_of(run.store, run.path),
        last_commit=pc.max(committed["committed"]).as_py(),
    )


def _rows(shards: pa.Table) -> int:
    """The number of rows in the shards of all waves, each once, without those that a later wave replaces."""
    there = shards.filter(pc.invert(shards["missing"]))
    ordinals, first = np.unique(there["ordinal"].to_numpy(), return_index=True)
    replaced = np.isin(ordinals, there["replaces"].drop_null().to_numpy())
    return int(there["rows"].to_numpy()[first[~replaced]].sum())


def _of_whole_shards(waves: pa.Table) -> pa.Table:
    """Without the waves that retry documents."""
    chosen = waves["chosen"].combine_chunks()
    retried = pc.list_parent_indices(chosen).filter(pc.is_valid(pc.list_flatten(chosen)))
    return waves.take(np.setdiff1d(np.arange(len(waves)), retried.to_numpy()))


def _written(run: RunDirectory, wave: Wave) -> int:
    files = [file for file in read_ids(run.store, run.data_path(wave)) if isinstance(file, OutputFile)]
    written = Runs.joined(file.rows for file in files).union()
    return len(written.where(wave.holds(written.firsts)))


def _rate(counted: Iterable[dict[str, Any]]) -> float | None:
    timed = [counts for counts in counted if counts.get("seconds")]
    seconds = sum(counts["seconds"] for counts in timed)
    return sum(counts.get("documents", 0) for counts in timed) / seconds if seconds else None


def verify(uri: str, spread: Spread = in_threads) -> tuple[int, list[Finding]]:
    """Reads every committed file completely and compares it with the manifests.

    The checksum of each page is verified, each input row of a committed wave must occur exactly once, and all files
    must read as one table.

    Args:
        uri: the run directory.
        spread: what does the work, a group of files at a time, and yields its results in any order.

    Returns:
        The number of rows read, and the discrepancies.

    Raises:
        RunError: there is no run, or nothing is committed.
    """
    run = RunDirectory(uri)
    history = run.history()
    described = history.table("paths", "path_rows")
    paths, rows = (pc.list_flatten(described[name].combine_chunks()) for name in ("paths", "path_rows"))
    known = dict(zip(paths.to_pylist(), rows.to_pylist(), strict=True))
    if not (files := [(path, known[path]) for path in history.files()]):
        raise run.nothing_committed()
    schema = run.record().get("schema", "")
    groups = [files[at : at + _FILES_TOGETHER] for at in range(0, len(files), _FILES_TOGETHER)]
    checked = list(spread(check_files, groups, uri, schema))
    findings = [finding for group in checked for finding in group.findings]
    if not schema:  # of an earlier version, which did not record it
        unreadable = {finding.place for finding in findings}
        findings += compare_types(run.store, [path for path in run.files() if path not in unreadable])
    found = Runs.joined(group.rows for group in checked)
    return len(found), [*findings, *_compare(run, history, found)]


def _compare(run: RunDirectory, history: History, found: Runs) -> list[Finding]:
    """Compares the number of rows in and out of each shard; `found` are those in all committed files."""
    expected = _current(history)
    ordinals, at = np.unique(found.firsts >> ROW_BITS, return_inverse=True)  # the shard is in the upper bits
    out = dict(zip(ordinals.tolist(), np.bincount(at, found.stops - found.firsts).astype(int).tolist(), strict=True))
    findings = [
        Finding(uri, f"{rows} rows in, {out.get(ordinal, 0)} out")
        for ordinal, uri, rows in zip(*(expected[name].to_pylist() for name in ("ordinal", "uri", "rows")), strict=True)
        if out.get(ordinal, 0) != rows
    ]
    foreign = out.keys() - set(expected["ordinal"].to_pylist())
    findings += [Finding(run.uri, f"{out[ordinal]} rows that belong to no shard") for ordinal in sorted(foreign)]
    duplicates = len(found) - len(found.union())
    return findings + ([Finding(run.uri, f"{duplicates} duplicate rows")] if duplicates else [])


def _current(history: History) -> pa.Table:
    """The shards of committed waves, each once, without those that a later committed wave replaces."""
    shards = history.shards("ordinal", "uri", "rows", "replaces", "missing")
    committed = np.isin(shards["wave"].to_numpy(), list(history.committed)) & ~shards["missing"].to_numpy()
    there = shards.filter(pa.array(committed))
    ordinals, first = np.unique(there["ordinal"].to_numpy(), return_index=True)
    return there.take(first[~np.isin(ordinals, there["replaces"].drop_null().to_numpy())])
