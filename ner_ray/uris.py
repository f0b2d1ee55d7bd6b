"""Paths and URIs as filesystems: local disk, S3 and what else pyarrow knows; the rest through fsspec."""

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

_STORE_ATTEMPTS = 10  # with the client's own growing waits between: about a minute of slow-downs
_REGION_OF_OTHER_SERVERS = "us-east-1"
_PACKAGE = "package"  # files that ship with ner_ray: package://sample


def open_store(uri: str) -> tuple[fs.FileSystem, str]:
    """The filesystem that holds `uri`, and the path there.

    `s3://` goes through pyarrow's own client, `s3a://` through s3fs, other schemes through fsspec's package for them.
    Credentials come from the environment or the machine, as each store's own library does it; never from here.
    `AWS_ENDPOINT_URL` names another server that speaks S3, `AWS_REGION` the region.

    Raises:
        InputError: no library at hand knows the scheme.
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
    """The URI of something below another."""
    return "/".join([uri.rstrip("/"), *names])


def is_local(store: fs.FileSystem) -> bool:
    return isinstance(store, fs.LocalFileSystem)


def put_atomically(store: fs.FileSystem, path: str, content: bytes) -> None:
    """Writes a small file that is seen whole or not at all.

    An object store shows an object when its upload is complete; on a disk a new file takes the name at the end.
    """
    if not isinstance(store, fs.S3FileSystem):  # which has no folders
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
    except OSError:  # a disk that is full, say
        draft.unlink(missing_ok=True)
        raise


def put_json(store: fs.FileSystem, path: str, content: Any) -> None:  # whatever JSON can say
    """Writes JSON, atomically."""
    put_atomically(store, path, json.dumps(content, ensure_ascii=False, indent=1).encode())


def get_json(store: fs.FileSystem, path: str) -> Any:  # whatever JSON can say
    """What a JSON file says, or None where there is no such file."""
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
    """One for all files of a bucket, with its connections: to find its region out takes a request."""
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
            f"no library at hand opens {scheme}:// ({error})",
            hint="s3:// is built in; others need an fsspec package",
        ) from error
    return fs.PyFileSystem(fs.FSSpecHandler(store)), path
