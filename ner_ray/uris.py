"""Paths and URIs as filesystems: local disk, S3 and what else pyarrow knows; the rest through fsspec."""

from __future__ import annotations

import json
import os
import uuid
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import fs

from ner_ray.errors import InputError

_PACKAGE = "package"  # files that ship with ner_ray: package://sample


def open_store(uri: str) -> tuple[fs.FileSystem, str]:
    """The filesystem that holds `uri`, and the path there.

    Credentials come from the environment or the machine, as each store's own library does it; never from here.

    Raises:
        InputError: no library at hand knows the scheme.
    """
    if "://" not in uri:
        return fs.LocalFileSystem(), str(Path(uri).expanduser().absolute())
    scheme = uri.split("://", 1)[0]
    if scheme == _PACKAGE:
        return fs.LocalFileSystem(), str(Path(__file__).parent / uri.removeprefix(f"{_PACKAGE}://"))
    try:
        return fs.FileSystem.from_uri(uri)  # type: ignore[no-any-return]
    except pa.ArrowInvalid:
        return _through_fsspec(scheme, uri)
    except OSError as error:
        raise InputError(f"cannot reach the store of {uri}: {error}") from error


def join(uri: str, *names: str) -> str:
    """The URI of something below another."""
    return "/".join([uri.rstrip("/"), *names])


def is_local(store: fs.FileSystem) -> bool:
    return isinstance(store, fs.LocalFileSystem)


def put_atomically(store: fs.FileSystem, path: str, content: bytes) -> None:
    """Writes a small file that is seen whole or not at all.

    An object store shows an object when its upload is complete; on a disk a new file takes the name at the end.
    """
    store.create_dir(path.rsplit("/", 1)[0], recursive=True)
    if not is_local(store):
        with store.open_output_stream(path) as stream:
            stream.write(content)
        return
    draft = Path(f"{path}.{uuid.uuid4().hex}.draft")
    with draft.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def put_json(store: fs.FileSystem, path: str, content: Any) -> None:  # whatever JSON can say
    """Writes JSON, atomically."""
    put_atomically(store, path, json.dumps(content, ensure_ascii=False, indent=1).encode())


def get_json(store: fs.FileSystem, path: str) -> Any:  # whatever JSON can say
    """What a JSON file says, or None where there is no such file."""
    if store.get_file_info(path).type != fs.FileType.File:
        return None
    with store.open_input_stream(path) as stream:
        return json.loads(stream.read())


def _through_fsspec(scheme: str, uri: str) -> tuple[fs.FileSystem, str]:
    try:
        import fsspec

        store, path = fsspec.core.url_to_fs(uri)
    except (ImportError, ValueError) as error:
        raise InputError(
            f"no library at hand opens {scheme}:// ({error})",
            hint="s3:// is built in; others need an fsspec package",
        ) from error
    return fs.PyFileSystem(fs.FSSpecHandler(store)), path
