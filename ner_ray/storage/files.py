"""Small files written whole, and what lies at a path or URI on any store."""

from __future__ import annotations

import json
import os
import uuid
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import fs

from ner_ray.storage.stores import is_local, open_store

_CHUNK = 1 << 22


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
    return read_json(store, path) if store.get_file_info(path).type == fs.FileType.File else None


def read_json(store: fs.FileSystem, path: str) -> Any:  # anything JSON can express
    """The content of a JSON file that exists."""
    with store.open_input_stream(path) as stream:
        return json.loads(stream.read())


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
        return list(self.sizes())

    def sizes(self) -> dict[str, int]:
        """All files in this folder, recursively, with their sizes in bytes, by sorted names relative to it."""
        listing = self._store.get_file_info(fs.FileSelector(self.path, recursive=True, allow_not_found=True))
        prefix = len(self.path.rstrip("/")) + 1
        found = {entry.path[prefix:]: entry.size for entry in listing if entry.type == fs.FileType.File}
        return dict(sorted(found.items()))

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
