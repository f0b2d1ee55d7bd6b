"""The input: its Parquet files, their numbers of rows, and whether they can be read."""

from __future__ import annotations

import fnmatch
import hashlib
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from ner_ray.errors import InputError
from ner_ray.storage import join, open_store
from ner_ray.store.manifests import committed_files, is_run, manifests, refuse_inside
from ner_ray.store.run_schema import TypedFile

_LOG = logging.getLogger(__name__)

_LISTERS = 16
_LOG_SECONDS = 10.0
_TAIL = 1 << 18
_GLOB = "*?["

_In = TypeVar("_In")
_Out = TypeVar("_Out")


@dataclass(frozen=True, slots=True)
class Shard:
    """One input file.

    Attributes:
        uri: URI with its scheme, or absolute path.
        size: in bytes.
        modified: time of the last change, in nanoseconds since 1970; 0 if the store does not tell.
        rows: number of rows according to the footer; 0 if that cannot be read.
        problem: why the file cannot be read; empty for a good shard.
        digest: a hash of the file's last 256 KiB, which hold the footer: sizes and statistics of all columns. Empty if
            unknown.
    """

    uri: str
    size: int
    modified: int
    rows: int
    problem: str = ""
    digest: str = ""

    def same_content(self, other: Shard) -> bool:
        """Whether two listings show the same bytes, as far as can be told without reading the file."""
        if self.problem or self.size != other.size:
            return False
        if self.digest and other.digest:
            return self.digest == other.digest
        return self.modified == other.modified

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> Shard:
        return cls(**plain)


def list_shards(paths: str | Sequence[str], known: Iterable[Shard] = ()) -> list[Shard]:
    """All Parquet files that the paths name, in the order of their URIs.

    Footers are read by 16 threads; those of `known` shards that have not changed are not read again.

    Args:
        paths: files, folders, globs or run directories; a run directory means its committed files.
        known: shards as they were listed before.

    Raises:
        InputError: a path does not exist, has no Parquet file, or is inside a run directory.
    """
    files = {info.uri: info for path in _as_list(paths) for info in _expand(path)}
    # Where the store tells no times, a file may have changed without a sign.
    remembered = {(shard.uri, shard.size, shard.modified): shard for shard in known if shard.modified}
    ordered = [files[uri] for uri in sorted(files)]
    return list(by_threads(lambda file: remembered.get(file.key) or _inspect(file), ordered, "listed"))


def schemas_of(shards: Sequence[Shard]) -> Iterator[pa.Schema]:
    """The Arrow schemas of good shards, in the order of the shards, read by 16 threads."""
    return by_threads(_schema_of, shards, "checked")


def typed_shard(shard: Shard, schema: pa.Schema) -> TypedFile:
    """A shard with its schema."""
    return TypedFile(shard.uri, schema, lambda: _footer_of(shard))


def _footer_of(shard: Shard) -> pq.FileMetaData:
    store, path = open_store(shard.uri)
    return pq.read_metadata(path, filesystem=store)


def _schema_of(shard: Shard) -> pa.Schema:
    store, path = open_store(shard.uri)
    return pq.read_schema(path, filesystem=store)


def by_threads(work: Callable[[_In], _Out], items: Sequence[_In], done: str) -> Iterator[_Out]:
    """The result of `work` for each item, in order; logs its progress every ten seconds."""
    last_logged = time.monotonic()
    with ThreadPoolExecutor(_LISTERS) as threads:
        for number, result in enumerate(threads.map(work, items), start=1):
            if time.monotonic() - last_logged > _LOG_SECONDS:
                last_logged = time.monotonic()
                _LOG.info("input.%s files=%d of=%d", done, number, len(items))
            yield result


@dataclass(frozen=True, slots=True)
class _File:
    uri: str
    size: int
    modified: int
    store: fs.FileSystem
    path: str

    @property
    def key(self) -> tuple[str, int, int]:
        return self.uri, self.size, self.modified


def _as_list(paths: str | Sequence[str]) -> Sequence[str]:
    return [paths] if isinstance(paths, str) else paths


def _expand(uri: str) -> list[_File]:
    store, path = open_store(uri)
    if any(sign in path for sign in _GLOB):
        files = [file for file in _below(uri, store, _fixed_part(path)) if fnmatch.fnmatchcase(file.path, path)]
    elif is_run(store, path):
        return _of_run(uri, store, path)
    else:
        refuse_inside(store, [path], uri)
        info = store.get_file_info(path)
        if info.type == fs.FileType.NotFound:
            raise InputError(
                f"no such file or folder: {uri}",
                hint="input.path takes files, folders, globs, URIs and run directories",
            )
        files = [_file(uri, store, info)] if info.is_file else _below(uri, store, path)
    if not files:
        raise InputError(
            f"no Parquet file at {uri}", hint="only Parquet is read, from files whose names end in .parquet or .pq"
        )
    refuse_inside(store, (file.path for file in files))
    return files


def _fixed_part(pattern: str) -> str:
    """The innermost folder that a glob names without wildcards."""
    return pattern[: min(pattern.index(sign) for sign in _GLOB if sign in pattern)].rsplit("/", 1)[0]


def _of_run(uri: str, store: fs.FileSystem, path: str) -> list[_File]:
    """Exactly the committed files of a run."""
    infos = store.get_file_info([join(path, file["path"]) for file in committed_files(manifests(store, path))])
    if not infos:
        raise InputError(f"nothing is committed yet in the run {uri}", hint="finish that run first")
    return [_file(uri, store, info) for info in infos]


def _below(uri: str, store: fs.FileSystem, folder: str) -> list[_File]:
    infos = store.get_file_info(fs.FileSelector(folder, recursive=True, allow_not_found=True))
    return [_file(uri, store, info) for info in infos if info.is_file and _is_shard(info.path[len(folder) :])]


def _is_shard(path: str) -> bool:
    """Whether a name is that of a Parquet file, and no part begins with `_` or `.`, as names of other files do."""
    return path.endswith((".parquet", ".pq")) and not any(part.startswith(("_", ".")) for part in path.split("/"))


def _file(uri: str, store: fs.FileSystem, info: fs.FileInfo) -> _File:
    scheme = f"{uri.split('://', 1)[0]}://" if "://" in uri else ""
    if scheme == "file://":
        scheme = ""
    return _File(f"{scheme}{info.path}", info.size or 0, info.mtime_ns or 0, store, info.path)


def inspect(uri: str) -> Shard | None:
    """A file as it is now; None if there is none."""
    store, path = open_store(uri)
    info = store.get_file_info(path)
    return _inspect(_File(uri, info.size or 0, info.mtime_ns or 0, store, path)) if info.is_file else None


def require_unchanged(shard: Shard) -> None:
    """Makes sure that a planned file is still the one that was planned, right before it is read.

    Raises:
        InputError: it is gone, or its content is another.
    """
    store, path = open_store(shard.uri)
    info = store.get_file_info(path)
    if info.is_file and (info.size, info.mtime_ns) == (shard.size, shard.modified):
        return
    now = inspect(shard.uri)
    if now is None or not now.same_content(shard):
        raise InputError(f"{shard.uri} {'is gone' if now is None else 'has changed'} since it was planned")


def _inspect(file: _File) -> Shard:
    try:
        with file.store.open_input_file(file.path) as stream:
            stream.seek(max(0, file.size - _TAIL))
            tail = stream.read()
            rows = _footer(tail, stream).num_rows
    except (pa.ArrowException, OSError) as error:
        return Shard(file.uri, file.size, file.modified, 0, f"{type(error).__name__}: {error}")
    return Shard(file.uri, file.size, file.modified, rows, digest=hashlib.sha256(tail).hexdigest()[:32])


def _footer(tail: bytes, stream: pa.NativeFile) -> pq.FileMetaData:
    """The footer of a file, from its last bytes if they hold it whole, so that it is read once."""
    length = int.from_bytes(tail[-8:-4], "little") + 8  # after the footer stand its length in bytes and the mark PAR1
    return pq.read_metadata(pa.BufferReader(tail) if length <= len(tail) else stream)
