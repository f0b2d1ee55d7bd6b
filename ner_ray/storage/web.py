"""Files on web servers, `http://` and `https://`: read only."""

from __future__ import annotations

import errno
import io
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any, NoReturn
from urllib.parse import urljoin

import pyarrow as pa
from pyarrow import fs

from ner_ray.signatures import masked, unsigned

_PROBE = 4  # bytes
_SERVER_ERROR = 500
_TOO_MANY_REQUESTS = 429


def open_web(url: str) -> tuple[fs.FileSystem, str]:
    """The filesystem of a web server's files. Proxies and `~/.netrc` are honoured.

    Raises:
        ImportError: aiohttp is not installed.
    """
    from fsspec.implementations.http import HTTPFileSystem

    return fs.PyFileSystem(_Web(HTTPFileSystem(client_kwargs={"trust_env": True}))), url


class _Web(fs.FSSpecHandler):  # type: ignore[misc]  # pyarrow has no types
    """Reads files of servers that cannot send a part of a file, too, and tells when a file was changed."""

    def get_file_info(self, paths: list[str]) -> list[fs.FileInfo]:
        """Of files; an URL that ends with a slash is a folder."""
        return [_folder(url) if url.endswith("/") else self._info(url) for url in paths]

    def get_file_info_selector(self, selector: fs.FileSelector) -> list[fs.FileInfo]:
        """What the index page of a folder links to, and, if wanted, the pages of its folders."""
        folder = f"{selector.base_dir.rstrip('/')}/"
        try:
            links = [urljoin(folder, link["name"]) for link in self.fs.ls(folder, detail=True)]
        except FileNotFoundError:
            if selector.allow_not_found:
                return []
            raise
        inside = sorted({link for link in links if link.startswith(folder) and link != folder and "?" not in link})
        infos = self.get_file_info(inside)
        for info in infos[:] if selector.recursive else ():
            if info.type == fs.FileType.Directory:
                infos += self.get_file_info_selector(fs.FileSelector(info.path, recursive=True, allow_not_found=True))
        return infos

    def open_input_file(self, path: str) -> pa.NativeFile:
        """At any place; a server that does not send parts of a file sends the whole, which is kept in memory."""
        info = self._info(path)
        if info.type == fs.FileType.NotFound:
            raise FileNotFoundError(errno.ENOENT, "no such file", masked(path))
        size = info.size
        part = self.fs.cat_file(path, start=max(0, size - _PROBE), end=size) if size else self.fs.cat_file(path)
        if len(part) > _PROBE or not size:
            return pa.PythonFile(io.BytesIO(part), mode="r")
        return pa.PythonFile(self.fs.open(path, mode="rb"), mode="r")

    def create_dir(self, path: str, recursive: bool) -> NoReturn:  # noqa: ARG002  # pyarrow's signature
        """Refused: nothing can be written."""
        raise OSError(errno.EROFS, "files on web servers can only be read", path)

    def open_output_stream(self, path: str, metadata: Any) -> NoReturn:  # noqa: ARG002  # pyarrow's signature
        """Refused: nothing can be written."""
        self.create_dir(path, recursive=True)

    def _info(self, url: str) -> fs.FileInfo:
        try:
            found = self.fs.info(url)
        except FileNotFoundError as error:
            if (code := getattr(error.__cause__, "status", None)) in (None, 404, 410):
                if isinstance(error.__cause__, OSError):
                    raise error.__cause__ from None
                return fs.FileInfo(url, fs.FileType.NotFound)
            raise _refused(code, url) from None
        size = len(self.fs.cat_file(url)) if found["size"] is None else found["size"]
        return fs.FileInfo(url, fs.FileType.File, size=size, mtime=_seconds(found.get("Last-Modified")))


def _refused(code: int, url: str) -> OSError:
    """The error for a status that is neither a file nor its absence."""
    passing = code >= _SERVER_ERROR or code == _TOO_MANY_REQUESTS
    reason = "; the signature of the URL may have run out" if unsigned(url)[1] and not passing else ""
    return OSError(errno.EIO if passing else errno.EACCES, f"the server answers {code}{reason}", masked(url))


def _seconds(date: str | None) -> float | None:
    """A date as servers write it, in seconds since 1970; None if it is none."""
    try:
        return parsedate_to_datetime(date).astimezone(UTC).timestamp() if date else None
    except ValueError:
        return None


def _folder(url: str) -> fs.FileInfo:
    return fs.FileInfo(url, fs.FileType.Directory)
