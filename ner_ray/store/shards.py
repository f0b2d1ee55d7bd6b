"""The input: its Parquet files, their numbers of rows, and whether they can be read."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from ner_ray.errors import ChangedInputError
from ner_ray.signatures import masked, signed, unsigned
from ner_ray.storage import normalized, open_store
from ner_ray.store.listing import InputFile, find_file, list_files
from ner_ray.store.naming import first_name, partitions, unique_names
from ner_ray.store.run_schema import TypedFile

_LOG = logging.getLogger(__name__)

_LISTERS = 16
_LOG_SECONDS = 10.0
_TAIL = 1 << 18
_COMPRESSIONS = {
    b"\x1f\x8b": "gzip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
    b"PK\x03\x04": "zip",
}

_RECORDED = ("uri", "size", "modified", "rows", "problem", "digest", "name")

_In = TypeVar("_In")
_Out = TypeVar("_Out")


@dataclass(frozen=True, slots=True)
class Shard:
    """One input file.

    Attributes:
        uri: in normal form (`ner_ray.storage.normalized`), without a signature.
        size: in bytes.
        modified: time of the last change, in nanoseconds since 1970; 0 if the store does not tell.
        rows: number of rows according to the footer; 0 if that cannot be read.
        problem: why the file cannot be read; empty for a good shard.
        digest: a hash of the file's last 256 KiB, which hold the footer: sizes and statistics of all columns. Empty if
            unknown.
        name: what its documents' default ids begin with.
        signature: of a signed URI, as it was listed; recorded nowhere.
        schema: of the file, if its footer has been read just now; recorded nowhere.
    """

    uri: str
    size: int
    modified: int
    rows: int
    problem: str = ""
    digest: str = ""
    name: str = ""
    signature: str = field(default="", repr=False, compare=False)
    schema: pa.Schema | None = field(default=None, repr=False, compare=False)

    @property
    def address(self) -> str:
        """The URI that opens the file."""
        return signed(self.uri, self.signature)

    def same_content(self, other: Shard) -> bool:
        """Whether two listings show the same bytes, as far as can be told without reading the file."""
        if self.problem or self.size != other.size:
            return False
        if self.digest and other.digest:
            return self.digest == other.digest
        return self.modified == other.modified

    def to_dict(self) -> dict[str, Any]:
        """As it is recorded."""
        return {name: getattr(self, name) for name in _RECORDED}

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> Shard:
        """A shard as it was recorded; earlier versions recorded no name, other spellings of the URI, and signatures."""
        if "name" not in plain:
            plain = plain | {"uri": normalized(plain["uri"]), "name": first_name(plain["uri"])}
        return cls(**plain | {"uri": unsigned(plain["uri"])[0]})


def list_shards(paths: str | Sequence[str], known: Iterable[Shard] = (), left_out: Iterable[str] = ()) -> list[Shard]:
    """All Parquet files that the paths name, each once, in the order of their URIs.

    Footers are read by 16 threads; those of `known` shards that have not changed are not read again.

    Args:
        paths: files, folders, globs or run directories; a run directory means its committed files.
        known: shards as they were listed before. If there are any, nothing new need be there.
        left_out: folders whose files are never input, such as the output.

    Raises:
        InputError: a path does not exist, there is no Parquet file, or a path is inside a run directory.
    """
    before = {shard.uri: shard for shard in known}
    files = list_files(paths, before, left_out)
    fresh = [file for file in files if file.uri not in before]
    names = unique_names(fresh, (shard.name for shard in before.values()))
    return inspect_all(files, before, dict(zip((file.uri for file in fresh), names, strict=True)))


def inspect_all(files: Sequence[InputFile], before: Mapping[str, Shard], names: Mapping[str, str]) -> list[Shard]:
    """Shards as they are now; the footers of those that have not changed since `before` are not read again.

    Args:
        files: of the input.
        before: shards as they were, by URI.
        names: of the files that were not there before, by URI.
    """

    def shard_of(file: InputFile) -> Shard:
        shard = before.get(file.uri)
        if shard and shard.modified and (shard.size, shard.modified) == (file.size, file.modified):
            return replace(
                shard, signature=file.signature
            )  # where the store tells no times, a file may have changed without a sign
        return _inspect(file, shard.name if shard else names[file.uri])

    return list(by_threads(shard_of, files, "listed"))


def schemas_of(shards: Sequence[Shard]) -> Iterator[pa.Schema]:
    """The Arrow schemas of good shards, in the order of the shards; of those just listed, nothing is read again.

    Columns that the shard's folders hold, as `date=2024-01-01/` does, come after those of the file.
    """
    return by_threads(_schema_of, shards, "checked")


def typed_shard(shard: Shard, schema: pa.Schema) -> TypedFile:
    """A shard with its schema."""
    return TypedFile(shard.uri, schema, lambda: _footer_of(shard))


def _footer_of(shard: Shard) -> pq.FileMetaData:
    store, path = open_store(shard.address)
    with store.open_input_file(path) as stream:
        return pq.read_metadata(stream)


def open_parquet(stream: pa.NativeFile, **options: Any) -> pq.ParquetFile:
    """A Parquet file of the input; for the options, see `pyarrow.parquet.ParquetFile`.

    Moments of the old kind with 96 bits (INT96) are read in microseconds, as Spark and others write them: nanoseconds
    end in the year 2262, and what lies beyond would come out as another date.
    """
    return pq.ParquetFile(stream, coerce_int96_timestamp_unit="us", **options)


def _schema_of(shard: Shard) -> pa.Schema:
    schema = shard.schema or _read_schema(shard)
    for name in partitions(shard.uri, shard.name):
        schema = schema if name in schema.names else schema.append(pa.field(name, pa.string()))
    return schema


def _read_schema(shard: Shard) -> pa.Schema:
    store, path = open_store(shard.address)
    with store.open_input_file(path) as stream:
        return open_parquet(stream).schema_arrow


def by_threads(work: Callable[[_In], _Out], items: Sequence[_In], done: str) -> Iterator[_Out]:
    """The result of `work` for each item, in order; logs its progress every ten seconds."""
    last_logged = time.monotonic()
    with ThreadPoolExecutor(_LISTERS) as threads:
        for number, result in enumerate(threads.map(work, items), start=1):
            if time.monotonic() - last_logged > _LOG_SECONDS:
                last_logged = time.monotonic()
                _LOG.info("input.%s files=%d of=%d", done, number, len(items))
            yield result


def inspect(uri: str) -> Shard | None:
    """A file as it is now; None if there is none."""
    file = find_file(uri)
    return _inspect(file, "") if file else None


def require_unchanged(shard: Shard) -> None:
    """Makes sure that a planned file is still the one that was planned, right before it is read.

    Raises:
        ChangedInputError: it is gone, or its content is another.
    """
    store, path = open_store(shard.address)
    info = store.get_file_info(path)
    if info.is_file and (info.size, info.mtime_ns) == (shard.size, shard.modified):
        return
    now = inspect(shard.address)
    if now is None or not now.same_content(shard):
        raise ChangedInputError(f"{shard.uri} {'is gone' if now is None else 'has changed'} since it was planned")


def _inspect(file: InputFile, name: str) -> Shard:
    shard = Shard(file.uri, file.size, file.modified, 0, name=name, signature=file.signature)
    try:
        with file.store.open_input_file(file.path) as stream:
            stream.seek(max(0, file.size - _TAIL))
            tail = stream.read()
            footer = _footer(tail, stream)
            rows, schema = footer.metadata.num_rows, _shared(footer.schema_arrow.serialize().to_pybytes())
    except (pa.ArrowException, OSError, UnicodeError) as error:
        return replace(shard, problem=_compressed(file) or masked(f"{type(error).__name__}: {error}"))
    return replace(shard, rows=rows, digest=hashlib.sha256(tail).hexdigest()[:32], schema=schema)


@lru_cache(maxsize=256)
def _shared(schema: bytes) -> pa.Schema:
    """One object for the many files that have the same columns."""
    return pa.ipc.read_schema(pa.py_buffer(schema))


def _footer(tail: bytes, stream: pa.NativeFile) -> pq.ParquetFile:
    """The footer of a file, from its last bytes if they hold it whole, so that it is read once."""
    length = int.from_bytes(tail[-8:-4], "little") + 8  # after the footer stand its length in bytes and the mark PAR1
    return open_parquet(pa.BufferReader(tail) if length <= len(tail) else stream)


def _compressed(file: InputFile) -> str:
    """The problem of a file that was compressed as a whole; empty for others."""
    try:
        with file.store.open_input_file(file.path) as stream:
            head = stream.read(max(map(len, _COMPRESSIONS)))
    except (pa.ArrowException, OSError, UnicodeError):
        return ""
    program = next((program for magic, program in _COMPRESSIONS.items() if head.startswith(magic)), None)
    return f"the file as a whole is compressed with {program}, so its rows cannot be read: unpack it" if program else ""
