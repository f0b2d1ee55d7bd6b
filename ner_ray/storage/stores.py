"""Opens paths and URIs as filesystems: local disk, S3 and others through pyarrow, the rest through fsspec."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa
from pyarrow import fs

from ner_ray.errors import InputError
from ner_ray.storage.uris import normalized
from ner_ray.storage.web import open_web

_STORE_ATTEMPTS = 10  # with the client's own backoff, about a minute of throttling
_REGION_OF_OTHER_SERVERS = "us-east-1"
_PACKAGE = "package"  # files that ship with ner_ray: package://sample
_FILES_OF_PACKAGE = Path(__file__).parent.parent


def open_store(uri: str) -> tuple[fs.FileSystem, str]:
    """The filesystem that holds `uri`, and its path there.

    `s3://` and its other names are opened by pyarrow's own client, and so are Google's, Azure's and Hadoop's stores;
    web servers and all others by their fsspec packages. Each store's own library takes credentials from the environment
    or the machine; ner_ray never handles them. `AWS_ENDPOINT_URL` selects another S3-compatible server, `AWS_REGION`
    the region.

    Raises:
        InputError: no installed library knows the scheme, or the store cannot be reached.
    """
    uri = normalized(uri)
    if "://" not in uri:
        return fs.LocalFileSystem(), uri
    scheme = uri.split("://", 1)[0]
    if scheme == _PACKAGE:
        return fs.LocalFileSystem(), str(_FILES_OF_PACKAGE / uri.removeprefix(f"{_PACKAGE}://"))
    try:
        store, path = _OPENERS.get(scheme, fs.FileSystem.from_uri)(uri)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return _through_fsspec(scheme, uri)
    except ImportError as error:
        raise _no_library(scheme, error) from error
    except OSError as error:
        raise InputError(f"cannot reach the store of {uri}: {error}") from error
    return store, path


def require_writable(uri: str) -> None:
    """Makes sure, where it can be told without writing, that a folder can be made at `uri` and files in it.

    Raises:
        InputError: a part of the path is a file, may not be written, or is on a web server.
    """
    store, path = open_store(uri)
    if path.startswith(("http://", "https://")):
        raise InputError(f"nothing can be written to {uri}: files on web servers can only be read")
    if not is_local(store):
        return
    there = next(place for place in (Path(path), *Path(path).parents) if place.exists())
    if not there.is_dir():
        raise InputError(f"{uri} cannot be a folder: {there} is a file", hint="choose another path for the output")
    if not os.access(there, os.W_OK | os.X_OK):
        raise InputError(f"nothing can be written to {uri}: {there} does not allow it", hint="change its permissions")


def is_local(store: fs.FileSystem) -> bool:
    return isinstance(store, fs.LocalFileSystem)


def _s3(uri: str) -> tuple[fs.FileSystem, str]:
    path = uri.removeprefix("s3://").strip("/")
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    return _s3_client(path.split("/", 1)[0], region, endpoint), path


@lru_cache(maxsize=16)
def _s3_client(bucket: str, region: str | None, endpoint: str | None) -> fs.S3FileSystem:
    """One client with its connections for all files of a bucket: finding its region takes a request."""
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
        raise _no_library(scheme, error) from error
    return fs.PyFileSystem(fs.FSSpecHandler(store)), path


def _no_library(scheme: str, error: Exception) -> InputError:
    return InputError(
        f"no installed library opens {scheme}:// ({error})",
        hint="s3:// is built in; other schemes need an fsspec package, http:// needs aiohttp",
    )


_OPENERS = {"s3": _s3, "http": open_web, "https": open_web}
