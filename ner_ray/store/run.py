"""The run directory: what is planned, what is committed, and what a reader may rely on.

    run.json            configuration, fingerprint, versions, types of the columns; at the end, counts and times
    plan/NNNNN.json     the shards of a wave, frozen before it runs
    data/wave=NNNNN/    the output files of a wave
    data/kept=NNNNN/    the remaining rows of files that the wave supersedes
    journal/NNNNN/      the answers so far, while the wave is open (`ner_ray.store.journal`)
    manifest/NNNNN.json the files and counts of a committed wave: written last, in one atomic step
    lease.json          the driver that is writing (`ner_ray.store.lease`)

A wave is open while it has a plan and no manifest. Running the command again resumes open waves with exactly the same
shards, then plans new ones. Readers rely on manifests alone, so they never see half a wave.

A wave may replace committed rows: those of a shard that has changed, or of documents that are retried. Its manifest
then also names the files that it supersedes, and it rewrites the remaining rows of those files.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset as pads
from pyarrow import fs

from ner_ray.config import differences
from ner_ray.errors import RunError
from ner_ray.storage import get_json, join, open_store, put_json
from ner_ray.store import run_schema
from ner_ray.store.changes import OnChange
from ner_ray.store.manifests import committed_files, documents, manifests, tallied
from ner_ray.store.planning import next_waves, retry_wave, unfinished, without_files
from ner_ray.store.row_runs import Runs
from ner_ray.store.run_schema import TypedFile, typed_files
from ner_ray.store.shards import Shard
from ner_ray.store.tally import Tally, tally
from ner_ray.store.wave_files import (
    Layout,
    OutputFile,
    compact,
    tidy,
    without,
    write_rows,
)
from ner_ray.store.waves import Ids, NumberedShard, Wave, missing_shards

_READERS = 16
_AS_WRITTEN = Layout()


def open_run(uri: str) -> pads.Dataset:
    """Exactly the committed rows of a run, as a pyarrow dataset.

    Args:
        uri: the run directory, on any store: `output.path` of the job.

    Raises:
        RunError: there is no run, or nothing is committed yet.

    Example:
        >>> import ner_ray, pyarrow.dataset
        >>> failed = pyarrow.dataset.field("status") == "failed"
        >>> def failures(uri):
        ...     return ner_ray.open_run(uri).to_table(columns=["doc_id", "errors"], filter=failed)
        >>> failures("runs/none")
        Traceback (most recent call last):
        ner_ray.errors.RunError: there is no run in runs/none
    """
    return RunDirectory(uri).dataset()


class RunDirectory:
    """A run on some store. Creating one reads nothing."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self.store, self.path = open_store(uri)

    def record(self) -> dict[str, Any]:
        """The contents of `run.json`; empty for a new run."""
        return get_json(self.store, join(self.path, "run.json")) or {}

    def write_record(self, record: dict[str, Any]) -> None:
        put_json(self.store, join(self.path, "run.json"), record)

    def claim(self, fingerprint: str, settings: dict[str, Any]) -> None:
        """Makes sure that the run is new or belongs to this configuration.

        Raises:
            RunError: it belongs to another configuration; the message shows the keys that differ.
        """
        record = self.record()
        if record and record.get("fingerprint") != fingerprint:
            changed = "\n".join(f"  {line}" for line in differences(record.get("settings", {}), settings))
            raise RunError(
                f"{self.uri} was written with another configuration:\n{changed}",
                hint="choose another output.path, or restore the earlier settings",
            )

    def waves(self) -> list[Wave]:
        """All planned waves, in order."""
        return [Wave.from_dict(plan) for plan in documents(self.store, join(self.path, "plan"))]

    def open_waves(self) -> list[Wave]:
        """Planned waves that are not committed."""
        return unfinished(self.waves(), self.committed())

    def missing(self) -> list[NumberedShard]:
        """Shards that were planned, are gone, and have neither come back nor been given up."""
        return missing_shards(self.waves())

    def committed(self) -> set[int]:
        """The numbers of the committed waves."""
        return {manifest["wave"] for manifest in self.manifests()}

    def manifests(self) -> list[dict[str, Any]]:
        """The manifests of the committed waves, in order."""
        return manifests(self.store, self.path)

    def plan_waves(
        self,
        shards: Sequence[Shard],
        rows_per_wave: int,
        on_change: OnChange = "error",
        *,
        freeze: bool = True,
    ) -> list[Wave]:
        """Plans waves for the shards that no wave has yet, and returns all waves that are to be run.

        Shards that cannot be read or have no rows are in no wave. Files of open waves that are gone are set aside
        (`missing`); a wave of which all files are gone is not run until one is back or all are given up (`forget`).

        Args:
            shards: the whole input.
            rows_per_wave: maximum rows of a wave; a larger shard is a wave of its own.
            on_change: what to do about a shard that has changed since it was planned.
            freeze: write the plans of new and changed waves; if False, only return what would be planned.

        Raises:
            InputError: a shard has changed, and `on_change` is `error`.
        """
        before, committed = self.waves(), self.committed()
        waves = next_waves(before, committed, shards, rows_per_wave, on_change)
        if freeze:
            for at, wave in enumerate(waves):
                if at >= len(before) or wave != before[at]:
                    self._freeze(wave)
            self._close_empty(unfinished(waves, committed))
        return [wave for wave in unfinished(waves, committed) if wave.shards]

    def _close_empty(self, waves: Iterable[Wave]) -> None:
        """Commits open waves that have nothing left to annotate and nothing to wait for."""
        for wave in waves:
            if not wave.shards and not missing_shards([wave]):
                self.resume(wave)
                self.commit(wave, {})

    def plan_retry(self, ids: Ids, shards: Sequence[Shard]) -> Wave:
        """Plans a wave of committed rows that are to be retried; those of files that are gone or changed are set aside.

        Args:
            ids: their row ids, in any order.
            shards: the input as it is listed now, among which files that were renamed are found.

        Raises:
            InputError: none of their files is still what it was.
        """
        wave = retry_wave(self.waves(), ids, shards)
        self._freeze(wave)
        return wave

    def forget(self, uris: Collection[str]) -> list[NumberedShard]:
        """Gives up files of open waves and files that are missing; returns their shards.

        What was written of them in open waves is dropped. If such a file is in the input, it is new to the run.

        Args:
            uris: the files, by the names that the run has for them.

        Raises:
            RunError: the run does not wait for one of these files.
        """
        changed, forgotten = without_files(self.waves(), self.committed(), uris)
        for wave in changed:
            self._freeze(wave)
        self._close_empty(self.open_waves())
        return forgotten

    def _freeze(self, wave: Wave) -> None:
        put_json(self.store, join(self.path, "plan", f"{wave.number:05}.json"), wave.to_dict())

    def data_path(self, wave: Wave) -> str:
        """The folder of a wave's output files, as a path on the run's store."""
        return self._data_path(wave.number)

    def _data_path(self, wave: int) -> str:
        return join(self.path, "data", f"wave={wave:05}")

    def journal_uri(self, wave: int) -> str:
        """The folder of a wave's journal, as a URI."""
        return join(self.uri, "journal", f"{wave:05}")

    def resume(self, wave: Wave) -> Wave:
        """Repairs an open wave's files; returns the wave with only those rows that are not yet written."""
        files = tidy(self.store, self.data_path(wave), wave.holds)
        return wave.without_rows(np.sort(Runs.joined(file.rows for file in files).ids))

    def write(self, wave: int, rows: pa.Table, group_rows: int) -> None:
        """Writes rows of an open wave to a new file."""
        write_rows(self.store, self._data_path(wave), [rows], group_rows)

    def commit(
        self,
        wave: Wave,
        counts: Mapping[str, Any],
        layout: Layout = _AS_WRITTEN,
        check: Callable[[], None] | None = None,
    ) -> None:
        """Makes a complete wave visible.

        First the row ids in its output files are checked: each input row must occur exactly once. Then small files are
        joined. The manifest is written last: before it, readers see nothing of the wave; after it, all of it. The
        journal, which only an open wave needs, is deleted afterwards: a crash in between leaves files that nobody
        reads.

        Args:
            wave: an open wave whose rows are all written.
            counts: what happened while the wave ran, for the manifest.
            layout: row counts of the output files.
            check: called without arguments right before the manifest is written, to stop a driver that has lost its
                lease.

        Raises:
            RunError: rows are missing, or do not belong to the wave; the wave stays open.
        """
        folder = self.data_path(wave)
        files = tidy(self.store, folder)
        _check_ids(wave, files)
        files = compact(self.store, files, folder, layout)
        superseded, rewritten = self._superseded(wave)
        manifest = {
            "wave": wave.number,
            "files": [
                *self._described(files),
                *(
                    described | {"ordinals": file.rows.ordinals}
                    for file, described in zip(rewritten, self._described(rewritten), strict=True)
                ),
            ],
            "supersedes": [self._relative(path) for path in superseded],
            "rows": wave.rows,
            "shards": [{"ordinal": numbered.ordinal, "rows": numbered.rows} for numbered in wave.shards],
            "counts": dict(counts),
            "committed": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        if check:
            check()
        put_json(self.store, join(self.path, "manifest", f"{wave.number:05}.json"), manifest)
        journal = join(self.path, "journal", f"{wave.number:05}")
        if self.store.get_file_info(journal).type == fs.FileType.Directory:
            self.store.delete_dir(journal)

    def _superseded(self, wave: Wave) -> tuple[list[str], list[OutputFile]]:
        """The committed files with rows that the wave replaces, and new files with their remaining rows."""
        retried = [numbered for numbered in wave.shards if numbered.chosen is not None]
        ordinals = {*wave.replaces, *(numbered.ordinal for numbered in retried)}
        if not ordinals:
            return [], []
        may_hold = {
            file["path"]
            for manifest in self.manifests()
            for file in manifest["files"]
            if _may_hold(ordinals, file, manifest)
        }
        paths = [path for path in self.files() if self._relative(path) in may_hold]
        shards = {numbered.ordinal: numbered for planned in self.waves() for numbered in planned.shards}
        replaced = [NumberedShard(ordinal, shards[ordinal].shard).row_ids() for ordinal in wave.replaces]
        return without(
            self.store,
            paths,
            np.concatenate([*replaced, *(numbered.row_ids() for numbered in retried)]),
            join(self.path, "data", f"kept={wave.number:05}"),
        )

    def described_files(self) -> list[dict[str, Any]]:
        """Exactly the committed files, as manifests describe them: path below the run, size, rows, tally."""
        return committed_files(self.manifests())

    def files(self) -> list[str]:
        """Exactly the committed files, as paths on the store."""
        return [join(self.path, file["path"]) for file in self.described_files()]

    def dataset(self) -> pads.Dataset:
        """Exactly the committed rows, as a pyarrow dataset.

        Raises:
            RunError: there is no run, or nothing is committed yet.
        """
        files = self.files()
        if not files:
            raise self.nothing_committed()
        return pads.dataset(files, self.schema(), filesystem=self.store, format="parquet")

    def schema(self) -> pa.Schema:
        """The columns of the run's rows, as its last wave recorded them; empty for a new run.

        Raises:
            RunError: an earlier version, which did not record them, has written files that do not agree.
        """
        return self.recorded_schema() or run_schema.derive(self.typed_files())

    def recorded_schema(self) -> pa.Schema | None:
        """The columns of the run's rows as `run.json` has them; None for runs of earlier versions."""
        recorded = self.record().get("schema")
        return run_schema.decoded(recorded) if recorded else None

    def typed_files(self) -> list[TypedFile]:
        """The committed files with the types of their columns."""
        return typed_files(self.store, self.files())

    def nothing_committed(self) -> RunError:
        """The error for a reader that finds no committed file."""
        if not self.record() and not self.waves():
            return RunError(f"there is no run in {self.uri}")
        return RunError(
            f"nothing is committed yet in {self.uri}", hint="let the run finish; `ner-ray status` shows its progress"
        )

    def _relative(self, path: str) -> str:
        return path.removeprefix(self.path).strip("/")

    def tally(self) -> Tally:
        """The counts of all committed documents."""
        return tallied(self.manifests())

    def _described(self, files: Sequence[OutputFile]) -> list[dict[str, Any]]:
        with ThreadPoolExecutor(_READERS) as threads:
            tallies = threads.map(lambda file: tally(self.store, file.path), files)
            return [
                {
                    "path": self._relative(file.path),
                    "size": file.size,
                    "rows": len(file.rows),
                    "tally": counts.to_dict(),
                }
                for file, counts in zip(files, tallies, strict=True)
            ]


def _may_hold(ordinals: set[int], file: Mapping[str, Any], manifest: Mapping[str, Any]) -> bool:
    """Whether a committed file may hold rows of the shards, so that it has to be opened."""
    if "ordinals" in file:
        return not ordinals.isdisjoint(file["ordinals"])
    # Remaining rows of superseded files may be those of any shard; earlier versions do not say of which.
    return file["path"].startswith("data/kept=") or any(shard["ordinal"] in ordinals for shard in manifest["shards"])


def _check_ids(wave: Wave, files: Sequence[OutputFile]) -> None:
    """Makes sure that the files hold exactly the wave's rows; `tidy` has already removed duplicates."""
    rows = Runs.joined(file.rows for file in files).ordered()
    there = sum(map(rows.count, wave.shards))
    missing, foreign = wave.rows - there, len(rows) - there
    if missing or foreign:
        raise RunError(
            f"wave {wave.number} is not complete: {wave.rows} rows in, {len(rows)} out, "
            f"{missing} missing, {foreign} foreign",
            hint="run the same command again",
        )
