"""An exporter of another distribution: an entity per line, between tabs."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ner_ray.export.base import ExportContext, Exported
from ner_ray.types import Annotation, Document


def write(documents: Iterable[tuple[Document, Annotation]], path: str | Path, context: ExportContext) -> Exported:
    count = entities = 0
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with Path(path).open("w", encoding="utf-8", errors="replace") as file:
        file.write(f"# {context.title!r}: {', '.join(map(repr, context.labels))}\n")
        for document, annotation in documents:
            for entity in annotation.entities:
                fields = (repr(document.doc_id), str(entity.start), str(entity.end), repr(entity.label))
                file.write("\t".join(fields) + "\n")
            count, entities = count + 1, entities + len(annotation.entities)
    return Exported(count, entities)
