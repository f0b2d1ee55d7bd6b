"""What labelling tools import: a JSON list with an item for each document, and beside it what the tool must be told."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path, PurePath

from ner_ray.export.base import ExportContext, Exported, exported, open_output
from ner_ray.types import Annotation, Document


def write_list(
    documents: Iterable[tuple[Document, Annotation]],
    path: str | Path,
    context: ExportContext,
    item: Callable[[Document, Annotation], object],
    settings: Callable[[Sequence[str]], str],
    extension: str,
) -> Exported:
    """Writes one item per document, one per line, and the settings.

    Args:
        documents: to write.
        path: of the list, on any store.
        context: of the export.
        item: makes the item of a document, plain data.
        settings: makes the content of the file beside the list from the label set.
        extension: of that file, in place of the list's.
    """
    written = Exported()
    labels: set[str] = set()
    with open_output(path) as file:
        for document, annotation in documents:
            line = json.dumps(item(document, annotation), ensure_ascii=False)
            file.write(f"{',' if written.documents else '['}\n{line}".encode(errors="replace"))
            labels |= {entity.label for entity in annotation.entities}
            written += exported(annotation)
        file.write(b"\n]\n" if written.documents else b"[]\n")
    with open_output(_beside(str(path), extension)) as file:
        file.write(settings(context.label_set(labels)).encode(errors="replace"))
    return written


def _beside(path: str, extension: str) -> str:
    """The same path with another extension; a path may be a URI."""
    folder, slash, name = path.rpartition("/")
    return f"{folder}{slash}{PurePath(name).with_suffix(extension)}"
