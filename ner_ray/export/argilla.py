"""Argilla: a JSON file of records, for `dataset.records.from_json`, entities as suggestions that people can correct.

The settings that the dataset needs are written next to it, as `.settings.json`, for `rg.Settings.from_json`: a text
field, and a span question with the run's labels, in which spans may overlap.

    settings = rg.Settings.from_json("records.settings.json")
    dataset = rg.Dataset("news", settings=settings).create()
    dataset.records.from_json("records.json")

Offsets are code points. Argilla's page counts a character beyond U+FFFF, such as an emoji, as two
(argilla-io/argilla#5729), and shows what follows it shifted. Failed documents are records without a suggestion.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePath
from typing import Any

from ner_ray.export.base import NO_CONTEXT, ExportContext, Exported, exported, open_output
from ner_ray.types import Annotation, Document, DocumentStatus, Entity

_FIELD, _QUESTION, _AGENT = "text", "entities", "ner_ray"


def write(
    documents: Iterable[tuple[Document, Annotation]], path: str | Path, context: ExportContext = NO_CONTEXT
) -> Exported:
    """Writes one record per document, one per line, and the settings beside them."""
    written = Exported()
    labels: set[str] = set()
    with open_output(path) as file:
        for document, annotation in documents:
            record = json.dumps(_record(document, annotation), ensure_ascii=False)
            file.write(f"{',' if written.documents else '['}\n{record}".encode(errors="replace"))
            labels |= {entity.label for entity in annotation.entities}
            written += exported(annotation)
        file.write(b"\n]\n" if written.documents else b"[]\n")
    with open_output(_beside(str(path))) as file:
        settings = json.dumps(_settings(context.label_set(labels)), ensure_ascii=False, indent=1)
        file.write(settings.encode(errors="replace"))
    return written


def _beside(path: str) -> str:
    """The same path with the extension `.settings.json`."""
    folder, slash, name = path.rpartition("/")
    return f"{folder}{slash}{PurePath(name).with_suffix('.settings.json')}"


def _record(document: Document, annotation: Annotation) -> dict[str, Any]:
    failed = annotation.status is DocumentStatus.FAILED
    return {
        "id": document.doc_id,
        "fields": {_FIELD: document.text},
        "metadata": {},
        "suggestions": {} if failed else {_QUESTION: _suggestion(annotation.entities)},
        "responses": {},
        "vectors": {},
    }


def _suggestion(entities: Sequence[Entity]) -> dict[str, Any]:
    """Argilla takes a score for each span, or none at all."""
    scores = [entity.score for entity in entities]
    spans = [{"start": entity.start, "end": entity.end, "label": entity.label} for entity in entities]
    known = bool(scores) and None not in scores
    return {"value": spans, "score": scores if known else None, "agent": _AGENT}


def _settings(labels: Sequence[str]) -> dict[str, Any]:
    options = [{"value": label, "text": label} for label in labels]
    spans = {"type": "span", "field": _FIELD, "allow_overlapping": True, "options": options, "visible_options": None}
    text = {"type": "text", "use_markdown": False}
    return {
        "guidelines": None,
        "fields": [{"name": _FIELD, "title": "Text", "required": True, "settings": text}],
        "questions": [{"name": _QUESTION, "title": "Entities", "required": True, "settings": spans}],
        "vectors": [],
        "metadata": [],
        "allow_extra_metadata": False,
        "distribution": {"strategy": "overlap", "min_submitted": 1},
    }
