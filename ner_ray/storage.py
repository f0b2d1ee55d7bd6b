"""Opens paths and URIs as filesystems: local disk, S3 and others through pyarrow, the rest through fsspec."""

from __future__ import annotations

import json
import os
import uuid
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa
from pyarrow import fs

from ner_ray.errors import InputError

_STORE_ATTEMPTS = 10  # with the client's own backoff, about a minute of throttling
_REGION_OF_OTHER_SERVERS = "us-east-1"
_CHUNK = 1 << 22
_PACKAGE = "package"  # files that ship with ner_ray: package://sample


def open_store(uri: str) -> tuple[fs.FileSystem, str]:
    """The filesystem that holds `uri`, and its path there.

    `s3://` is opened by pyarrow's own client, `s3a://` by s3fs, other schemes by their fsspec packages. Each store's
    own library takes credentials from the environment or the machine; ner_ray never handles them. `AWS_ENDPOINT_URL`
    selects another S3-compatible server, `AWS_REGION` the region.

    Raises:
        InputError: no installed library knows the scheme, or the store cannot be reached.
    """
    if "://" not in uri:
        return fs.LocalFileSystem(), str(Path(uri).expanduser().absolute())
    scheme = uri.split("://", 1)[0]
    if scheme == _PACKAGE:
        return fs.LocalFileSystem(), str(Path(__file__).parent / uri.removeprefix(f"{_PACKAGE}://"))
    try:
        return _s3(uri) if scheme == "s3" else fs.FileSystem.from_uri(uri)
    except pa.ArrowInvalid:
        return _through_fsspec(scheme, uri)
    except OSError as error:
        raise InputError(f"cannot reach the store of {uri}: {error}") from error


def join(uri: str, *names: str) -> str:
    """The URI of something below another URI.

    >>> join("s3://bucket/run/", "data", "part.parquet")
    's3://bucket/run/data/part.parquet'
    """
    return "/".join([uri.rstrip("/"), *names])


def is_local(store: fs.FileSystem) -> bool:
    return isinstance(store, fs.LocalFileSystem)


def put_atomically(store: fs.FileSystem, path: str, content: bytes) -> None:
    """Writes a small file atomically: readers see all of it or nothing.

    An object store shows an object only when its upload is complete; on a disk, a temporary file is renamed at the end.
    """
    if not isinstance(store, fs.S3FileSystem):  # S3 has no folders
        store.create_dir(path.rsplit("/", 1)[0], recursive=True)
    if not is_local(store):
        with store.open_output_stream(path) as stream:
            stream.write(content)
        return
    draft = Path(f"{path}.{uuid.uuid4().hex}.draft")
    try:
        with draft.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError:  # a full disk, for example
        draft.unlink(missing_ok=True)
        raise


def put_table(store: fs.FileSystem, path: str, table: pa.Table) -> None:
    """Writes a Parquet file atomically; the same table gives the same bytes."""
    import pyarrow.parquet as pq

    buffer = pa.BufferOutputStream()
    pq.write_table(table, buffer, compression="zstd")
    put_atomically(store, path, buffer.getvalue().to_pybytes())


def clear(store: fs.FileSystem, folder: str) -> None:
    """Deletes a folder and everything in it, if it exists."""
    if store.get_file_info(folder).type == fs.FileType.Directory:
        store.delete_dir(folder)


def put_text(uri: str, text: str) -> None:
    """Writes a text file by URI; lone surrogates become question marks."""
    store, path = open_store(uri)
    put_atomically(store, path, text.encode(errors="replace"))


def put_json(store: fs.FileSystem, path: str, content: Any) -> None:  # anything JSON can express
    """Writes a JSON file atomically."""
    put_atomically(store, path, json.dumps(content, ensure_ascii=False, indent=1).encode())


def get_json(store: fs.FileSystem, path: str) -> Any:  # anything JSON can express
    """The content of a JSON file, or None if there is no such file."""
    if store.get_file_info(path).type != fs.FileType.File:
        return None
    with store.open_input_stream(path) as stream:
        return json.loads(stream.read())


def _s3(uri: str) -> tuple[fs.FileSystem, str]:
    path = uri.removeprefix("s3://").strip("/")
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    return _s3_client(path.split("/", 1)[0], region, endpoint), path


@lru_cache(maxsize=16)
def _s3_client(bucket: str, region: str | None, endpoint: str | None) -> fs.S3FileSystem:
    """One client with its connections for all files of a bucket: finding its region takes a request."""
    options: dict[str, Any] = {}
    if endpoint:
        parts = urlsplit(endpoint)
        options = {"endpoint_override": parts.netloc, "scheme": parts.scheme}
        region = region or _REGION_OF_OTHER_SERVERS
    return fs.S3FileSystem(
        region=region or fs.resolve_s3_region(bucket),
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=_STORE_ATTEMPTS),
        **options,
    )


def _through_fsspec(scheme: str, uri: str) -> tuple[fs.FileSystem, str]:
    try:
        import fsspec

        store, path = fsspec.core.url_to_fs(uri)
    except (ImportError, ValueError) as error:
        raise InputError(
            f"no installed library opens {scheme}:// ({error})",
            hint="s3:// is built in; other schemes need an fsspec package",
        ) from error
    return fs.PyFileSystem(fs.FSSpecHandler(store)), path


class Location:
    """A file or folder on a store."""

    __slots__ = ("_store", "path")

    def __init__(self, uri: str) -> None:
        """Finds the store; reads nothing.

        Raises:
            InputError: no installed library opens such a URI.
        """
        self._store, self.path = open_store(uri)

    @property
    def local(self) -> Path | None:
        """The location as a path if it is on a local disk, else None."""
        return Path(self.path) if isinstance(self._store, fs.LocalFileSystem) else None

    def exists(self, name: str = "") -> bool:
        """Whether the file or folder exists."""
        return bool(self._store.get_file_info(self._at(name)).type != fs.FileType.NotFound)

    def files(self) -> list[str]:
        """All files in this folder, recursively, as sorted names relative to it; for a file, a single empty name."""
        if self._store.get_file_info(self.path).type == fs.FileType.File:
            return [""]
        listing = self._store.get_file_info(fs.FileSelector(self.path, recursive=True, allow_not_found=True))
        prefix = len(self.path.rstrip("/")) + 1
        return sorted(entry.path[prefix:] for entry in listing if entry.type == fs.FileType.File)

    def open(self, name: str = "", *, compression: str | None = None) -> Any:  # a pyarrow stream
        """Opens a file for sequential reading; `compression` may be `detect`."""
        return self._store.open_input_stream(self._at(name), compression=compression)

    def open_random(self, name: str = "") -> Any:  # a pyarrow file
        """Opens a file for random access, as needed for Parquet."""
        return self._store.open_input_file(self._at(name))

    def read(self, name: str) -> bytes:
        """The content of a small file."""
        with self.open(name) as stream:
            content: bytes = stream.read()
        return content

    def write(self, name: str, content: bytes) -> None:
        """Writes a small file."""
        self._make_parent(name)
        with self._store.open_output_stream(self._at(name)) as stream:
            stream.write(content)

    def upload(self, source: Path, name: str) -> None:
        """Copies a local file here."""
        self._make_parent(name)
        with source.open("rb") as file, self._store.open_output_stream(self._at(name)) as stream:
            while chunk := file.read(_CHUNK):
                stream.write(chunk)

    def download(self, name: str, target: Path) -> None:
        """Copies a file from here to a local path."""
        target.parent.mkdir(parents=True, exist_ok=True)
        with self.open(name) as stream, target.open("wb") as file:
            while chunk := stream.read(_CHUNK):
                file.write(chunk)

    def delete(self, name: str) -> None:
        """Deletes a file."""
        self._store.delete_file(self._at(name))

    def _at(self, name: str) -> str:
        return f"{self.path.rstrip('/')}/{name}" if name else self.path

    def _make_parent(self, name: str) -> None:
        self._store.create_dir(self._at(name).rpartition("/")[0], recursive=True)
