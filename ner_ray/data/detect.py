"""Which files a URI means, and which format each is in."""

from __future__ import annotations

import logging
from collections.abc import Iterator

from ner_ray import plugins
from ner_ray.data.formats.base import CONTRACT, FormatModule, Match
from ner_ray.data.source import Source
from ner_ray.errors import InputError
from ner_ray.storage import Location, open_store
from ner_ray.store.manifests import refuse_inside

_BYTE_ORDER_MARKS = (b"\xff\xfe", b"\xfe\xff")
_LOG = logging.getLogger(__name__)


def sources(uri: str) -> Iterator[tuple[Source, FormatModule]]:
    """The files of a URI, in the order of their names, or the folder that is one data set; each with its format.

    In a folder, files whose name or folder begins with `.` or `_` are skipped, and so, with a warning, are files
    in no known format.

    Raises:
        InputError: there is nothing at the URI, nothing in a known format, or it lies inside a run directory.
    """
    location = Location(uri)
    store, path = open_store(uri)
    refuse_inside(store, [path], uri)
    if not location.exists():
        raise InputError(f"there is nothing at {uri}")
    names = location.files()
    if names != [""] and (form := _format_of(Source(uri, is_folder=True))):
        yield Source(uri, is_folder=True), form
        return
    found = [(source, form) for source in _files(uri, names) if (form := _format_of(source))]
    if not found:
        raise InputError(
            f"no annotated texts in {uri}: it is in no known format",
            hint=f"known formats: {', '.join(plugins.names(CONTRACT.kind))}",
        )
    refuse_inside(store, (f"{path}/{source.name}" for source, _ in found))
    yield from found


def _files(uri: str, names: list[str]) -> list[Source]:
    return [Source(uri, name) for name in names if not any(part.startswith((".", "_")) for part in name.split("/"))]


def _format_of(source: Source) -> FormatModule | None:
    """The format that recognises a source best.

    Raises:
        InputError: it is text in UTF-16.
    """
    if source.head().startswith(_BYTE_ORDER_MARKS):
        raise InputError(f"{source.label} of {source.uri} is in UTF-16", hint="save it as UTF-8")
    formats = [CONTRACT.load(name) for name in plugins.names(CONTRACT.kind)]
    best = max(formats, key=lambda form: form.recognizes(source))
    if best.recognizes(source) is not Match.NO:
        return best
    if source.name:
        _LOG.warning("data.passed_over file=%s folder=%s reason=unknown_format", source.name, source.uri)
    return None
