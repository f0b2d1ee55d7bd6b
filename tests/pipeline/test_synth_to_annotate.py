"""Raw text in, a model out that annotates: synth, train and annotate, each reading what the one before has written."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ner_ray.annotator.annotator import Annotator
from ner_ray.config.load import load, validate
from ner_ray.data.training import read_rows
from ner_ray.pipeline.synth import synthesize
from ner_ray.synth.config import SynthConfig
from ner_ray.train import TrainConfig, train
from tests.answering import AnsweringServer, answering
from tests.train.toy import write_toy

SMOKE = Path(__file__).parents[2] / "conf" / "train" / "starter-smoke.yaml"
LABELS = ["person", "location"]
FORM = {"family": "cascade", "rows": "questions", "labels": LABELS}


class Teacher:
    """Answers what the gold says, whatever the passage."""

    def __init__(self, gold: dict[str, list[dict]]) -> None:
        self.gold = gold

    def __call__(self, prompt: str) -> str:
        passage = re.split("Passage: ", prompt, maxsplit=1)[1]
        return json.dumps([{entity["text"]: entity["label"]} for entity in self.gold[passage]])


def gold_of(file: Path) -> dict[str, list[dict]]:
    return {
        row["text"]: [entity | {"text": row["text"][entity["start"] : entity["end"]]} for entity in row["entities"]]
        for row in pq.read_table(file).to_pylist()
    }


def synth_config(folder: Path, server: AnsweringServer) -> SynthConfig:
    plain = {
        "input": {"path": str(folder / "in.parquet")},
        "passages": {"tokens": 24, "duplicates": "exact"},
        "teacher": {"engine": server.engine()},
        "forms": {"cascade": FORM},
        "layouts": ["llama_factory", "ms_swift"],
        "output": str(folder / "made"),
    }
    return validate(SynthConfig, plain, "test")


@pytest.mark.cluster
@pytest.mark.usefixtures("cluster")
def test_what_synth_writes_is_trained_on_and_the_model_annotates(tmp_path: Path) -> None:
    gold = gold_of(write_toy(tmp_path / "gold.parquet", 1200, seed=1))
    others = gold_of(write_toy(tmp_path / "more.parquet", 60, seed=2))
    unseen = {text: entities for text, entities in others.items() if text not in gold}
    pq.write_table(pa.table({"text": list(gold)}), tmp_path / "in.parquet")
    with answering(Teacher(gold)) as server:
        made = synthesize(synth_config(tmp_path, server))

    assert made.annotated == {"ok": len(gold)}
    assert made.left_out == {"cascade": {}}
    overrides = ["judge.gold=null", "best_by=last", "optimizer.steps=350", "evaluate_every=350", "save_every=350"]
    rows = tmp_path / "made" / "train" / "cascade"
    done = train(load(TrainConfig, SMOKE, [f"data.files=[{rows}]", f"output={tmp_path / 'model'}", *overrides]))
    engine = [f"engine.model={done.model}", "engine.name=transformers"]
    with Annotator("annotate/cascade", engine, labels=LABELS) as annotator:
        annotated = [annotator(text) for text in unseen]

    found = {(text.text, entity.start, entity.label) for text in annotated for entity in text.entities}
    expected = {(text, entity["start"], entity["label"]) for text, entities in unseen.items() for entity in entities}
    assert made.rows["cascade"] == len(list(read_rows([rows])))
    assert len(found & expected) > 0.8 * len(expected) > 10
