"""Argilla's records and settings."""

from __future__ import annotations

import json
from pathlib import Path

from ner_ray.export import argilla
from ner_ray.export.base import ExportContext
from ner_ray.types import Annotation, Document, DocumentStatus, Entity

ANN, REX = Entity(0, 3, "Ann", "person", 0.5), Entity(8, 11, "Rex", "dog", 0.25)


def written(folder: Path, *annotations: Annotation) -> list[dict]:
    documents = [(Document("a", "Ann met Rex.", ()), annotation) for annotation in annotations]
    argilla.write(documents, folder / "records.json", ExportContext(labels=("person", "ship")))
    return json.loads((folder / "records.json").read_text("utf-8"))


def test_entities_are_suggestions_with_their_scores(tmp_path: Path) -> None:
    (record,) = written(tmp_path, Annotation((ANN, REX)))

    spans = [{"start": 0, "end": 3, "label": "person"}, {"start": 8, "end": 11, "label": "dog"}]
    assert record["suggestions"] == {"entities": {"value": spans, "score": [0.5, 0.25], "agent": "ner_ray"}}
    assert (record["id"], record["fields"]) == ("a", {"text": "Ann met Rex."})


def test_scores_are_left_out_where_one_is_unknown_and_failed_documents_have_no_suggestion(tmp_path: Path) -> None:
    unknown = Annotation((ANN, Entity(8, 11, "Rex", "dog")))
    some, none, failed = written(tmp_path, unknown, Annotation(()), Annotation((), status=DocumentStatus.FAILED))

    assert some["suggestions"]["entities"]["score"] is None
    assert none["suggestions"]["entities"]["value"] == []
    assert failed["suggestions"] == {}


def test_the_settings_have_the_runs_labels_and_those_that_were_found(tmp_path: Path) -> None:
    written(tmp_path, Annotation((REX,)))

    settings = json.loads((tmp_path / "records.settings.json").read_text("utf-8"))
    (question,) = settings["questions"]
    assert [option["value"] for option in question["settings"]["options"]] == ["person", "ship", "dog"]
    assert question["settings"]["allow_overlapping"]
    assert [field["name"] for field in settings["fields"]] == [question["settings"]["field"]]
