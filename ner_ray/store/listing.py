"""From the paths that a user gives to input files: each file once, under one URI, with a name of its own."""

from __future__ import annotations

import logging
import os
import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

import pyarrow as pa
from pyarrow import fs

from ner_ray.errors import InputError
from ner_ray.signatures import masked, unsigned
from ner_ray.storage import below, folder_and_name, is_local, join, normalized, open_store
from ner_ray.store.manifests import committed_files, is_run, manifests, refuse_inside
from ner_ray.store.patterns import EVERYTHING, State, begins_with_signs, has_signs, parse
from ner_ray.store.walk import Met, walk

_LOG = logging.getLogger(__name__)

_READERS = 16
_MAGIC = b"PAR1"
_CODEC = r"\.(snappy|gz|gzip|zst|zstd|lz4|lzo|br|brotli|bz2|xz)"
_PARQUET = re.compile(rf"\.(parquet|parq|pq)({_CODEC})?$", re.IGNORECASE)
_UNTOLD = re.compile(
    rf"(^|/)[^./]+(\.\d+)?({_CODEC})?$", re.IGNORECASE
)  # as Hive, Athena and BigQuery name their files
_WEB = ("http://", "https://")


@dataclass(frozen=True, slots=True)
class InputFile:
    """A file of the input.

    Attributes:
        uri: in normal form, without a signature.
        root: URI of the folder that `name` is below.
        name: the path below the root, as the user's path leads there.
        size: in bytes.
        modified: time of the last change, in nanoseconds since 1970; 0 if the store does not tell.
        store: the filesystem.
        path: on the store.
        inode: what names of one file on a disk have in common; empty elsewhere.
        signature: what a signed URI had besides.
    """

    uri: str
    root: str
    name: str
    size: int
    modified: int
    store: fs.FileSystem
    path: str
    inode: tuple[int, ...] = ()
    signature: str = ""


@dataclass(frozen=True, slots=True)
class _Root:
    """A folder to be walked, and what is wanted there: all files, unless the user gave a glob."""

    written: str
    uri: str
    store: fs.FileSystem
    path: str
    glob: State | None = None


def list_files(
    paths: str | Sequence[str], known: Collection[str] = (), left_out: Iterable[str] = ()
) -> list[InputFile]:
    """The files that the paths name, in the order of their URIs.

    Args:
        paths: files, folders, globs or run directories.
        known: normal URIs of files that were in the input before. If there are any, folders may be empty.
        left_out: folders whose files are never input, such as the output.

    Raises:
        InputError: there is no path, one does not exist or lies in what is left out, or there is no Parquet file.
    """
    written = [paths] if isinstance(paths, str) else list(paths)
    if not written:
        raise InputError("the input is an empty list of paths")
    apart = [normalized(folder) for folder in left_out]
    found = [_files_of(path, known, apart) for path in written]
    files = [file for of_path in found for file in of_path]
    if not files and not known:
        raise InputError(
            f"no Parquet file at {', '.join(written)}",
            hint="only Parquet is read; give a run as its own directory, and files with other endings by name or glob",
        )
    return _each_once(files, known)


def find_file(uri: str) -> InputFile | None:
    """The file at a normal URI; None if there is none."""
    store, path = open_store(uri)
    try:
        info = store.get_file_info(path)
    except PermissionError:  # what web servers say of files that are gone, and of a signature that has run out
        return None
    return _file(uri, store, info) if info.type == fs.FileType.File else None


def _each_once(files: Iterable[InputFile], known: Collection[str]) -> list[InputFile]:
    """One file for each URI, and for the names that a file on a disk has; names that are known come first."""
    by_uri: dict[str, InputFile] = {}
    for file in files:
        if by_uri.setdefault(file.uri, file).signature != file.signature:
            raise InputError(
                f"the input has {file.uri} twice, with different signatures or tokens",
                hint="give each file one URL; if a token is what tells files from each other, download them first",
            )
    chosen: dict[object, InputFile] = {}
    for file in sorted(by_uri.values(), key=lambda file: (file.uri not in known, file.uri)):
        chosen.setdefault(file.inode or file.uri, file)
    return sorted(chosen.values(), key=lambda file: file.uri)


def _files_of(written: str, known: Collection[str], left_out: Sequence[str]) -> list[InputFile]:
    uri = normalized(written)
    if inside := next((folder for folder in left_out if _is_below(uri, folder)), None):
        raise InputError(f"{written} lies in {inside}, to which output is written", hint="read and write apart")
    store, path = open_store(uri)
    on_web = uri.startswith(_WEB)
    if not on_web:
        if is_run(store, path):
            return _of_run(uri, store, path)
        refuse_inside(store, [path], written)
    info = store.get_file_info(path)
    root = _Root(written, uri, store, path)
    if info.type == fs.FileType.File:
        marks_folder = not info.size and not is_local(store) and not on_web and walk(store, path).files
        return _below(root, known, left_out) if marks_folder else [_file(uri, store, info)]
    if info.type == fs.FileType.NotFound:
        is_glob = has_signs(written) and not on_web  # not what a link leads to
        root = _of_glob(root) if is_glob else root
        if not is_glob or not _is_folder(store, root.path):
            _check_missing(root, known)
    return _below(root, known, left_out)


def _of_glob(root: _Root) -> _Root:
    """The folder in which a glob begins; parts that exist as they are written are no globs."""
    ends = "/" if root.written.endswith("/") else ""
    *above, last = root.path.split("/")
    fixed: list[str] = []
    parts = [*above, f"{last}{ends}"]
    while len(parts) > 1 and (not begins_with_signs(parts) or _is_folder(root.store, "/".join([*fixed, parts[0]]))):
        fixed.append(parts.pop(0))
    if not has_signs("/".join(parts)):
        return root
    folder = "/".join(fixed) or "/"
    refuse_inside(root.store, [folder], root.written)
    uri = root.uri
    for _ in PurePosixPath("/".join(parts)).parts:
        uri = folder_and_name(uri)[0]
    return _Root(root.written, normalized(uri), root.store, folder, parse("/".join(parts)))


def _is_folder(store: fs.FileSystem, path: str) -> bool:
    return bool(store.get_file_info(path).type == fs.FileType.Directory)


def _check_missing(root: _Root, known: Collection[str]) -> None:
    """A path that is not there is an ordinary thing where files were found before, and a mistake elsewhere.

    In an object store, a folder without files is one that does not exist.
    """
    has_folders = is_local(root.store) or root.uri.startswith(_WEB)
    had_files = [uri for uri in known if _is_below(uri, unsigned(root.uri)[0])] if has_folders else known
    if not had_files:
        near = _near(root) if is_local(root.store) else ""
        raise InputError(
            f"no such file or folder: {root.written}" + (f"; do you mean {near}?" if near else ""),
            hint="input.path takes files, folders, globs, URIs and run directories",
        )


def _near(root: _Root) -> str:
    missing = Path(root.path)
    try:
        near = get_close_matches(missing.name, [path.name for path in missing.parent.iterdir()], n=1)
    except OSError:
        return ""
    return str(missing.with_name(near[0])) if near else ""


def _below(root: _Root, known: Collection[str], left_out: Sequence[str]) -> list[InputFile]:
    found = walk(root.store, root.path, root.glob or EVERYTHING)
    for run in found.runs:
        _LOG.info("input.left_out path=%s run=%s", masked(root.written), run)
    for table in sorted(found.tables):
        _LOG.warning("input.is_table path=%s; files that the table has dropped are read as well", table)
    met = [_met(root, met) for met in found.files]
    files = [file for file in met if not any(_is_below(file.uri, folder) for folder in left_out)]
    if len(files) < len(met):
        _LOG.info("input.left_out path=%s files=%d; they are output", masked(root.written), len(met) - len(files))
    chosen = _with_parquet(root, files, known)
    if not chosen:
        _LOG.warning("input.empty path=%s", masked(root.written))
    return chosen


def _with_parquet(root: _Root, files: Sequence[InputFile], known: Collection[str]) -> list[InputFile]:
    """The files whose names say that they hold Parquet, and others that do; a log line counts what is skipped.

    In a folder, files with other endings are not opened.
    """
    unclear = [file for file in files if not _PARQUET.search(file.name) and file.uri not in known]
    with ThreadPoolExecutor(_READERS) as threads:
        looks = threads.map(lambda file: (root.glob or _UNTOLD.search(file.name)) and _holds_parquet(file), unclear)
        skipped = {file.name for file, taken in zip(unclear, looks, strict=True) if not taken}
    if skipped:
        endings = Counter(PurePosixPath(name).suffix or "none" for name in skipped)
        shown = " ".join(f"{ending}:{count}" for ending, count in sorted(endings.items()))
        _LOG.warning("input.skipped path=%s files=%d not_parquet=%s", masked(root.written), len(skipped), shown)
    return [file for file in files if file.name not in skipped]


def _holds_parquet(file: InputFile) -> bool:
    try:
        with file.store.open_input_file(file.path) as stream:
            return bool(stream.read(len(_MAGIC)) == _MAGIC)
    except (pa.ArrowException, OSError):
        return False


def _of_run(uri: str, store: fs.FileSystem, path: str) -> list[InputFile]:
    """Exactly the committed files of a run."""
    names = [file["path"] for file in committed_files(manifests(store, path))]
    if not names:
        raise InputError(f"nothing is committed yet in the run {uri}", hint="finish that run first")
    infos = store.get_file_info([join(path, name) for name in names])
    root = _Root(uri, uri, store, path)
    return [
        _met(root, Met(info.path, name, info.size or 0, info.mtime_ns or 0))
        for info, name in zip(infos, names, strict=True)
    ]


def _file(uri: str, store: fs.FileSystem, info: fs.FileInfo) -> InputFile:
    """A file that the user names."""
    folder, name = folder_and_name(uri)
    uri, signature = unsigned(uri)
    return InputFile(uri, folder, name, info.size or 0, info.mtime_ns or 0, store, info.path, signature=signature)


def _met(root: _Root, met: Met) -> InputFile:
    """A file below a folder. A disk's paths, and a web server's URLs, are URIs already."""
    if root.uri.startswith(_WEB):
        return _named(root, normalized(met.path), replace(met, name=unquote(met.name)))
    return _named(root, met.path if "://" not in root.uri else below(root.uri, met.name), met)


def _named(root: _Root, uri: str, met: Met) -> InputFile:
    """Bytes of a name on a disk that are not UTF-8 are written out, as the file can be told of but not read."""
    uri, name = (os.fsencode(text).decode(errors="backslashreplace") for text in (uri, met.name))
    uri, signature = unsigned(uri)
    return InputFile(uri, root.uri, name, met.size, met.modified, root.store, met.path, met.inode, signature)


def _is_below(uri: str, folder: str) -> bool:
    return uri == folder or uri.startswith(f"{folder.rstrip('/')}/")
