"""What a run has planned and committed, as tables: a run may have millions of shards, and most are of no concern."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import fs

from ner_ray.storage import join, read_json
from ner_ray.store.shards import Shard
from ner_ray.store.snapshot import SCHEMA, SHARDS, STAMPS, read_snapshot, row_of, write_snapshot
from ner_ray.store.tally import Tally
from ner_ray.store.waves import NumberedShard, Wave

_LOG = logging.getLogger(__name__)

_READERS = 16
_READ_TOGETHER = 64
BETWEEN_SNAPSHOTS = 16  # waves that are read one by one, until there is a new snapshot
# A document may be written again within the tick of a store's clock, and look the same: one as new as this is read.
_TICK_NS = 2_000_000_000

_Stamp = tuple[int | None, int | None]  # size and time of a document; None if there is none
_NONE: _Stamp = (None, None)
_WAVE_OF_PATH = re.compile(r"data/(?:wave|kept)=(\d+)/")


class History:
    """What the documents of a run say: its plans, and the manifests of its committed waves.

    Creating one lists the documents; they are read when asked for, from the snapshot as far as it is true.

    Args:
        store: the filesystem that holds the run.
        path: the run directory.
        read: what has been read of single waves before, by their numbers and stamps; added to.
    """

    def __init__(self, store: fs.FileSystem, path: str, read: dict[tuple[int | None, ...], Any] | None = None) -> None:
        self._store, self._path = store, path
        manifests = _stamps(store, join(path, "manifest"))  # first, so that the plan of each is there
        self._plans = _stamps(store, join(path, "plan"))
        self._manifests = {number: stamp for number, stamp in manifests.items() if number in self._plans}
        self._read_before = {} if read is None else read
        documents = (*self._plans.values(), *self._manifests.values())
        self._newest = max((modified or 0 for _, modified in documents), default=0)

    @property
    def planned(self) -> list[int]:
        """The numbers of all waves, ascending."""
        return sorted(self._plans)

    @property
    def committed(self) -> set[int]:
        """The numbers of the committed waves."""
        return set(self._manifests)

    @property
    def open(self) -> set[int]:
        """The numbers of the waves that are not committed."""
        return self._plans.keys() - self._manifests.keys()

    def table(self, *columns: str) -> pa.Table:
        """Some columns of `ner_ray.store.snapshot.SCHEMA`, with a row per wave, in order."""
        names = ["wave", *columns]
        known = read_snapshot(self._store, self._path, columns) if self._plans else None
        parts = []
        covered: set[int] = set()
        if known is not None:
            is_true = [self._is_true(stamps) for stamps in known.select(["wave", *STAMPS]).to_pylist()]
            known = known if all(is_true) else known.filter(pa.array(is_true, pa.bool_()))
            covered = set(known["wave"].to_pylist())
            parts.append(known.select(names))
        parts += self._read(sorted(self._plans.keys() - covered), names)
        rows = pa.concat_tables(parts) if parts else SCHEMA.empty_table().select(names)
        numbers = rows["wave"].to_numpy()
        return rows if (numbers[1:] > numbers[:-1]).all() else rows.sort_by("wave")

    def shards(self, *columns: str) -> pa.Table:
        """Some columns of `ner_ray.store.snapshot.SHARDS`, with a row per shard of a wave, and its `wave`."""
        parts = [_flat(batch) for batch in self.table(*columns).to_batches()]
        kinds = [("wave", pa.int64()), *((name, SHARDS[name]) for name in columns)]
        return pa.Table.from_batches(parts, pa.schema(kinds))

    def waves(self, numbers: Collection[int] | None = None) -> list[Wave]:
        """Planned waves, in order: all of them, or those of some numbers."""
        chosen = self._plans.keys() if numbers is None else set(numbers)
        if len(chosen) <= BETWEEN_SNAPSHOTS:
            return [self._wave(number) for number in sorted(chosen)]
        rows = self.shards(*SHARDS)
        found = {wave.number: wave for wave in waves_of(rows)}
        return [found.get(number) or Wave(number, ()) for number in sorted(chosen)]

    def manifests(self, numbers: Iterable[int]) -> list[dict[str, Any]]:
        """The manifests of some committed waves, in their order."""
        with ThreadPoolExecutor(_READERS) as threads:
            return list(threads.map(self._manifest, sorted(numbers)))

    def files(self) -> list[str]:
        """Exactly the committed files, as paths below the run."""
        return [path for path, _ in self.files_with_rows()]

    def files_with_rows(self) -> list[tuple[str, int]]:
        """Exactly the committed files, as paths below the run, each with its number of rows."""
        return list(self._live("path_rows"))

    def files_with_errors(self, codes: Collection[str] = ()) -> list[str]:
        """The committed files with documents that have one of some error codes, or any if there are no codes."""
        return [path for path, own in self._live("path_codes") if own and (not codes or not set(codes).isdisjoint(own))]

    def _live(self, column: str) -> Iterator[tuple[str, Any]]:
        """The committed files that no later wave supersedes, each with its value in another column of paths."""
        waves = self.table("paths", column, "supersedes")
        paths, values, superseded = (pc.list_flatten(waves[name]) for name in ("paths", column, "supersedes"))
        if len(superseded):
            live = pc.invert(pc.is_in(paths, superseded.combine_chunks()))
            paths, values = paths.filter(live), values.filter(live)
        return zip(paths.to_pylist(), values.to_pylist(), strict=True)

    def snapshot(self, *, at_least: int | None = None) -> None:
        """Writes a new snapshot if there are many waves that the last one does not tell of.

        Args:
            at_least: how many are many; None for as many as are read one by one in a moment.
        """
        known = read_snapshot(self._store, self._path, ())
        covered = sum(map(self._is_true, known.to_pylist())) if known is not None else 0
        if len(self._plans) - covered < (BETWEEN_SNAPSHOTS if at_least is None else at_least):
            return
        rows = self.table(*(name for name in SCHEMA.names if name not in ("wave", *STAMPS)))
        stamps = [self._stamps_of(number) for number in rows["wave"].to_pylist()]
        settled = [self._is_settled(number) for number in rows["wave"].to_pylist()]
        for name, values in zip(STAMPS, zip(*stamps, strict=True), strict=True):
            rows = rows.append_column(name, pa.array(values, pa.int64()))
        rows = rows.select(SCHEMA.names).filter(pa.array(settled, pa.bool_()))
        if not len(rows):
            return
        try:
            write_snapshot(self._store, self._path, rows)
        except OSError as error:  # the run does without
            _LOG.warning("snapshot.not_written reason=%s", error)

    def _stamps_of(self, number: int) -> tuple[int | None, ...]:
        return (*self._plans.get(number, _NONE), *self._manifests.get(number, _NONE))

    def _is_settled(self, number: int) -> bool:
        """Whether a wave's documents cannot be written again unseen: they are older than the store's tick."""
        _, plan, _, manifest = self._stamps_of(number)
        return bool(plan) and all((at or 0) <= self._newest - _TICK_NS for at in (plan, manifest))

    def _is_true(self, row: dict[str, Any]) -> bool:
        """Whether both documents of a wave are those of which a snapshot tells; a store may tell no times."""
        stamps = tuple(row[name] for name in STAMPS)
        return bool(row["plan_modified"]) and stamps == self._stamps_of(row["wave"])

    def _read(self, numbers: Sequence[int], columns: Sequence[str]) -> Iterator[pa.Table]:
        """Waves of which the snapshot does not tell; a few at a time, as their documents are larger than tables."""
        schema = pa.schema([SCHEMA.field(name) for name in columns])
        with ThreadPoolExecutor(_READERS) as threads:
            for at in range(0, len(numbers), _READ_TOGETHER):
                rows = list(threads.map(self._row, numbers[at : at + _READ_TOGETHER]))
                yield pa.Table.from_pylist(rows, schema)

    def _row(self, number: int) -> dict[str, Any]:
        key = (number, *self._stamps_of(number))
        if key in self._read_before:
            known: dict[str, Any] = self._read_before[key]
            return known
        manifest = self._manifest(number) if number in self._manifests else None
        if manifest and "removed" not in manifest:  # of an earlier version
            manifest["removed"] = self.removed(manifest.get("supersedes", ())).to_dict()
        row = row_of(self._wave(number), manifest)
        if self._is_settled(number) and len(self._read_before) < 2 * BETWEEN_SNAPSHOTS:
            self._read_before[key] = row
        return row

    def removed(self, paths: Iterable[str]) -> Tally:
        """The counts of the documents in some files of the run."""
        superseded = set(paths)
        numbers = {int(found[1]) for path in superseded if (found := _WAVE_OF_PATH.match(path))}
        files = (file for manifest in self.manifests(numbers) for file in manifest["files"])
        return sum((Tally.from_dict(file["tally"]) for file in files if file["path"] in superseded), Tally())

    def _wave(self, number: int) -> Wave:
        return Wave.from_dict(read_json(self._store, join(self._path, "plan", f"{number:05}.json")))

    def _manifest(self, number: int) -> dict[str, Any]:
        manifest: dict[str, Any] = read_json(self._store, join(self._path, "manifest", f"{number:05}.json"))
        return manifest


def _flat(waves: pa.RecordBatch) -> pa.RecordBatch:
    """A row per shard, from one per wave with lists."""
    parents = pc.list_parent_indices(waves[1])
    lists = {name: pc.list_flatten(waves[name]) for name in waves.schema.names[1:]}
    return pa.RecordBatch.from_pydict({"wave": waves["wave"].take(parents)} | lists)


def waves_of(shards: pa.Table) -> list[Wave]:
    """The waves of some shards, with no others, in order; a table with all columns of `SHARDS` and `wave`."""
    waves = []
    for number, rows in groupby(shards.to_pylist(), lambda row: row["wave"]):
        own = [(_numbered(row), row["missing"]) for row in rows]
        present, missing = (tuple(shard for shard, gone in own if gone is which) for which in (False, True))
        waves.append(Wave(number, present, missing))
    return waves


def _numbered(row: dict[str, Any]) -> NumberedShard:
    shard = Shard(row["uri"], row["size"], row["modified"], row["rows"], row["problem"], row["digest"], row["name"])
    chosen = None if row["chosen"] is None else tuple(row["chosen"])
    return NumberedShard(row["ordinal"], shard, chosen, row["replaces"], row["displaced"])


def tally_of(waves: pa.Table) -> Tally:
    """The counts of all documents that readers see, from the columns `tally` and `removed`."""
    return Tally.total(tallies(waves, "tally")) - Tally.total(tallies(waves, "removed"))


def tallies(waves: pa.Table, column: str) -> Iterator[Tally]:
    """The tallies of committed waves, in order."""
    return (Tally.from_dict(json.loads(text)) for text in waves[column].drop_null().to_pylist())


def _stamps(store: fs.FileSystem, folder: str) -> dict[int, _Stamp]:
    """The size and time of each document in a folder, by the number of its wave."""
    try:
        infos = store.get_file_info(fs.FileSelector(folder, allow_not_found=True))
    except (FileNotFoundError, NotADirectoryError):  # the folder appeared between two calls inside Arrow
        return {}
    named = [
        (info.base_name.removesuffix(".json"), info) for info in infos if info.is_file and info.extension == "json"
    ]
    return {int(name): (info.size, info.mtime_ns or 0) for name, info in named if name.isdecimal()}
