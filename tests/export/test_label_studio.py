"""Label Studio tasks: what is imported says what was annotated."""

from __future__ import annotations

import json
from xml.etree import ElementTree as ET

from ner_ray.export import label_studio
from ner_ray.export.base import ExportContext
from ner_ray.types import Annotation, Document, DocumentStatus, Entity, SpanStatus

TEXT = "🏔️ Moira Tavish lebt in Łódź."
ENTITIES = (
    Entity(3, 15, "Moira Tavish", "person", 0.9),
    Entity(24, 28, "Łódź", 'place "&<', 0.5, SpanStatus.FUZZY),
    Entity(9, 15, "Tavish", "surname"),
)
DOCUMENT = Document("de-1", TEXT, ())


def test_entities_come_back_from_the_tasks(tmp_path):
    annotation = Annotation(ENTITIES, status=DocumentStatus.PARTIAL)
    label_studio.write([(DOCUMENT, annotation), (Document("two", "x", ()), Annotation(()))], tmp_path / "tasks.json")

    first, second = json.loads((tmp_path / "tasks.json").read_text(encoding="utf-8"))

    (prediction,) = first["predictions"]
    read = tuple(
        Entity(
            region["value"]["start"],
            region["value"]["end"],
            region["value"]["text"],
            *region["value"]["labels"],
            region.get("score"),
            SpanStatus(*region["meta"]["text"]),
        )
        for region in prediction["result"]
    )
    assert read == ENTITIES
    assert all(first["data"]["text"][entity.start : entity.end] == entity.text for entity in read)
    assert first["data"] == {"text": TEXT, "doc_id": "de-1", "status": "partial"}
    assert prediction["score"] == 0.7
    assert second["predictions"][0]["result"] == []
    assert "score" not in second["predictions"][0]


def test_the_configuration_offers_the_label_set_of_the_run(tmp_path):
    context = ExportContext(labels=("surname", "firm", "person"))
    label_studio.write([(DOCUMENT, Annotation(ENTITIES))], tmp_path / "tasks.json", context)

    labels = ET.parse(tmp_path / "tasks.xml").getroot().find("Labels")

    assert [label.get("value") for label in labels] == ["surname", "firm", "person", 'place "&<']


def test_the_configuration_names_every_label_and_the_tags_that_regions_point_to(tmp_path):
    label_studio.write([(DOCUMENT, Annotation(ENTITIES))], tmp_path / "tasks.json")

    view = ET.parse(tmp_path / "tasks.xml").getroot()

    labels, text = view.find("Labels"), view.find("Text")
    assert [label.get("value") for label in labels] == ["person", 'place "&<', "surname"]
    (region, *_) = json.loads((tmp_path / "tasks.json").read_text())[0]["predictions"][0]["result"]
    assert (region["from_name"], region["to_name"]) == (labels.get("name"), text.get("name"))
    assert text.get("value") == "$text"
