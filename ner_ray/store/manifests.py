"""Recognises run directories, and reads which of their files are committed.

A reader of a run relies on its manifests alone. The folder `data/` also holds files of open waves and files that later
waves have superseded, so neither it nor anything below it is ever an input.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import PurePosixPath
from typing import Any

from pyarrow import fs

from ner_ray.errors import InputError
from ner_ray.storage import get_json, join
from ner_ray.store.tally import Tally

FIRST_PLAN = "plan/00000.json"  # written before anything else that a reader could find
_INSIDE = frozenset({"data", "journal", "snapshot"})
_READERS = 16


def is_run(store: fs.FileSystem, path: str) -> bool:
    """Whether a folder is a run directory."""
    return bool(store.get_file_info(join(path, FIRST_PLAN)).type == fs.FileType.File)


def refuse_inside(store: fs.FileSystem, paths: Iterable[str], uri: str = "") -> None:
    """Refuses files and folders inside a run directory.

    Args:
        store: the filesystem that holds the paths.
        paths: the files and folders to be read, as paths on the store.
        uri: what the user wrote, for the message; the path itself if empty.

    Raises:
        InputError: one of them lies in the data, journal or snapshot folder of a run.
    """
    above: dict[str, str] = {}
    for path in paths:
        for run in _folders_above(path):
            above.setdefault(run, path)
    for run, path in above.items():
        if is_run(store, run):
            raise InputError(
                f"{uri or path} lies inside the run {run}: its folders also hold rows that are superseded or not "
                "committed",
                hint=f"give the run directory itself, {run}; its manifests name the rows that count",
            )


def manifests(store: fs.FileSystem, path: str) -> list[dict[str, Any]]:
    """The manifests of a run directory, in the order of the waves."""
    return documents(store, join(path, "manifest"))


def committed_files(of_waves: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Exactly the committed files, as manifests describe them: path below the run, size, rows, tally."""
    superseded = {path for manifest in of_waves for path in manifest.get("supersedes", ())}
    return [file for manifest in of_waves for file in manifest["files"] if file["path"] not in superseded]


def tallied(of_waves: Sequence[Mapping[str, Any]]) -> Tally:
    """The counts of the documents in the committed files of some waves."""
    return Tally.total(Tally.from_dict(file["tally"]) for file in committed_files(of_waves))


def documents(store: fs.FileSystem, folder: str) -> list[dict[str, Any]]:
    """The contents of a folder's JSON files, in the order of their names; empty if there is no such folder."""
    try:
        infos = store.get_file_info(fs.FileSelector(folder, allow_not_found=True))
    except (FileNotFoundError, NotADirectoryError):  # the folder appeared between two calls inside Arrow
        return []
    paths = sorted(info.path for info in infos if info.is_file and info.path.endswith(".json"))
    with ThreadPoolExecutor(_READERS) as threads:
        return list(threads.map(lambda path: get_json(store, path), paths))


def _folders_above(path: str) -> list[str]:
    """The folders that would be run directories if `path` were inside one."""
    parts = PurePosixPath(path).parts
    return [str(PurePosixPath(*parts[:at])) for at, part in enumerate(parts) if at and part in _INSIDE]
