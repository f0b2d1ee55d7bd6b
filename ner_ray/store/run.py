"""The run directory: what is planned, what is done, and what a reader may believe.

    run.json            configuration, fingerprint, versions, and at the end counts and times
    plan/NNNNN.json     the shards of a wave, frozen before it runs
    data/wave=NNNNN/    its output files
    checkpoint/NNNNN/   the ids of rows already written, while the wave is open
    manifest/NNNNN.json the files and counts of a wave that is complete: written last, by one atomic put

A wave is open while it has a plan and no manifest. Rerunning the command resumes open waves with the very same
shards, then plans new ones. Readers believe manifests only, so they never see half a wave.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow.dataset as pads
from pyarrow import fs

from ner_ray.errors import RunError
from ner_ray.store.shards import Shard
from ner_ray.uris import get_json, join, open_store, put_json

ROW_BITS = 40  # of a row id; the shard's ordinal stands above


@dataclass(frozen=True, slots=True)
class NumberedShard:
    """A shard with its place in the run, from which row ids are made."""

    ordinal: int
    shard: Shard

    def first_row_id(self) -> int:
        return self.ordinal << ROW_BITS


@dataclass(frozen=True, slots=True)
class Wave:
    """Shards that are run and committed together."""

    number: int
    shards: tuple[NumberedShard, ...]

    @property
    def rows(self) -> int:
        return sum(numbered.shard.rows for numbered in self.shards)


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
            changed = "\n".join(f"  {line}" for line in _differences(record.get("settings", {}), settings))
            raise RunError(
                f"{self.uri} was written with another configuration:\n{changed}",
                hint="choose another output.path, or the former settings",
            )

    def waves(self) -> list[Wave]:
        """All planned waves, in order."""
        return [_wave_from_dict(plan) for plan in self._documents("plan")]

    def committed(self) -> set[int]:
        """The numbers of complete waves."""
        return {manifest["wave"] for manifest in self.manifests()}

    def manifests(self) -> list[dict[str, Any]]:
        """What is committed, wave by wave."""
        return self._documents("manifest")

    def plan(self, shards: Sequence[Shard], rows_per_wave: int) -> list[Wave]:
        """Freezes new waves over the shards that no wave has yet, and returns all that are to be run.

        A shard that has grown a problem or has no rows is in no wave.
        """
        waves = self.waves()
        planned = {numbered.shard.uri for wave in waves for numbered in wave.shards}
        ordinal = 1 + max((numbered.ordinal for wave in waves for numbered in wave.shards), default=-1)
        fresh = [shard for shard in shards if shard.uri not in planned and not shard.problem and shard.rows]
        numbered = [NumberedShard(ordinal + offset, shard) for offset, shard in enumerate(fresh)]
        for group in _groups(numbered, rows_per_wave):
            wave = Wave(len(waves), tuple(group))
            put_json(self.store, join(self.path, "plan", f"{wave.number:05}.json"), _wave_to_dict(wave))
            waves.append(wave)
        done = self.committed()
        return [wave for wave in waves if wave.number not in done]

    def data_path(self, wave: Wave) -> str:
        """Where a wave's output files go, on the run's store."""
        return join(self.path, "data", f"wave={wave.number:05}")

    def checkpoint_path(self, wave: Wave) -> str:
        """Where Ray keeps the ids of rows already written, on the run's store."""
        return join(self.path, "checkpoint", f"{wave.number:05}")

    def commit(self, wave: Wave, counts: dict[str, Any]) -> None:
        """Makes a complete wave visible.

        Its output files are read for their row ids first: each input row must be there exactly once. The manifest
        is the last thing written; before it readers see nothing of the wave, after it all of it. The checkpoint,
        which only an open wave needs, goes afterwards: a crash in between leaves a file nobody reads.

        Raises:
            RunError: rows are missing or doubled; the wave stays open.
        """
        files = self._verified_files(wave)
        manifest = {"wave": wave.number, "files": files, "rows": wave.rows, "counts": counts}
        put_json(self.store, join(self.path, "manifest", f"{wave.number:05}.json"), manifest)
        checkpoint = self.checkpoint_path(wave)
        if self.store.get_file_info(checkpoint).type == fs.FileType.Directory:
            self.store.delete_dir(checkpoint)

    def dataset(self) -> pads.Dataset:
        """Exactly the committed files.

        Raises:
            RunError: nothing is committed yet.
        """
        files = [join(self.path, file["path"]) for manifest in self.manifests() for file in manifest["files"]]
        if not files:
            raise RunError(f"nothing is committed yet in {self.uri}", hint="run the job to its end, or see its status")
        return pads.dataset(files, filesystem=self.store, format="parquet")

    def _verified_files(self, wave: Wave) -> list[dict[str, Any]]:
        folder = self.data_path(wave)
        infos = self.store.get_file_info(fs.FileSelector(folder, allow_not_found=True))
        paths = sorted(info.path for info in infos if info.is_file and info.path.endswith(".parquet"))
        if not paths:
            raise RunError(f"wave {wave.number} of {self.uri} has written no file")
        ids = pads.dataset(paths, filesystem=self.store, format="parquet").to_table(columns=["row_id"])["row_id"]
        _check_ids(wave, ids.to_numpy())
        sizes = {info.path: info.size for info in infos}
        return [
            {"path": f"data/{folder.rsplit('/', 1)[1]}/{path.rsplit('/', 1)[1]}", "size": sizes[path]} for path in paths
        ]

    def _documents(self, folder: str) -> list[dict[str, Any]]:
        infos = self.store.get_file_info(fs.FileSelector(join(self.path, folder), allow_not_found=True))
        paths = sorted(info.path for info in infos if info.is_file and info.path.endswith(".json"))
        return [get_json(self.store, path) for path in paths]


def _check_ids(wave: Wave, ids: Any) -> None:  # a numpy array of int64
    import numpy as np

    expected = np.concatenate(
        [numbered.first_row_id() + np.arange(numbered.shard.rows, dtype=np.int64) for numbered in wave.shards]
    )
    missing = len(np.setdiff1d(expected, ids))
    doubled = len(ids) - len(np.unique(ids))
    if missing or doubled or len(ids) != len(expected):
        raise RunError(
            f"wave {wave.number} is not complete: {len(expected)} rows in, {len(ids)} out, "
            f"{missing} missing, {doubled} doubled",
            hint="run the same command again",
        )


def _groups(shards: Sequence[NumberedShard], rows: int) -> Iterable[list[NumberedShard]]:
    group: list[NumberedShard] = []
    for numbered in shards:
        if group and sum(one.shard.rows for one in group) + numbered.shard.rows > rows:
            yield group
            group = []
        group.append(numbered)
    if group:
        yield group


def _wave_to_dict(wave: Wave) -> dict[str, Any]:
    shards = [{"ordinal": numbered.ordinal, **numbered.shard.to_dict()} for numbered in wave.shards]
    return {"wave": wave.number, "shards": shards}


def _wave_from_dict(plan: dict[str, Any]) -> Wave:
    shards = [dict(shard) for shard in plan["shards"]]
    return Wave(plan["wave"], tuple(NumberedShard(shard.pop("ordinal"), Shard.from_dict(shard)) for shard in shards))


def _differences(before: Any, after: Any, place: str = "") -> list[str]:
    """The keys at which two pieces of plain data differ, with both values."""
    if isinstance(before, dict) and isinstance(after, dict):
        keys = sorted(before.keys() | after.keys())
        return [
            line
            for key in keys
            for line in _differences(before.get(key), after.get(key), f"{place}.{key}" if place else key)
        ]
    if before == after:
        return []
    return [f"{place}: {json.dumps(before, ensure_ascii=False)} -> {json.dumps(after, ensure_ascii=False)}"]
