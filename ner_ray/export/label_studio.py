"""Label Studio: a JSON file of tasks to import, entities as predictions that people can correct.

The labelling configuration that the project in Label Studio needs is written next to it, as `.xml`. Offsets are code
points there too, since its version 1.4 (HumanSignal/label-studio#1559). Formats:
https://labelstud.io/guide/predictions and https://labelstud.io/tags/labels.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

from ner_ray.export._lists import write_list
from ner_ray.export.base import NO_CONTEXT, ExportContext, Exported
from ner_ray.types import Annotation, Document, Entity

_FROM, _TO = "label", "text"  # the names of the configuration's two tags
_VERSION = "ner_ray"


def write(
    documents: Iterable[tuple[Document, Annotation]],
    path: str | Path,
    context: ExportContext = NO_CONTEXT,
) -> Exported:
    """Writes one task per document, one per line, and the labelling configuration beside them.

    Failed documents are tasks without predictions; their `status` says that they failed.
    """
    return write_list(documents, path, context, _task, labelling_configuration, ".xml")


def task(doc_id: str, text: str, opinions: Mapping[str, Sequence[Entity]]) -> dict[str, Any]:
    """A task to import, with a prediction for each opinion about its text.

    Args:
        doc_id: comes back with the export.
        text: of the document.
        opinions: who says so (a model, a run) -> the entities.

    >>> made = task("doc-1", "Ann left.", {"model": [Entity(0, 3, "Ann", "person", score=0.5)]})
    >>> made["predictions"][0]["model_version"], made["predictions"][0]["score"]
    ('model', 0.5)
    """
    predictions = [
        {
            "model_version": version,
            "result": [_region(number, entity) for number, entity in enumerate(entities)],
            **_score([entity.score for entity in entities if entity.score is not None]),
        }
        for version, entities in opinions.items()
    ]
    return {"data": {"text": text, "doc_id": doc_id}, "predictions": predictions}


def labelling_configuration(labels: Sequence[str]) -> str:
    """The configuration of a project for such tasks, as XML."""
    rows = "".join(f"    <Label value={quoteattr(label)}/>\n" for label in labels)
    tags = f'  <Labels name="{_FROM}" toName="{_TO}">\n{rows}  </Labels>\n  <Text name="{_TO}" value="$text"/>\n'
    return f"<View>\n{tags}</View>\n"


def _task(document: Document, annotation: Annotation) -> dict[str, Any]:
    made = task(document.doc_id, document.text, {_VERSION: annotation.entities})
    made["data"]["status"] = annotation.status.value
    return made


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
