"""brat standoff: a folder, or a zip archive, of texts (`NAME.txt`) with their entities (`NAME.ann`).

Entities are the text-bound annotations (`T`); relations, events, attributes and notes are passed over. One in fragments
whose gaps are white space, as brat writes one that spans lines, is one entity; a truly discontinuous one has no place
that we could give it, and its text is rejected. Labels are what `visual.conf` calls the types, if it is there; ids are
those of `documents.tsv`, or the names of the files. A text without an `.ann` is not annotated, and no row.
Format: https://brat.nlplab.org/standoff.html.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import PurePosixPath
from typing import Any

import pyarrow as pa

from ner_ray.data.formats.base import Match, Unreadable
from ner_ray.data.source import Source

_ZIP = b"PK\x03\x04"
_TEXT_BOUND = re.compile(r"(?P<type>\S+) (?P<places>\d+ \d+(?:;\d+ \d+)*)")


@dataclass(frozen=True, slots=True)
class _Collection:
    """The files of a collection, by their names."""

    names: Sequence[str]
    read: Callable[[str], bytes]


def recognizes(source: Source) -> Match:
    """By an `.ann` with the `.txt` beside it."""
    if not source.is_folder and not source.head().startswith(_ZIP):
        return Match.NO
    try:
        with _opened(source) as files:
            return Match.SPECIFIC if next(_documents(files), None) else Match.NO
    except (zipfile.BadZipFile, pa.ArrowException, OSError, NotImplementedError):
        return Match.NO


def rows(source: Source, columns: Collection[str] | None) -> Iterator[object]:  # noqa: ARG001 - files are read whole
    """The annotated documents, in the order of their names."""
    with _opened(source) as files:
        labels, ids = _labels(files), _ids(files)
        for name in _documents(files):
            yield _row(ids.get(name, name), files.read(f"{name}.txt"), files.read(f"{name}.ann"), labels)


@contextmanager
def _opened(source: Source) -> Iterator[_Collection]:
    if source.is_folder:
        location = source.location
        yield _Collection(location.files(), location.read)
        return
    with source.open_random() as stream, zipfile.ZipFile(stream) as archive:
        yield _Collection(sorted(archive.namelist()), archive.read)


def _documents(files: _Collection) -> Iterator[str]:
    """The names of annotated documents, without ending; hidden files and folders are passed over."""
    known = set(files.names)
    for path in map(PurePosixPath, files.names):
        name = str(path.with_suffix(""))
        hidden = any(part.startswith((".", "_")) for part in path.parts)
        if path.suffix == ".ann" and not hidden and f"{name}.txt" in known:
            yield name


def _labels(files: _Collection) -> dict[str, str]:
    """Type -> label, from the section `labels` of the configuration; the first name is the one in full."""
    if "visual.conf" not in files.names:
        return {}
    content = files.read("visual.conf").decode("utf-8-sig", errors="replace")
    section = content.partition("[labels]")[2].partition("\n[")[0]
    pairs = [[part.strip() for part in line.split("|")] for line in section.splitlines() if "|" in line]
    return {pair[0]: pair[1] for pair in pairs if pair[1] and not pair[0].startswith("#")}


def _ids(files: _Collection) -> dict[str, str]:
    if "documents.tsv" not in files.names:
        return {}
    lines = files.read("documents.tsv").decode(errors="replace").splitlines()
    return {name: _plain(doc_id) for name, _, doc_id in (line.partition("\t") for line in lines)}


def _plain(doc_id: str) -> str:
    try:
        return str(json.loads(doc_id))
    except ValueError:
        return doc_id


def _row(text_id: str, text: bytes, annotations: bytes, labels: dict[str, str]) -> object:
    try:
        content, lines = text.decode(), annotations.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return Unreadable(f"not UTF-8: {error.reason} at byte {error.start}", text_id)
    bound = [line.split("\t") for line in lines.split("\n") if line.startswith("T")]
    entities = [_entity(fields, content, labels) for fields in bound]
    broken = next((entity for entity in entities if isinstance(entity, str)), None)
    return Unreadable(broken, text_id) if broken else {"id": text_id, "text": content, "entities": entities}


def _entity(fields: Sequence[str], text: str, labels: dict[str, str]) -> dict[str, Any] | str:
    """An entity, or why it is none."""
    found = _TEXT_BOUND.fullmatch(fields[1]) if len(fields) > 1 else None
    if not found:
        return f"not a text-bound annotation: {' '.join(fields)!r:.100}"
    places = sorted(tuple(map(int, place.split())) for place in found["places"].split(";"))
    start, end = places[0][0], max(stop for _, stop in places)
    surface = text[start:end]
    if len(places) > 1:
        gaps = [text[stop:begin] for (_, stop), (begin, _) in pairwise(places)]
        if any(gap.strip() for gap in gaps):
            return f"{fields[0]} is discontinuous: {' '.join(fields[2:])!r:.100}"
    elif len(fields) > 2:
        surface = fields[2].rstrip("\r")
    return {"start": start, "end": end, "text": surface, "label": labels.get(found["type"], found["type"])}
