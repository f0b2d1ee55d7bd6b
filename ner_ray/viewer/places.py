"""Where the parts of a page go: into the page itself, or into files beside it."""

from __future__ import annotations

import zlib
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

from pyarrow import fs

from ner_ray.errors import ConfigError
from ner_ray.storage import clear, is_local, open_store, put_atomically

MOST_IN_PAGE = 1_000
"""Documents of a page that is one file, unless told otherwise; browsers load all of them at once."""

PAGE = "index.html"
PARTS = "ner-ray-data"
_WRITERS = 16
_MOST_WAITING = 64  # parts


class Place(Protocol):
    """Takes the parts, each as JSON under a name, and at last the page."""

    @property
    def version(self) -> str:
        """Changes with the parts, so that no browser takes one of an earlier page from its cache."""

    def put(self, name: str, content: str) -> None:
        """One part."""

    def finish(self, html: str) -> None:
        """The page; all parts are there."""


class InPage:
    """One file with everything."""

    def __init__(self, path: str | Path) -> None:
        self._path = str(path)
        self.parts: dict[str, str] = {}
        self.version = ""

    def put(self, name: str, content: str) -> None:
        self.parts[name] = content

    def finish(self, html: str) -> None:
        store, inner = open_store(self._path)
        put_atomically(store, inner, html.encode(errors="replace"))


class Beside:
    """A folder with the page and a script for each part: browsers load scripts, and no data, from a disk.

    Raises:
        ConfigError: the folder holds something else than an earlier page.
    """

    def __init__(self, folder: str | Path) -> None:
        self._store, path = open_store(str(folder))
        self._root = path.rstrip("/")
        self._folders: set[str] = set()
        self._checksum = 0
        self._waiting: deque[Future[None]] = deque()
        self._threads = ThreadPoolExecutor(_WRITERS)
        self._make_room()

    @property
    def version(self) -> str:
        return f"{self._checksum:08x}"

    def put(self, name: str, content: str) -> None:
        script = f'ner_ray("{name}",{content})\n'.encode(errors="replace")
        self._checksum = zlib.crc32(script, self._checksum)
        while len(self._waiting) >= _MOST_WAITING:
            self._waiting.popleft().result()
        self._waiting.append(self._threads.submit(self._write, f"{self._root}/{PARTS}/{name}.js", script))

    def finish(self, html: str) -> None:
        while self._waiting:
            self._waiting.popleft().result()
        self._threads.shutdown()
        put_atomically(self._store, f"{self._root}/{PAGE}", html.encode(errors="replace"))

    def _write(self, path: str, content: bytes) -> None:
        folder = path.rpartition("/")[0]
        if not isinstance(self._store, fs.S3FileSystem) and folder not in self._folders:
            self._store.create_dir(folder, recursive=True)
            self._folders.add(folder)
        with self._store.open_output_stream(path) as stream:
            stream.write(content)

    def _make_room(self) -> None:
        listed = self._store.get_file_info(fs.FileSelector(self._root, allow_not_found=True))
        names = {info.base_name for info in listed}
        if names - {PAGE, PARTS} or (names and PARTS not in names):
            raise ConfigError(
                f"{self._root} holds other files: {', '.join(sorted(names - {PARTS})[:3])}",
                hint="name a new folder, or one with an earlier page",
            )
        clear(self._store, f"{self._root}/{PARTS}")


def place_of(path: str | Path) -> InPage | Beside:
    """The place that a path names.

    Raises:
        ConfigError: it is a folder with something else than an earlier page.
    """
    return Beside(path) if is_folder(path) else InPage(path)


def is_folder(path: str | Path) -> bool:
    """Whether a page goes to a folder: the path ends with a slash, or there is one."""
    if str(path).endswith("/"):
        return True
    store, inner = open_store(str(path))
    return bool(is_local(store) and store.get_file_info(inner).type == fs.FileType.Directory)
