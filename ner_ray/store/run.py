"""The run directory: what is planned, what is done, and what a reader may believe.

    run.json            configuration, fingerprint, versions, and at the end counts and times
    plan/NNNNN.json     the shards of a wave, frozen before it runs
    data/wave=NNNNN/    its output files
    checkpoint/NNNNN/   the ids of rows already written, while the wave is open
    manifest/NNNNN.json the files and counts of a wave that is complete: written last, by one atomic put
    lease.json          who is writing (`ner_ray.store.lease`)

A wave is open while it has a plan and no manifest. Rerunning the command resumes open waves with the very same
shards, then plans new ones. Readers believe manifests only, so they never see half a wave.

A wave may take the place of rows that are committed already: a shard that has changed, documents that are tried again.
Its manifest then names, beside its own files, those that it supersedes; what else was in these it holds anew.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import numpy as np
import pyarrow.dataset as pads
from pyarrow import fs

from ner_ray.config import differences
from ner_ray.errors import InputError, RunError
from ner_ray.storage import get_json, join, open_store, put_json
from ner_ray.store.manifests import committed_files, documents, manifests
from ner_ray.store.shards import Shard
from ner_ray.store.tally import Tally, tally
from ner_ray.store.wave_files import (
    Ids,
    Layout,
    OutputFile,
    compact,
    grouped,
    tidy,
    without,
    write_checkpoint,
)

ROW_BITS = 40  # of a row id; the shard's ordinal stands above
_READERS = 16
_AS_WRITTEN = Layout()


@dataclass(frozen=True, slots=True)
class NumberedShard:
    """A shard with its place in the run, from which row ids are made.

    Attributes:
        chosen: the numbers of the rows to read, ascending; None for all.
    """

    ordinal: int
    shard: Shard
    chosen: tuple[int, ...] | None = None

    def first_row_id(self) -> int:
        return self.ordinal << ROW_BITS

    @property
    def rows(self) -> int:
        return self.shard.rows if self.chosen is None else len(self.chosen)

    def row_ids(self) -> Ids:
        numbers = np.arange(self.shard.rows) if self.chosen is None else np.array(self.chosen)
        return self.first_row_id() + numbers.astype(np.int64)


@dataclass(frozen=True, slots=True)
class Wave:
    """Shards that are run and committed together.

    Attributes:
        replaces: ordinals of shards whose committed rows go when this wave is committed: they have changed since.
    """

    number: int
    shards: tuple[NumberedShard, ...]
    replaces: tuple[int, ...] = ()

    @property
    def rows(self) -> int:
        return sum(numbered.rows for numbered in self.shards)

    def row_ids(self) -> Ids:
        return np.concatenate([numbered.row_ids() for numbered in self.shards])


def open_run(uri: str) -> pads.Dataset:
    """A run's committed files, exactly, as a pyarrow dataset.

    Raises:
        RunError: nothing is committed yet.
    """
    return RunDirectory(uri).dataset()


class RunDirectory:
    """A run on some store; cheap to make, reads when asked."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self.store, self.path = open_store(uri)

    def record(self) -> dict[str, Any]:
        """What `run.json` says; empty for a new run."""
        return get_json(self.store, join(self.path, "run.json")) or {}

    def write_record(self, record: dict[str, Any]) -> None:
        put_json(self.store, join(self.path, "run.json"), record)

    def claim(self, fingerprint: str, settings: dict[str, Any]) -> None:
        """Makes sure that the run is new, or belongs to this very configuration.

        Raises:
            RunError: it belongs to another one; the message shows the differing keys.
        """
        record = self.record()
        if record and record.get("fingerprint") != fingerprint:
            changed = "\n".join(f"  {line}" for line in differences(record.get("settings", {}), settings))
            raise RunError(
                f"{self.uri} was written with another configuration:\n{changed}",
                hint="choose another output.path, or the former settings",
            )

    def waves(self) -> list[Wave]:
        """All planned waves, in order."""
        return [_wave_from_dict(plan) for plan in documents(self.store, join(self.path, "plan"))]

    def open_waves(self) -> list[Wave]:
        """Planned waves that are not complete."""
        done = self.committed()
        return [wave for wave in self.waves() if wave.number not in done]

    def committed(self) -> set[int]:
        """The numbers of complete waves."""
        return {manifest["wave"] for manifest in self.manifests()}

    def manifests(self) -> list[dict[str, Any]]:
        """What is committed, wave by wave."""
        return manifests(self.store, self.path)

    def plan_waves(
        self,
        shards: Sequence[Shard],
        rows_per_wave: int,
        on_change: Literal["error", "reprocess"] = "error",
        *,
        freeze: bool = True,
    ) -> list[Wave]:
        """Freezes new waves over the shards that no wave has yet, and returns all that are to be run.

        A shard that has grown a problem or has no rows is in no wave.

        Args:
            on_change: what to do about a shard that was planned and has changed since.
            freeze: False only says what would be planned.

        Raises:
            InputError: a shard has changed, and `on_change` is `error`; or it has changed and its wave is still open.
        """
        waves = self.waves()
        done = self.committed()
        current = {numbered.shard.uri: numbered for wave in waves for numbered in wave.shards}
        good = [shard for shard in shards if not shard.problem]
        changed = [shard for shard in good if shard.uri in current and _differ(shard, current[shard.uri].shard)]
        if changed:
            is_open = {one.shard.uri for wave in waves if wave.number not in done for one in wave.shards}
            _check_changed(changed, is_open, on_change)
        fresh = [shard for shard in good if shard.rows and shard.uri not in current]
        ordinal = 1 + max((numbered.ordinal for wave in waves for numbered in wave.shards), default=-1)
        numbered = [NumberedShard(ordinal + offset, shard) for offset, shard in enumerate([*changed, *fresh])]
        for group in grouped(numbered, lambda one: one.rows, rows_per_wave):
            replaces = tuple(current[one.shard.uri].ordinal for one in group if one.shard.uri in current)
            waves.append(Wave(len(waves), tuple(group), replaces))
            if freeze:
                self._freeze(waves[-1])
        return [wave for wave in waves if wave.number not in done]

    def plan_retry(self, ids: Ids) -> Wave:
        """Freezes a wave over committed rows that are to be tried once more."""
        waves = self.waves()
        shards = {numbered.ordinal: numbered for wave in waves for numbered in wave.shards}
        rows: dict[int, list[int]] = {}
        for row_id in np.sort(ids).tolist():
            rows.setdefault(row_id >> ROW_BITS, []).append(row_id & ((1 << ROW_BITS) - 1))
        chosen = (NumberedShard(number, shards[number].shard, tuple(mine)) for number, mine in rows.items())
        wave = Wave(len(waves), tuple(chosen))
        self._freeze(wave)
        return wave

    def _freeze(self, wave: Wave) -> None:
        put_json(self.store, join(self.path, "plan", f"{wave.number:05}.json"), _wave_to_dict(wave))

    def data_path(self, wave: Wave) -> str:
        """Where a wave's output files go, on the run's store."""
        return join(self.path, "data", f"wave={wave.number:05}")

    def checkpoint_path(self, wave: Wave) -> str:
        """Where Ray keeps the ids of rows already written, on the run's store."""
        return join(self.path, "checkpoint", f"{wave.number:05}")

    def journal_uri(self, wave: Wave) -> str:
        """Where a wave's answers are written down until its rows are."""
        return join(self.uri, "journal", f"{wave.number:05}")

    def resume(self, wave: Wave) -> int:
        """Brings an open wave's files and checkpoint into order; returns how many of its rows are written."""
        files = tidy(self.store, self.data_path(wave))
        write_checkpoint(self.store, self.checkpoint_path(wave), files)
        return sum(len(file.ids) for file in files)

    def commit(
        self,
        wave: Wave,
        counts: Mapping[str, Any],
        layout: Layout = _AS_WRITTEN,
        check: Callable[[], None] | None = None,
    ) -> None:
        """Makes a complete wave visible.

        Its output files are read for their row ids first: each input row must be there exactly once. Then small
        files are joined. The manifest is the last thing written; before it readers see nothing of the wave, after it
        all of it. The checkpoint and the journal, which only an open wave needs, go afterwards: a crash in between
        leaves files nobody reads.

        Args:
            counts: what the wave's work came to, for the manifest.
            layout: of the files.
            check: called without arguments right before the manifest is written, to stop a driver that has lost its
                lease.

        Raises:
            RunError: rows are missing, or foreign; the wave stays open.
        """
        folder = self.data_path(wave)
        files = tidy(self.store, folder)
        _check_ids(wave, files)
        files = compact(self.store, files, folder, layout)
        superseded, rests = self._superseded(wave)
        manifest = {
            "wave": wave.number,
            "files": self._described([*files, *rests]),
            "supersedes": [self._relative(path) for path in superseded],
            "rows": wave.rows,
            "shards": [{"ordinal": one.ordinal, "rows": one.rows} for one in wave.shards],
            "counts": dict(counts),
            "committed": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        if check:
            check()
        put_json(self.store, join(self.path, "manifest", f"{wave.number:05}.json"), manifest)
        for folder in (self.checkpoint_path(wave), join(self.path, "journal", f"{wave.number:05}")):
            if self.store.get_file_info(folder).type == fs.FileType.Directory:
                self.store.delete_dir(folder)

    def _superseded(self, wave: Wave) -> tuple[list[str], list[OutputFile]]:
        """The committed files with rows that the wave takes the place of, and new files with their other rows."""
        again = [one for one in wave.shards if one.chosen is not None]
        ordinals = {*wave.replaces, *(one.ordinal for one in again)}
        if not ordinals:
            return [], []
        touched = [one for one in self.manifests() if ordinals & {shard["ordinal"] for shard in one["shards"]}]
        mine = {file["path"] for manifest in touched for file in manifest["files"]}
        paths = [path for path in self.files() if self._relative(path) in mine]
        sizes = {one.ordinal: one.shard.rows for planned in self.waves() for one in planned.shards}
        ids = [(number << ROW_BITS) + np.arange(sizes[number], dtype=np.int64) for number in wave.replaces]
        return without(
            self.store,
            paths,
            np.concatenate([*ids, *(one.row_ids() for one in again)]),
            join(self.path, "data", f"kept={wave.number:05}"),
        )

    def described_files(self) -> list[dict[str, Any]]:
        """What manifests say about exactly the committed files: path below the run, size, rows, tally."""
        return committed_files(self.manifests())

    def files(self) -> list[str]:
        """The paths of exactly the committed files, on the store."""
        return [join(self.path, file["path"]) for file in self.described_files()]

    def dataset(self) -> pads.Dataset:
        """Exactly the committed files.

        Raises:
            RunError: there is no run, or nothing is committed yet.
        """
        files = self.files()
        if not files:
            raise self.nothing_committed()
        return pads.dataset(files, filesystem=self.store, format="parquet")

    def nothing_committed(self) -> RunError:
        """The error of a reader that finds no committed file."""
        if not self.record() and not self.waves():
            return RunError(f"there is no run in {self.uri}")
        return RunError(f"nothing is committed yet in {self.uri}", hint="run the job to its end, or see its status")

    def _relative(self, path: str) -> str:
        return path.removeprefix(self.path).strip("/")

    def tally(self) -> Tally:
        """Of exactly the committed files."""
        return sum((Tally.from_dict(file["tally"]) for file in self.described_files()), Tally())

    def _described(self, files: Sequence[OutputFile]) -> list[dict[str, Any]]:
        with ThreadPoolExecutor(_READERS) as threads:
            tallies = threads.map(lambda file: tally(self.store, file.path), files)
            return [
                {"path": self._relative(file.path), "size": file.size, "rows": len(file.ids), "tally": found.to_dict()}
                for file, found in zip(files, tallies, strict=True)
            ]


def _check_ids(wave: Wave, files: Sequence[OutputFile]) -> None:
    expected = wave.row_ids()
    ids = np.concatenate([file.ids for file in files]) if files else np.empty(0, np.int64)
    missing = len(np.setdiff1d(expected, ids))
    foreign = len(np.setdiff1d(ids, expected))
    if missing or foreign:
        raise RunError(
            f"wave {wave.number} is not complete: {len(expected)} rows in, {len(ids)} out, "
            f"{missing} missing, {foreign} foreign",
            hint="run the same command again",
        )


def _differ(now: Shard, then: Shard) -> bool:
    return (now.size, now.modified) != (then.size, then.modified)


def _check_changed(changed: Sequence[Shard], is_open: set[str], on_change: str) -> None:
    if opened := [shard.uri for shard in changed if shard.uri in is_open]:
        raise InputError(
            f"{opened[0]} has changed while its wave is open ({len(opened)} such)",
            hint="put the former file back until the run is complete, or begin another run",
        )
    if on_change == "error":
        raise InputError(
            f"{changed[0].uri} has changed since it was annotated ({len(changed)} such)",
            hint="input.on_change=reprocess annotates it anew and takes its former rows out",
        )


def _wave_to_dict(wave: Wave) -> dict[str, Any]:
    shards = [
        {"ordinal": one.ordinal, **({} if one.chosen is None else {"chosen": one.chosen}), **one.shard.to_dict()}
        for one in wave.shards
    ]
    return {"wave": wave.number, "shards": shards, "replaces": wave.replaces}


def _wave_from_dict(plan: dict[str, Any]) -> Wave:
    shards = [_numbered_from_dict(dict(shard)) for shard in plan["shards"]]
    return Wave(plan["wave"], tuple(shards), tuple(plan.get("replaces", ())))


def _numbered_from_dict(plain: dict[str, Any]) -> NumberedShard:
    ordinal, chosen = plain.pop("ordinal"), plain.pop("chosen", None)
    return NumberedShard(ordinal, Shard.from_dict(plain), None if chosen is None else tuple(chosen))
