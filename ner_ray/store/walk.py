"""Walks folders on any store for the files that a glob means; links are followed, and every file is met once."""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass

from pyarrow import fs

from ner_ray.storage import is_local, join
from ner_ray.store.manifests import FIRST_PLAN, is_run
from ner_ray.store.patterns import EVERYTHING, State, accepts, enter

_OWN = f"/{FIRST_PLAN}"
_TABLE = re.compile(r"(?P<folder>.*)/(_delta_log|\.hoodie|metadata/[^/]+\.metadata\.json)(/.*)?$", re.DOTALL)
_DATA = (stat.S_IFREG, stat.S_IFLNK)  # not pipes and devices


@dataclass(frozen=True, slots=True)
class Met:
    """A file met on a walk.

    Attributes:
        path: on the store; on a disk without links.
        name: the path below the folder in which the walk began, as it was walked.
        size: in bytes.
        modified: time of the last change, in nanoseconds since 1970; 0 if the store does not tell.
        inode: what names of one file on a disk have in common; empty elsewhere.
    """

    path: str
    name: str
    size: int
    modified: int
    inode: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Walk:
    """The result of a walk.

    Attributes:
        files: in no order.
        runs: the run directories that were met, and left out.
        tables: folders of Delta, Hudi or Iceberg tables, whose logs say which files count.
    """

    files: list[Met]
    runs: list[str]
    tables: set[str]

    def look_at(self, path: str) -> None:
        """Notes the table that a path is a part of."""
        if found := _TABLE.fullmatch(path):
            self.tables.add(found["folder"])


def walk(store: fs.FileSystem, folder: str, state: State = EVERYTHING) -> Walk:
    """The files below a folder that a glob means; run directories are not entered.

    Args:
        store: the filesystem.
        folder: a path there; on a disk without links.
        state: the glob's, see `ner_ray.store.patterns`.
    """
    found = Walk([], [], set())
    if is_local(store):
        _walk_disk(store, folder, "", state, found, set())
    else:
        _walk_store(store, folder, "", state, found)
    return found


def _walk_disk(
    store: fs.FileSystem, folder: str, name: str, state: State, found: Walk, seen: set[tuple[str, State]]
) -> None:
    """Real entries come before links, so that a file has its own name where it can be reached by several."""
    seen.add((folder, state))
    for entry in sorted(_entries(folder), key=lambda entry: (entry.is_symlink(), entry.name)):
        status = _status(entry)
        found.look_at(entry.path)
        path = os.path.realpath(entry.path) if entry.is_symlink() else entry.path
        if stat.S_ISDIR(status.st_mode):
            below = enter(state, entry.name)
            if not below or (path, below) in seen:
                continue
            if is_run(store, path):
                found.runs.append(path)
            else:
                _walk_disk(store, path, f"{name}{entry.name}/", below, found, seen)
        elif stat.S_IFMT(status.st_mode) in _DATA and accepts(state, entry.name):
            inode = (status.st_dev, status.st_ino) if status.st_nlink > 1 else ()
            found.files.append(Met(path, f"{name}{entry.name}", status.st_size, status.st_mtime_ns, inode))


def _entries(folder: str) -> list[os.DirEntry[str]]:
    """None if the folder has just been deleted."""
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except FileNotFoundError:
        return []


def _status(entry: os.DirEntry[str]) -> os.stat_result:
    """Of what a link leads to, or of the link itself if that is nothing."""
    try:
        return entry.stat()
    except OSError:
        return entry.stat(follow_symlinks=False)


def _walk_store(store: fs.FileSystem, folder: str, name: str, state: State, found: Walk) -> None:
    """One listing of all files, where the glob goes deeper than one folder; stores answer it fastest."""
    deep = any(len(way) > 1 for way in state)
    infos = store.get_file_info(fs.FileSelector(folder, recursive=deep, allow_not_found=True))
    prefix = len(folder.rstrip("/")) + 1 if folder else 0
    runs = {info.path.removesuffix(_OWN) for info in infos if info.path.endswith(_OWN)}
    found.runs.extend(sorted(runs))
    for info in infos:
        inner = info.path[prefix:]
        found.look_at(info.path)
        *folders, last = inner.split("/")
        inside = state
        for part in folders:
            inside = enter(inside, part)
        if info.is_file and accepts(inside, last) and not _is_below(info.path, runs):
            found.files.append(Met(info.path, f"{name}{inner}", info.size or 0, info.mtime_ns or 0))
        elif not deep and info.type == fs.FileType.Directory and (inside := enter(state, last)):
            _walk_store(store, info.path, f"{name}{inner}/", inside, found)


def _is_below(path: str, folders: set[str]) -> bool:
    return bool(folders) and any(path.startswith(join(folder, "")) for folder in folders)
