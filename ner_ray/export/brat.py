"""brat: a zip archive of standoff files, to be unpacked into brat's `data/` folder.

`NNNNNN-ID.txt` is a document's text, `NNNNNN-ID.ann` its entities, with scores as notes; `documents.tsv` has the ids in
full. `annotation.conf` lists the labels; brat wants names without spaces for them, and `visual.conf` has what they
stand for. A failed document has a text alone: nothing is known about its entities.

An entity that spans lines is written in fragments, as brat itself does: its parser ends an annotation there, and also
at tabs, at U+2028 and the like (nlplab/brat#1042, #1175, #1190). Offsets are code points. Format:
https://brat.nlplab.org/standoff.html.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, count
from pathlib import Path

from ner_ray.export.base import NO_CONTEXT, ExportContext, Exported, exported, open_output
from ner_ray.types import Annotation, Document, DocumentStatus, Entity

_NAME = 60  # characters of an id in a file's name
_BETWEEN_FRAGMENTS = re.compile(r"[\t\n\x0b\x0c\r\x1c-\x1e\x85\u2028\u2029]+")


def write(
    documents: Iterable[tuple[Document, Annotation]], path: str | Path, context: ExportContext = NO_CONTEXT
) -> Exported:
    """Writes the archive, one document after the other."""
    written = Exported()
    types = type_names(context.labels)
    ids: list[str] = []
    with open_output(path) as stream, zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for document, annotation in documents:
            name = _name(written.documents, document.doc_id)
            ids.append(f"{name}\t{json.dumps(document.doc_id)}\n")
            _add(archive, f"{name}.txt", document.text)
            if annotation.status is not DocumentStatus.FAILED:
                types = type_names((entity.label for entity in annotation.entities), types)
                _add(archive, f"{name}.ann", "".join(_lines(document.text, annotation.entities, types)))
            written += exported(annotation)
        _add(archive, "documents.tsv", "".join(ids))
        for file, content in _configuration(types).items():
            _add(archive, file, content)
    return written


def type_names(labels: Iterable[str], known: Mapping[str, str] | None = None) -> dict[str, str]:
    """A name of brat's for each label, in their order: letters, digits, `-` and `_`; no two are the same.

    Args:
        labels: to be named.
        known: label -> name, of those that have one.

    >>> type_names(["person", "work of art", "work_of_art"])
    {'person': 'person', 'work of art': 'work_of_art', 'work_of_art': 'work_of_art_2'}
    """
    names = dict(known or {})
    for label in labels:
        if label not in names:
            plain = re.sub(r"[^\w-]", "_", label, flags=re.ASCII).strip("_") or "label"
            spellings = chain([plain], (f"{plain}_{number}" for number in count(2)))
            names[label] = next(name for name in spellings if name not in names.values())
    return names


def _add(archive: zipfile.ZipFile, name: str, content: str) -> None:
    archive.writestr(name, content.encode(errors="replace"))


def _name(number: int, doc_id: str) -> str:
    slug = re.sub(r"[^\w-]+", "-", doc_id, flags=re.ASCII).strip("-")[:_NAME]
    return f"{number:06}-{slug}" if slug else f"{number:06}"


def _lines(text: str, entities: Sequence[Entity], types: dict[str, str]) -> Iterator[str]:
    for number, entity in enumerate(entities, start=1):
        fragments = list(_fragments(text, entity))
        places = ";".join(f"{start} {end}" for start, end in fragments)
        surface = " ".join(text[start:end] for start, end in fragments)
        yield f"T{number}\t{types[entity.label]} {places}\t{surface}\n"
        if entity.score is not None:
            yield f"#{number}\tAnnotatorNotes T{number}\t{entity.score:.3f} {entity.status.value}\n"


def _fragments(text: str, entity: Entity) -> Iterator[tuple[int, int]]:
    """The parts of an entity that stand on one line each, without white space at their ends."""
    start = entity.start
    breaks = [found.span() for found in _BETWEEN_FRAGMENTS.finditer(text, entity.start, entity.end)]
    for begin, stop in (*breaks, (entity.end, entity.end)):
        part = text[start:begin]
        if part.strip():
            yield start + len(part) - len(part.lstrip()), begin - len(part) + len(part.rstrip())
        start = stop


def _configuration(types: dict[str, str]) -> dict[str, str]:
    """The configuration files of a collection; labels are on one line each, whatever is in them."""
    names = {name: " ".join(label.split()) for label, name in types.items()}
    entities = "".join(f"{name}\n" for name in names)
    shown = "".join(f"{name} | {label}\n" for name, label in names.items())
    return {
        "annotation.conf": f"[entities]\n{entities}\n[relations]\n\n[events]\n\n[attributes]\n",
        "visual.conf": f"[labels]\n{shown}\n[drawing]\n",
    }
