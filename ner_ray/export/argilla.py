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
from pathlib import Path
from typing import Any

from ner_ray.export._lists import write_list
from ner_ray.export.base import NO_CONTEXT, ExportContext, Exported
from ner_ray.types import Annotation, Document, DocumentStatus, Entity

_FIELD, _QUESTION, _AGENT = "text", "entities", "ner_ray"


def write(
    documents: Iterable[tuple[Document, Annotation]], path: str | Path, context: ExportContext = NO_CONTEXT
) -> Exported:
    """Writes one record per document, one per line, and the settings beside them."""
    return write_list(documents, path, context, _record, _settings, ".settings.json")


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


def _settings(labels: Sequence[str]) -> str:
    options = [{"value": label, "text": label} for label in labels]
    spans = {"type": "span", "field": _FIELD, "allow_overlapping": True, "options": options, "visible_options": None}
    text = {"type": "text", "use_markdown": False}
    settings = {
        "guidelines": None,
        "fields": [{"name": _FIELD, "title": "Text", "required": True, "settings": text}],
        "questions": [{"name": _QUESTION, "title": "Entities", "required": True, "settings": spans}],
        "vectors": [],
        "metadata": [],
        "allow_extra_metadata": False,
        "distribution": {"strategy": "overlap", "min_submitted": 1},
    }
    return json.dumps(settings, ensure_ascii=False, indent=1)
