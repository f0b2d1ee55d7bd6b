"""The input compared with what a run has planned: only files of which something is to be decided become objects.

Most files of an old run are listed exactly as they were annotated. They are told by columns of names, sizes and times;
new and changed files, and the shards that these may concern, are few.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ner_ray.signatures import signed
from ner_ray.store.history import History, waves_of
from ner_ray.store.listing import InputFile, list_files
from ner_ray.store.naming import unique_names
from ner_ray.store.shards import Shard, inspect, inspect_all
from ner_ray.store.snapshot import SHARDS
from ner_ray.store.waves import Wave

_TOLD_BY = ("ordinal", "uri", "size", "modified", "rows", "chosen", "replaces", "displaced", "missing")

_Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Listing:
    """The input as it is now.

    Attributes:
        files: `uri`, `size` and `modified` of each file.
        shards: those of them that are not what the run has committed under their names.
        annotated: one of the others, if there are any.
        rows: number of rows in all readable files.
        signatures: of the files with signed URIs, by URI.
    """

    files: pa.Table
    shards: list[Shard]
    annotated: Shard | None = None
    rows: int = 0
    signatures: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, shards: Sequence[Shard]) -> Listing:
        """A listing of shards that have all been looked at."""
        columns = {name: [getattr(shard, name) for shard in shards] for name in ("uri", "size", "modified")}
        kinds = pa.schema([("uri", pa.string()), ("size", pa.int64()), ("modified", pa.int64())])
        signatures = {shard.uri: shard.signature for shard in shards if shard.signature}
        return cls(pa.table(columns, kinds), list(shards), None, sum(shard.rows for shard in shards), signatures)

    def address(self, uri: str) -> str:
        """The URI that opens a file."""
        return signed(uri, self.signatures.get(uri, ""))

    @property
    def quarantined(self) -> dict[str, str]:
        """The files that cannot be read, with the reason."""
        return {shard.uri: shard.problem for shard in self.shards if shard.problem}

    @property
    def size(self) -> dict[str, int]:
        """The numbers of files, rows and bytes."""
        return {"shards": len(self.files), "rows": self.rows, "bytes": pc.sum(self.files["size"]).as_py() or 0}


@dataclass(frozen=True, slots=True)
class Concern:
    """What has to be decided, given a listing.

    Attributes:
        shards: new and changed files, and those of open waves.
        waves: the waves with their shards that these may concern, and with no others; open waves are whole.
        next_wave: the number of the next wave.
        next_ordinal: of the next shard.
    """

    shards: list[Shard]
    waves: list[Wave]
    next_wave: int
    next_ordinal: int


def list_input(paths: str | Sequence[str], history: History, left_out: Iterable[str] = ()) -> Listing:
    """All Parquet files that the paths name, each once; those that a run has annotated are not opened.

    Args:
        paths: files, folders, globs or run directories.
        history: of the run.
        left_out: folders whose files are never input, such as the output.

    Raises:
        InputError: as `ner_ray.store.shards.list_shards`.
    """
    planned = _Planned(history)
    files = list_files(paths, planned.uris, left_out)
    columns = {
        "uri": pa.array([file.uri for file in files], pa.string()),
        "size": pa.array([file.size for file in files], pa.int64()),
        "modified": pa.array([file.modified for file in files], pa.int64()),
    }
    table = pa.table(columns)
    unchanged, rows_of = planned.unchanged(table)
    others = [files[at] for at in np.flatnonzero(~unchanged)]
    shards = _looked_at(others, planned.known([file.uri for file in others]), history)
    signatures = {file.uri: file.signature for file in files if file.signature}
    found = planned.shards_at(rows_of[unchanged][:1])
    annotated = replace(found[0], signature=signatures.get(found[0].uri, "")) if found else None
    rows = int(planned.columns["rows"].to_numpy()[rows_of[unchanged]].sum()) + sum(shard.rows for shard in shards)
    return Listing(table, shards, annotated, rows, signatures)


def concern(history: History, listing: Listing, retried: Iterable[int] = ()) -> Concern:
    """What there is to decide about, given a listing.

    Args:
        history: of the run, as it is now: another driver may have been at work since the listing.
        listing: of the input.
        retried: ordinals of shards of which documents are retried.
    """
    planned = _Planned(history)
    again = list(retried)
    unchanged = planned.unchanged(listing.files)[0] & ~planned.names(listing.files, again)
    seen = {shard.uri: shard for shard in listing.shards}
    uris = listing.files["uri"].filter(pa.array(~unchanged)).to_pylist()
    now = [seen.get(uri) or inspect(listing.address(uri)) for uri in uris]
    shards = [shard for shard in now if shard]
    mask = planned.concerned_by(shards, again)
    waves = {wave.number: wave for wave in waves_of(planned.whole(mask))} if mask.any() else {}
    for number in history.open - waves.keys():
        waves[number] = Wave(number, ())
    next_wave = 1 + max(history.planned, default=-1)
    return Concern(shards, [waves[number] for number in sorted(waves)], next_wave, planned.next_ordinal)


def _looked_at(files: Sequence[InputFile], before: Mapping[str, Shard], history: History) -> list[Shard]:
    fresh = [file for file in files if file.uri not in before]
    taken = history.shards("name")["name"].to_pylist() if fresh else []
    named = dict(zip((file.uri for file in fresh), unique_names(fresh, taken), strict=True))
    return inspect_all(files, before, named)


@dataclass(slots=True)
class _Planned:
    """The shards of a run's waves, in columns."""

    history: History
    columns: pa.Table = field(init=False)
    current: _Mask = field(init=False)  # committed, and not replaced by a later version

    def __post_init__(self) -> None:
        self.columns = self.history.shards(*_TOLD_BY)
        plain = pc.and_(pc.is_null(self.columns["chosen"]), pc.invert(self.columns["missing"]))
        there = self.columns["replaces"].filter(pc.invert(self.columns["missing"]))  # what is missing replaces nothing
        replaced = np.isin(self._numbers("ordinal"), there.drop_null().to_numpy())
        self.current = plain.to_numpy() & ~replaced

    def _numbers(self, name: str) -> NDArray[np.int64]:
        numbers: NDArray[np.int64] = self.columns[name].to_numpy()
        return numbers

    @property
    def uris(self) -> set[str]:
        return set(self.columns["uri"].to_pylist())

    @property
    def next_ordinal(self) -> int:
        return 1 + int(self._numbers("ordinal").max(initial=-1))

    @property
    def committed(self) -> _Mask:
        return np.isin(self._numbers("wave"), list(self.history.committed))

    def unchanged(self, files: pa.Table) -> tuple[_Mask, NDArray[np.int64]]:
        """Of listed files, a mask of those that were annotated as they are, and for each the row of its shard."""
        at = pc.index_in(self.columns["uri"], files["uri"].combine_chunks()).fill_null(-1).to_numpy()
        holds = self.current & self.committed & ~self.columns["displaced"].to_numpy() & (at >= 0)
        holders = np.flatnonzero(holds)
        holders = holders[np.bincount(at[holders], minlength=1)[at[holders]] == 1]  # a name that two have tells nothing
        rows = np.full(len(files), -1)
        rows[at[holders]] = holders
        same = (rows >= 0) & (files["modified"].to_numpy() != 0)  # where a store tells no times, files change unseen
        for name in ("size", "modified"):
            same[same] = files[name].to_numpy()[same] == self._numbers(name)[rows[same]]
        return same, rows

    def names(self, files: pa.Table, ordinals: Sequence[int]) -> _Mask:
        """Of listed files, a mask of those with the names of some shards."""
        if not ordinals:
            return np.zeros(len(files), bool)
        own = self.columns["uri"].filter(pa.array(np.isin(self._numbers("ordinal"), ordinals)))
        mask: _Mask = pc.is_in(files["uri"], own.combine_chunks()).to_numpy()
        return mask

    def known(self, uris: Sequence[str]) -> dict[str, Shard]:
        """What the run knows of some files by their names, as it was planned last."""
        rows = np.flatnonzero(self._is_in("uri", uris))
        return dict(zip(self.columns["uri"].take(pa.array(rows)).to_pylist(), self.shards_at(rows), strict=True))

    def shards_at(self, rows: NDArray[np.int64]) -> list[Shard]:
        """The shards of some rows."""
        mask = np.zeros(len(self.columns), bool)
        mask[rows] = True
        waves = waves_of(self.whole(mask)) if mask.any() else []
        by_row = {
            (wave.number, numbered.ordinal): numbered.shard
            for wave in waves
            for numbered in (*wave.shards, *wave.missing)
        }
        wave, ordinal = self._numbers("wave"), self._numbers("ordinal")
        return [by_row[wave[row], ordinal[row]] for row in rows.tolist()]

    def whole(self, mask: _Mask) -> pa.Table:
        """All columns of some rows."""
        return self.history.shards(*SHARDS).filter(pa.array(mask))

    def concerned_by(self, shards: Sequence[Shard], retried: Sequence[int]) -> _Mask:
        """A mask of the rows without which it cannot be decided what has become of files."""
        ordinals = self._numbers("ordinal")
        waiting = ~self.committed | self.columns["missing"].to_numpy()
        names = {*(shard.uri for shard in shards), *self.columns["uri"].filter(pa.array(waiting)).to_pylist()}
        mask: _Mask = waiting | (self.current & self._is_in("uri", names)) | np.isin(ordinals, retried)
        if digests := {shard.digest for shard in shards if shard.digest}:
            digest = self.history.shards("digest")["digest"]
            same = pc.is_in(digest, pa.array(digests, pa.string())).to_numpy()
            mask |= self.current & same & np.isin(self._numbers("size"), [shard.size for shard in shards])
        replaces = self.columns["replaces"].fill_null(-1).to_numpy()
        before = -1
        while before < (before := int(mask.sum())):  # whatever is said of these shards elsewhere
            mask |= np.isin(ordinals, ordinals[mask]) | np.isin(replaces, ordinals[mask])
            # If an open wave loses a version, because the file has changed again, the one before it is current again.
            mask |= np.isin(ordinals, replaces[mask & waiting])
        return mask

    def _is_in(self, name: str, values: Collection[str]) -> _Mask:
        if not values:
            return np.zeros(len(self.columns), bool)
        mask: _Mask = pc.is_in(self.columns[name], pa.array(list(values), pa.string())).to_numpy()
        return mask


def completed(wave: Wave, whole: Wave) -> Wave:
    """A committed wave of which some shards are where they were found now."""
    shards = {numbered.ordinal: numbered for numbered in wave.shards}
    missing = {numbered.ordinal: numbered for numbered in wave.missing}
    return replace(
        whole,
        shards=tuple(shards.get(numbered.ordinal, numbered) for numbered in whole.shards),
        missing=tuple(missing.get(numbered.ordinal, numbered) for numbered in whole.missing),
    )
