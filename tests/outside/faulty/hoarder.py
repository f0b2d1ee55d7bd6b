"""An exporter that takes all documents before it writes one, and counts the entities that it could not write."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ner_ray.export.base import ExportContext, Exported
from ner_ray.types import Annotation, Document


def write(documents: Iterable[tuple[Document, Annotation]], path: str | Path, context: ExportContext) -> Exported:
    kept = list(documents)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(context.title, encoding="utf-8")
    return Exported(len(kept), sum(len(annotation.entities) + 1 for _, annotation in kept))
