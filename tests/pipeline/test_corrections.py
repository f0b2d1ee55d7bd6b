"""The loop of corrections: annotate, export to Label Studio, correct there, and everything reads the result as gold."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ner_ray.commands.export import export_run
from ner_ray.config import AnnotateConfig, IndexConfig
from ner_ray.config.load import load
from ner_ray.data.training import read_rows
from ner_ray.evaluate.config import EvaluateConfig
from ner_ray.evaluate.run import Evaluation
from ner_ray.pipeline.annotate import annotate
from ner_ray.pipeline.evaluate import evaluate
from ner_ray.pipeline.index import index
from ner_ray.store.run import RunDirectory
from ner_ray.train import PrepareConfig, TrainConfig, prepare, train
from tests.answering import answering

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("cluster")]

LABELS = ["person", "place"]
TEXTS = {f"doc-{number}": f"👩‍🚀 Ann{number} met Rex in Ghent." for number in range(24)} | {"skipped": "Nobody came."}


def answer(asked: str) -> str:
    """A model that takes Ghent for a person and never sees Rex."""
    found = re.search(r"Ann\d+", asked)
    return json.dumps([{found[0]: "person"}, {"Ghent": "person"}] if found else [])


def config(folder: Path, engine: dict[str, Any], family: str, output: Path) -> AnnotateConfig:
    return AnnotateConfig.model_validate(
        {
            "input": {"path": str(folder / "in"), "id": "id"},
            "labels": LABELS,
            "family": family,
            "engine": engine,
            "output": {"path": str(output)},
            "max_error_rate": 1.0,
        }
    )


@pytest.fixture(scope="module")
def annotated(tmp_path_factory: pytest.TempPathFactory, cluster: None) -> Path:
    """A folder with a corpus and a run over it, which does not carry the texts."""
    folder = tmp_path_factory.mktemp("loop")
    (folder / "in").mkdir()
    pq.write_table(pa.table({"id": list(TEXTS), "text": list(TEXTS.values())}), folder / "in" / "a.parquet")
    with answering(answer) as server:
        annotate(config(folder, server.engine(), "instruct", folder / "run"))
    return folder


@pytest.fixture(scope="module")
def corrected(annotated: Path) -> Path:
    """What Label Studio exports after people have corrected each task and skipped one."""
    export_run(str(annotated / "run"), "label_studio", str(annotated / "tasks.json"))
    tasks = json.loads((annotated / "tasks.json").read_text(encoding="utf-8"))
    exported = [_export(number, task) for number, task in enumerate(tasks, start=1)]
    path = annotated / "project-1-at-2026-11-28.json"
    path.write_text(json.dumps(exported), encoding="utf-8")
    return path


def _export(number: int, task: dict[str, Any]) -> dict[str, Any]:
    """A task with its annotation: Ghent becomes a place, Rex is added; shaped as in Label Studio's JSON export."""
    text, regions = task["data"]["text"], [dict(region) for region in task["predictions"][0]["result"]]
    for region in regions:
        if region["value"]["text"] == "Ghent":
            region["value"] = region["value"] | {"labels": ["place"]}
    if "Rex" in text:
        value = {"start": text.index("Rex"), "end": text.index("Rex") + 3, "text": "Rex", "labels": ["person"]}
        regions.append({"id": "new", "from_name": "label", "to_name": "text", "type": "labels", "value": value})
    annotation = {
        "id": number,
        "completed_by": 1,
        "result": [region | {"origin": "manual"} for region in regions],
        "was_cancelled": "Rex" not in text,
        "ground_truth": False,
        "created_at": "2026-11-28T12:00:00.000000Z",
        "updated_at": "2026-11-28T12:00:00.000000Z",
        "lead_time": 4.2,
        "prediction": task["predictions"][0],
        "result_count": 0,
        "task": number,
    }
    return task | {
        "id": number,
        "annotations": [annotation],
        "file_upload": "tasks.json",
        "drafts": [],
        "predictions": [number],
        "inner_id": number,
        "total_annotations": 1,
        "cancelled_annotations": 0,
        "project": 1,
    }


def scores(evaluation: Evaluation) -> tuple[float, float]:
    """Strict precision and recall."""
    return evaluation.micro["strict"].precision, evaluation.micro["strict"].recall


def test_corrections_are_gold_to_evaluate_the_run_by(annotated: Path, corrected: Path) -> None:
    found = evaluate(EvaluateConfig(gold=str(corrected), predictions=str(annotated / "run"), samples=0))

    assert (found.documents, found.counts["rejected_gold"]) == (24, 1)
    assert (found.micro["strict"].precision, found.micro["strict"].recall) == (
        pytest.approx(1 / 2),
        pytest.approx(1 / 3),
    )
    assert found.confusion["place", "person"] == 24


def test_the_run_is_gold_too(annotated: Path, corrected: Path) -> None:
    """The other way round: recall and precision change places. Its texts come from its input."""
    columns = {"predicted": "entities"}
    pq.write_table(
        pa.Table.from_pylist(
            [
                {
                    "id": task["data"]["doc_id"],
                    "entities": [_entity(region) for region in task["annotations"][0]["result"]],
                }
                for task in json.loads(corrected.read_text(encoding="utf-8"))
            ]
        ),
        annotated / "flat.parquet",
    )

    found = evaluate(
        EvaluateConfig(
            gold=str(annotated / "run"), predictions=str(annotated / "flat.parquet"), columns=columns, samples=0
        )
    )

    assert (found.micro["strict"].precision, found.micro["strict"].recall) == (
        pytest.approx(1 / 3),
        pytest.approx(1 / 2),
    )


def _entity(region: dict[str, Any]) -> dict[str, Any]:
    value = region["value"]
    return {"start": value["start"], "end": value["end"], "label": value["labels"][0]}


def test_corrections_are_examples_to_show(annotated: Path, corrected: Path) -> None:
    report = index(IndexConfig(pool=(str(corrected),), output=str(annotated / "index")))

    assert (report.examples, report.rejected) == (24, 1)


def test_corrections_teach_a_model_that_annotates_again(annotated: Path, corrected: Path) -> None:
    """A few steps of a tiny decoder: what it finds does not matter, that its answers are read does."""
    prepared = prepare(
        PrepareConfig(input=str(corrected), family="cascade", labels=LABELS, output=str(annotated / "train.jsonl"))
    )
    assert (prepared.rows, prepared.rejected) == (24, 1)
    assert prepared.examples == {"extractor": 24, "classifier": 72}
    answers = {row.turns[-1].content for row in read_rows([prepared.output])}
    assert answers >= {
        "person",
        "place",
        TEXTS["doc-3"].replace("Ann3", "##Ann3##").replace("Rex", "##Rex##").replace("Ghent", "##Ghent##"),
    }

    settings = [
        f"data.files=[{prepared.output}]",
        "data.validation_share=0",
        f"output={annotated / 'model'}",
        "judge.gold=null",
        "best_by=last",
        "optimizer.steps=4",
        "evaluate_every=4",
        "save_every=4",
    ]
    trained = train(load(TrainConfig, "train/starter-smoke", settings))
    engine = {"name": "transformers", "model": trained.model, "dtype": "float32", "sampling": {"max_tokens": 40}}
    summary = annotate(config(annotated, engine, "cascade", annotated / "again"))

    rows = RunDirectory(summary.run).dataset().to_table(columns=["doc_id", "status"]).to_pylist()
    assert {row["doc_id"] for row in rows} == set(TEXTS)
    assert "failed" not in {row["status"] for row in rows}
