"""Files and folders by URI, on any store that pyarrow or fsspec opens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pyarrow import fs

from ner_ray.uris import open_store

_CHUNK = 1 << 22


class Place:
    """A file or folder on a store."""

    __slots__ = ("_store", "path")

    def __init__(self, uri: str) -> None:
        """Finds the store; nothing is read.

        Raises:
            InputError: nothing installed opens such a URI.
        """
        self._store, self.path = open_store(uri)

    @property
    def local(self) -> Path | None:
        """The same place as a path, on a local disk."""
        return Path(self.path) if isinstance(self._store, fs.LocalFileSystem) else None

    def exists(self, name: str = "") -> bool:
        """Whether there is a file or folder."""
        return bool(self._store.get_file_info(self._at(name)).type != fs.FileType.NotFound)

    def files(self) -> list[str]:
        """The files in this folder and below, as names relative to it, sorted; a file holds itself, as ``."""
        if self._store.get_file_info(self.path).type == fs.FileType.File:
            return [""]
        listing = self._store.get_file_info(fs.FileSelector(self.path, recursive=True, allow_not_found=True))
        prefix = len(self.path.rstrip("/")) + 1
        return sorted(entry.path[prefix:] for entry in listing if entry.type == fs.FileType.File)

    def open(self, name: str = "", *, compression: str | None = None) -> Any:  # a pyarrow stream
        """A stream to read; `compression` may be `detect`."""
        return self._store.open_input_stream(self._at(name), compression=compression)

    def open_random(self, name: str = "") -> Any:  # a pyarrow file
        """A file to read at any place, as Parquet wants it."""
        return self._store.open_input_file(self._at(name))

    def read(self, name: str) -> bytes:
        """A small file's content."""
        with self.open(name) as stream:
            content: bytes = stream.read()
        return content

    def write(self, name: str, content: bytes) -> None:
        """Puts a small file."""
        self._make_parent(name)
        with self._store.open_output_stream(self._at(name)) as stream:
            stream.write(content)

    def upload(self, source: Path, name: str) -> None:
        """Puts a local file here."""
        self._make_parent(name)
        with source.open("rb") as file, self._store.open_output_stream(self._at(name)) as stream:
            while chunk := file.read(_CHUNK):
                stream.write(chunk)

    def download(self, name: str, target: Path) -> None:
        """Gets a file from here."""
        target.parent.mkdir(parents=True, exist_ok=True)
        with self.open(name) as stream, target.open("wb") as file:
            while chunk := stream.read(_CHUNK):
                file.write(chunk)

    def delete(self, name: str) -> None:
        """Removes a file."""
        self._store.delete_file(self._at(name))

    def _at(self, name: str) -> str:
        return f"{self.path.rstrip('/')}/{name}" if name else self.path

    def _make_parent(self, name: str) -> None:
        self._store.create_dir(self._at(name).rpartition("/")[0], recursive=True)
