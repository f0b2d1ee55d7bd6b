"""A file or folder of annotated texts, to be read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from ner_ray.storage import Location

HEAD = 1 << 16


@dataclass(frozen=True, slots=True)
class Source:
    """A file, or a folder that is one data set.

    Attributes:
        uri: what the user gave: this file, or the folder that holds it.
        name: the file's name below the folder; empty where the URI is the file, or a folder is meant as a whole.
        is_folder: whether a folder as a whole is meant.
    """

    uri: str
    name: str = ""
    is_folder: bool = False

    @property
    def label(self) -> str:
        """The name that rows, messages and rejects show."""
        return self.name or self.uri.rstrip("/").rpartition("/")[2]

    @property
    def location(self) -> Location:
        return Location(self.uri)

    def open(self) -> Any:  # a pyarrow stream
        """The content from its beginning, decompressed."""
        return self.location.open(self.name, compression="detect")

    def open_random(self) -> Any:  # a pyarrow file
        """The content as it is stored, at any place."""
        return self.location.open_random(self.name)

    def head(self) -> bytes:
        """The first 64 KiB, decompressed; empty for a folder, and for what cannot be read."""
        if self.is_folder:
            return b""
        try:
            with self.open() as stream:
                content: bytes = stream.read(HEAD)
        except (pa.ArrowException, OSError):
            return b""
        return content
