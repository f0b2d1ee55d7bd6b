"""The run directory: what is planned, what is committed, and what a reader may rely on.

    run.json            configuration, fingerprint, versions, types of the columns; at the end, counts and times
    plan/NNNNN.json     the shards of a wave, frozen before it runs
    data/wave=NNNNN/    the output files of a wave
    data/kept=NNNNN/    the remaining rows of files that the wave supersedes
    journal/NNNNN/      the answers so far, while the wave is open (`ner_ray.store.journal`)
    manifest/NNNNN.json the files and counts of a committed wave: written last, in one atomic step
    snapshot/           what plans and manifests say, in one file: a cache (`ner_ray.store.snapshot`)
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
import pyarrow.compute as pc
import pyarrow.dataset as pads
from pyarrow import fs

from ner_ray.config import differences
from ner_ray.errors import RunError
from ner_ray.storage import get_json, join, normalized, open_store, put_json
from ner_ray.store import run_schema
from ner_ray.store.changes import OnChange
from ner_ray.store.comparison import Listing, completed, concern
from ner_ray.store.history import BETWEEN_SNAPSHOTS, History, tally_of, waves_of
from ner_ray.store.manifests import manifests, tallied
from ner_ray.store.planning import next_waves, retry_wave, without_files
from ner_ray.store.row_runs import Runs
from ner_ray.store.run_schema import TypedFile, typed_files
from ner_ray.store.shards import Shard
from ner_ray.store.snapshot import SHARDS
from ner_ray.store.tally import Tally, tally
from ner_ray.store.wave_files import (
    Layout,
    OutputFile,
    compact,
    tidy,
    without,
    write_rows,
)
from ner_ray.store.waves import ROW_BITS, Ids, NumberedShard, Wave, missing_shards

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
        self._commits = 0  # by this process
        self._read: dict[tuple[int | None, ...], Any] = {}  # see `History`

    def __reduce__(self) -> tuple[type[RunDirectory], tuple[str]]:
        # Workers need nothing of what was read here, and have a working directory of their own.
        return RunDirectory, (normalized(self.uri),)

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

    def history(self) -> History:
        """What is planned and committed now."""
        return History(self.store, self.path, self._read)

    def waves(self) -> list[Wave]:
        """All planned waves, in order."""
        return self.history().waves()

    def open_waves(self) -> list[Wave]:
        """Planned waves that are not committed."""
        history = self.history()
        return history.waves(history.open)

    def missing(self) -> list[NumberedShard]:
        """Shards that were planned, are gone, and have neither come back nor been given up."""
        history = self.history()
        if not pc.any(history.shards("missing")["missing"]).as_py():
            return []
        shards = history.shards("uri", "missing")
        named = pc.is_in(shards["uri"], shards["uri"].filter(shards["missing"]).combine_chunks())
        return missing_shards(waves_of(history.shards(*SHARDS).filter(named)))

    def committed(self) -> set[int]:
        """The numbers of the committed waves."""
        return self.history().committed

    def manifests(self) -> list[dict[str, Any]]:
        """The manifests of the committed waves, in order."""
        return manifests(self.store, self.path)

    def plan_waves(
        self,
        shards: Listing | Sequence[Shard],
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
        history = self.history()
        found = concern(history, shards if isinstance(shards, Listing) else Listing.of(shards))
        settled, new = next_waves(found, history.committed, rows_per_wave, on_change)
        unfinished = [wave for wave in (*settled, *new) if wave.number not in history.committed]
        if freeze:
            before = {wave.number: wave for wave in found.waves}
            changed = [wave for wave in settled if wave != before[wave.number]]
            self._freeze_all([*(self._whole(history, wave) for wave in changed), *new])
            self._close_empty(unfinished)
            history.snapshot()
        return [wave for wave in unfinished if wave.shards]

    def _whole(self, history: History, wave: Wave) -> Wave:
        return completed(wave, history.waves([wave.number])[0]) if wave.number in history.committed else wave

    def _close_empty(self, waves: Iterable[Wave]) -> None:
        """Commits open waves that have nothing left to annotate and nothing to wait for."""
        for wave in waves:
            if not wave.shards and not missing_shards([wave]):
                self.resume(wave)
                self.commit(wave, {})

    def plan_retry(self, ids: Ids, shards: Listing | Sequence[Shard]) -> Wave:
        """Plans a wave of committed rows that are to be retried; those of files that are gone or changed are set aside.

        Args:
            ids: their row ids, in any order.
            shards: the input as it is listed now, among which files that were renamed are found.

        Raises:
            InputError: none of their files is still what it was.
        """
        listing = shards if isinstance(shards, Listing) else Listing.of(shards)
        wave = retry_wave(concern(self.history(), listing, np.unique(ids >> ROW_BITS).tolist()), ids)
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
        history = self.history()
        changed, forgotten = without_files(history.waves(), history.committed, uris)
        for wave in changed:
            self._freeze(wave)
        self._close_empty(self.open_waves())
        return forgotten

    def _freeze_all(self, waves: Sequence[Wave]) -> None:
        """Writes plans side by side; the first one before all others, as it makes the folder a run."""
        for wave in waves[:1]:
            self._freeze(wave)
        with ThreadPoolExecutor(_READERS) as threads:
            list(threads.map(self._freeze, waves[1:]))

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
            "supersedes": (removed := [self._relative(path) for path in superseded]),
            "removed": (self.history().removed(removed) if removed else Tally()).to_dict(),
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
        self._commits += 1
        if self._commits % BETWEEN_SNAPSHOTS == 0:
            self.history().snapshot()

    def _superseded(self, wave: Wave) -> tuple[list[str], list[OutputFile]]:
        """The committed files with rows that the wave replaces, and new files with their remaining rows."""
        retried = [numbered for numbered in wave.shards if numbered.chosen is not None]
        ordinals = {*wave.replaces, *(numbered.ordinal for numbered in retried)}
        if not ordinals:
            return [], []
        history = self.history()
        live = set(history.files())
        may_hold = [join(self.path, path) for path in _may_hold(ordinals, history) if path in live]
        shards = history.shards("ordinal", "rows")
        rows = dict(zip(shards["ordinal"].to_pylist(), shards["rows"].to_pylist(), strict=True))
        replaced = [np.arange(rows[ordinal]) + (ordinal << ROW_BITS) for ordinal in wave.replaces]
        return without(
            self.store,
            may_hold,
            np.concatenate([*replaced, *(numbered.row_ids() for numbered in retried)]),
            join(self.path, "data", f"kept={wave.number:05}"),
        )

    def files(self) -> list[str]:
        """Exactly the committed files, as paths on the store."""
        return [join(self.path, path) for path in self.history().files()]

    def dataset(self) -> pads.Dataset:
        """Exactly the committed rows, as a pyarrow dataset.

        Raises:
            RunError: there is no run, or nothing is committed yet.
        """
        files = self.files()
        if not files:
            raise self.nothing_committed()
        return self._dataset(files)

    def dataset_with_errors(self, codes: Collection[str] = ()) -> pads.Dataset:
        """The rows of those committed files in which documents have one of some error codes, or any code."""
        return self._dataset([join(self.path, path) for path in self.history().files_with_errors(codes)])

    def _dataset(self, files: Sequence[str]) -> pads.Dataset:
        return pads.dataset(list(files), self.schema(), filesystem=self.store, format="parquet")

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
        if not self.record() and not self.history().planned:
            return RunError(f"there is no run in {self.uri}")
        return RunError(
            f"nothing is committed yet in {self.uri}", hint="let the run finish; `ner-ray status` shows its progress"
        )

    def _relative(self, path: str) -> str:
        return path.removeprefix(self.path).strip("/")

    def tally(self, waves: Collection[int] | None = None) -> Tally:
        """The counts of all committed documents, or of those in the files that some waves have written."""
        history = self.history()
        if waves is None:
            return tally_of(history.table("tally", "removed"))
        chosen = history.manifests(history.committed & set(waves))
        return tallied(chosen)

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


def _may_hold(ordinals: set[int], history: History) -> list[str]:
    """The files that may hold rows of some shards, so that they have to be opened."""
    found: list[str] = []
    for manifest in history.table("paths", "path_ordinals", "committed_ordinals").to_pylist():
        of_wave = not ordinals.isdisjoint(manifest["committed_ordinals"] or ())
        for path, own in zip(manifest["paths"] or (), manifest["path_ordinals"] or (), strict=True):
            # Remaining rows of superseded files may be those of any shard; earlier versions do not say of which.
            if (of_wave or path.startswith("data/kept=")) if own is None else not ordinals.isdisjoint(own):
                found.append(path)
    return found


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
