"""A text that was annotated before costs nothing."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ner_ray import open_run
from ner_ray.config import AnnotateConfig
from ner_ray.pipeline.annotate import annotate

pytestmark = [pytest.mark.engine, pytest.mark.cluster, pytest.mark.usefixtures("cluster")]


def write(folder: Path, name: str, texts: list[str | None], sets: list[list[str]] | None = None) -> None:
    (folder / "in").mkdir(exist_ok=True)
    columns = {"text": pa.array(texts, pa.string()), "types": sets or [["person"]] * len(texts)}
    pq.write_table(pa.table(columns), folder / "in" / f"{name}.parquet")


def test_a_corpus_that_comes_again_costs_only_its_new_texts(tmp_path: Path, tiny_model: Path) -> None:
    config = AnnotateConfig.model_validate(
        {
            "input": {"path": str(tmp_path / "in")},
            "labels": "column:types",
            "family": "b2ner",
            "engine": {"model": str(tiny_model), "max_model_len": 512, "sampling": {"max_tokens": 8}},
            "output": {"path": str(tmp_path / "run")},
            "reuse": True,
            "max_error_rate": 1.0,
        }
    )
    write(tmp_path, "monday", ["Ada met Bo.", "Cy ran.", "Cy ran.", None, ""])
    annotate(config)
    monday = open_run(config.output.path).to_table()
    good = {row["text_hash"] for row in monday.to_pylist() if row["status"] == "ok"}
    write(
        tmp_path,
        "tuesday",
        ["Di sang.", "Cy ran.", "Cy ran.", "Ada met Bo.", ""],
        [["person"]] * 2 + [["place"]] + [["person"]] * 2,
    )

    summary = annotate(config)

    rows = {row["doc_id"]: row for row in open_run(config.output.path).to_table().to_pylist()}
    assert len(rows) == 10
    pairs = [("tuesday:1", "monday:1"), ("tuesday:3", "monday:0"), ("tuesday:4", "monday:4")]
    for new, old in pairs:
        assert rows[new]["text_hash"] == rows[old]["text_hash"]
        assert (rows[new]["usage"]["requests"] == 0) == (rows[old]["text_hash"] in good or new == "tuesday:4")
        if rows[old]["text_hash"] in good:
            assert rows[new]["entities"] == rows[old]["entities"]
            assert rows[new]["verdicts"] == rows[old]["verdicts"]
    assert rows["tuesday:2"]["text_hash"] != rows["monday:1"]["text_hash"], "another label set"
    assert rows["tuesday:0"]["usage"]["requests"] == rows["tuesday:2"]["usage"]["requests"] == 1
    assert summary.counts["reused"] == sum(rows[old]["text_hash"] in good for _, old in pairs)
    assert summary.counts["reused"] >= 1
