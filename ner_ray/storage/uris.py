"""One spelling for every file: the normal form of paths and URIs, and the URIs of what lies below a folder.

Two spellings of the same file have the same normal form: relative paths and links, `s3a://` and `s3://`, quoted and
plain characters. What a store lists can be opened again by the URI made here.
"""

from __future__ import annotations

import os
import posixpath
import re
from pathlib import Path
from urllib.parse import quote, unquote

from ner_ray.errors import InputError

_URI = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<rest>.*)", re.DOTALL)
_SPELLINGS = {"s3a": "s3", "s3n": "s3", "gcs": "gs", "abfs": "abfss"}
_WEB = {"http": ":80", "https": ":443"}  # with the port that goes without saying
_DECODED = {"gs", "abfss", "hdfs", "viewfs"}  # Arrow decodes the paths of these URIs
_NESTED = {"s3", *_DECODED}  # `.`, `..` and empty parts of their paths have no meaning of their own
_AZURE = re.compile(r"(?P<account>[^@/.]+)\.(blob|dfs)\.(?P<domain>[^/]+)/(?P<container>[^/]+)(?P<path>.*)", re.DOTALL)
_OPTIONS = re.compile(r"\?[A-Za-z_]\w*=[^/?]*$")
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
_PLAIN = "!$&'()*+,;=:@~"  # may stand in a URI's path as they are


def normalized(uri: str) -> str:
    """The one spelling of a path or URI.

    A local path, or `file:` URI, becomes an absolute path without links. Schemes and hosts are in lower case, other
    names of a scheme are replaced, `.`, `..` and doubled slashes are resolved where they mean nothing, and characters
    are quoted where the store's URIs are.

    Raises:
        InputError: the URI is empty, holds a password, or is a `file:` URI of another machine.

    >>> normalized("s3a://bucket//in/./old/../a b.parquet")
    's3://bucket/in/a b.parquet'
    >>> normalized("gcs://bucket/a b.parquet")
    'gs://bucket/a%20b.parquet'
    """
    if not uri.strip():
        raise InputError("a path is empty", hint="`.` is the working directory")
    if uri.startswith("file:"):
        return _of_disk(_of_file_uri(uri))
    if not (found := _URI.fullmatch(uri)):
        return uri if "::" in uri and "://" in uri else _of_disk(os.path.expanduser(uri))  # noqa: PTH111  # which leaves `~nobody` as it is
    scheme = found["scheme"].lower()
    scheme, rest = _SPELLINGS.get(scheme, scheme), found["rest"]
    _refuse_password(scheme, rest)
    if scheme in _WEB:
        return f"{scheme}://{_of_web(scheme, rest)}"
    if scheme == "abfss" and (parts := _AZURE.fullmatch(rest)):
        rest = f"{parts['container']}@{parts['account']}.dfs.{parts['domain']}{parts['path']}"
    path, options = _split_options(scheme, rest)
    if scheme in _NESTED:
        host, _, inside = path.partition("/")
        path = f"{host}/{posixpath.normpath(f'/{inside}').strip('/')}"
    if _is_decoded(scheme, path):
        path = quote(unquote(path), safe=f"/{_PLAIN}")
    return f"{scheme}://{path.rstrip('/')}{options}"


def absolute(path: str) -> str:
    """A path or glob that means the same in every working directory; URIs stay as they are."""
    if "://" in path or path.startswith("file:"):
        return path
    return str(os.path.join(Path.cwd(), os.path.expanduser(path)))  # noqa: PTH111, PTH118  # keeps a final slash


def join(uri: str, *names: str) -> str:
    """A path or plain URI of something below another.

    >>> join("s3://bucket/run/", "data", "part.parquet")
    's3://bucket/run/data/part.parquet'
    """
    return "/".join([uri.rstrip("/"), *names])


def below(folder: str, path: str) -> str:
    """The normal URI of a file below a folder.

    Args:
        folder: its URI, in normal form.
        path: of the file, relative to the folder, as the store lists it.

    >>> below("gs://bucket/in", "day=1/50%.parquet")
    'gs://bucket/in/day=1/50%25.parquet'
    """
    if not (found := _URI.fullmatch(folder)):
        return f"{folder.rstrip('/')}/{path}"
    inside, options = _split_options(found["scheme"], found["rest"])
    if _is_decoded(found["scheme"], inside):
        path = quote(path, safe=f"/{_PLAIN}")
    return f"{found['scheme']}://{inside}{'/' if inside.strip('/') else ''}{path}{options}"


def folder_and_name(uri: str) -> tuple[str, str]:
    """The folder of a file, as a normal URI, and the file's name.

    >>> folder_and_name("gs://bucket/in/a%20b.parquet")
    ('gs://bucket/in', 'a b.parquet')
    """
    found = _URI.fullmatch(uri)
    scheme, rest = (found["scheme"], found["rest"]) if found else ("", uri)
    path, options = _split_options(scheme, rest)
    folder, _, name = path.rpartition("/")
    if scheme in _WEB:
        name, options = unquote(name.partition("?")[0]), ""
    elif _is_decoded(scheme, path):
        name = unquote(name)
    return (f"{scheme}://{folder}{options}" if found else folder or "/"), name


def path_of(uri: str) -> str:
    """A normal URI without quoting and options, for those who look for names in it.

    >>> path_of("gs://bucket/day=1/50%25.parquet")
    'gs://bucket/day=1/50%.parquet'
    """
    if not (found := _URI.fullmatch(uri)):
        return uri
    scheme, rest = found["scheme"], found["rest"]
    path = rest.partition("?")[0] if scheme in _WEB else _split_options(scheme, rest)[0]
    return f"{scheme}://{unquote(path) if scheme in _WEB or _is_decoded(scheme, path) else path}"


def _of_disk(path: str) -> str:
    try:
        path.encode()
    except UnicodeEncodeError as error:
        shown = os.fsencode(path).decode(errors="backslashreplace")
        raise InputError(f"the path {shown} is not UTF-8", hint="rename the file or folder") from error
    return os.path.realpath(path)


def _of_file_uri(uri: str) -> str:
    path = uri.removeprefix("file:")
    if path.startswith("//"):
        host, slash, path = path[2:].partition("/")
        if host not in ("", "localhost"):
            raise InputError(f"{uri} names the host {host!r}", hint=f"write a path: file:///{host}{slash}{path}")
        path = f"/{path}"
    return unquote(path, errors="surrogateescape")


def _of_web(scheme: str, rest: str) -> str:
    """The URL after its scheme; escapes that servers may tell from the plain character are left as they are."""
    host, slash, path = rest.partition("#")[0].partition("/")
    path, mark, query = path.partition("?")
    path = re.sub("%(?![0-9A-Fa-f]{2})", "%25", path)
    path = quote(_ESCAPE.sub(_unreserved, path), safe=f"/%{_PLAIN}")
    ends = path.endswith("/")
    path = posixpath.normpath(f"/{path}").lstrip("/") + "/" * ends if "/." in f"/{path}" else path
    return f"{host.lower().removesuffix(_WEB[scheme])}{slash}{path}{mark}{query}"


def _unreserved(escape: re.Match[str]) -> str:
    """A quoted character as it is, where all servers take it for the same; other escapes in capitals."""
    character = chr(int(escape[1], 16))
    return character if re.fullmatch(r"[A-Za-z0-9._~=:@,!*'()-]", character) else escape[0].upper()


def _split_options(scheme: str, rest: str) -> tuple[str, str]:
    """The path, and options of the store such as `?anonymous=true`."""
    found = _OPTIONS.search(rest) if scheme in _DECODED else None
    return (rest[: found.start()], found[0]) if found else (rest, "")


def _is_decoded(scheme: str, path: str) -> bool:
    """Whether the path is quoted in the URI; not where fsspec opens Azure, by the name of the container alone."""
    host = path.partition("/")[0]
    return scheme in _DECODED and (scheme != "abfss" or "@" in host or "." in host)


def _refuse_password(scheme: str, rest: str) -> None:
    host = rest.partition("/")[0]
    if "@" in host and ":" in host.rpartition("@")[0]:
        raise InputError(
            f"the URI {scheme}://…@{host.rpartition('@')[2]} holds a password, which would be written into the run",
            hint="give credentials by the environment, the machine's role, or ~/.netrc",
        )
