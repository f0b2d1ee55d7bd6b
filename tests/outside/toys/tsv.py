"""An exporter of another distribution: an entity per line, between tabs."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ner_ray.export.base import NO_CONTEXT, ExportContext, Exported, exported, open_output
from ner_ray.types import Annotation, Document


def write(
    documents: Iterable[tuple[Document, Annotation]], path: str | Path, context: ExportContext = NO_CONTEXT
) -> Exported:
    written = Exported()
    with open_output(path) as file:
        file.write(f"# {context.title!r}: {', '.join(map(repr, context.labels))}\n".encode())
        for document, annotation in documents:
            for entity in annotation.entities:
                fields = (repr(document.doc_id), str(entity.start), str(entity.end), repr(entity.label))
                file.write("\t".join(fields).encode() + b"\n")
            written += exported(annotation)
    return written
