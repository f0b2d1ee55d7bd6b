"""Label Studio: a JSON file of tasks to import, entities as predictions that people can correct.

Beside it lies, as `.xml`, the labelling configuration that the project in Label Studio needs. Offsets are code
points there too, since its version 1.4 (HumanSignal/label-studio#1559). Formats:
https://labelstud.io/guide/predictions and https://labelstud.io/tags/labels.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

from ner_ray.export.base import NO_CONTEXT, ExportContext, Exported
from ner_ray.types import Annotation, Document, Entity

_FROM, _TO = "label", "text"  # the names of the configuration's two tags


def write(
    documents: Iterable[tuple[Document, Annotation]],
    path: str | Path,
    context: ExportContext = NO_CONTEXT,
) -> Exported:
    """Writes a task a document, a task a line, and the labelling configuration beside them."""
    count = entities = 0
    labels: set[str] = set()
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with Path(path).open("w", encoding="utf-8", errors="replace", newline="\n") as file:
        for document, annotation in documents:
            file.write(",\n" if count else "[\n")
            json.dump(_task(document, annotation), file, ensure_ascii=False)
            labels |= {entity.label for entity in annotation.entities}
            count, entities = count + 1, entities + len(annotation.entities)
        file.write("\n]\n" if count else "[]\n")
    configuration = _configuration(context.label_set(labels))
    Path(path).with_suffix(".xml").write_text(configuration, encoding="utf-8", errors="replace")
    return Exported(count, entities)


def _task(document: Document, annotation: Annotation) -> dict[str, Any]:
    prediction = {
        "model_version": "ner_ray",
        "result": [_region(number, entity) for number, entity in enumerate(annotation.entities)],
        **_score([entity.score for entity in annotation.entities if entity.score is not None]),
    }
    data = {"text": document.text, "doc_id": document.doc_id, "status": annotation.status.value}
    return {"data": data, "predictions": [prediction]}


def _region(number: int, entity: Entity) -> dict[str, Any]:
    return {
        "id": f"e{number}",
        "from_name": _FROM,
        "to_name": _TO,
        "type": "labels",
        "value": {"start": entity.start, "end": entity.end, "text": entity.text, "labels": [entity.label]},
        "meta": {"text": [entity.status.value]},
        **_score([] if entity.score is None else [entity.score]),
    }


def _score(scores: Sequence[float]) -> dict[str, float]:
    """Their mean, by which Label Studio sorts tasks; nothing where nothing is known."""
    return {"score": sum(scores) / len(scores)} if scores else {}


def _configuration(labels: Sequence[str]) -> str:
    rows = "".join(f"    <Label value={quoteattr(label)}/>\n" for label in labels)
    tags = f'  <Labels name="{_FROM}" toName="{_TO}">\n{rows}  </Labels>\n  <Text name="{_TO}" value="$text"/>\n'
    return f"<View>\n{tags}</View>\n"
