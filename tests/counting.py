"""A store of local files that counts what is read from them."""

from __future__ import annotations

import io
from pathlib import Path

import pyarrow as pa


class CountingStore:
    """Opens local files for reading.

    Attributes:
        bytes: how many have been read.
        reads: by how many reads.
    """

    def __init__(self) -> None:
        self.bytes = 0
        self.reads = 0

    def open_input_file(self, path: str) -> pa.PythonFile:
        return pa.PythonFile(_CountingFile(path, self), mode="r")


class _CountingFile(io.BytesIO):
    def __init__(self, path: str, store: CountingStore) -> None:
        super().__init__(Path(path).read_bytes())
        self._store = store

    def read(self, size: int | None = -1) -> bytes:
        content = super().read(size)
        self._store.bytes += len(content)
        self._store.reads += 1
        return content
