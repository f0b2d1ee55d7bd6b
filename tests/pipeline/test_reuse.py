"""A text that was annotated before costs nothing."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ner_ray import open_run
from ner_ray.compose import load
from ner_ray.config import AnnotateConfig
from ner_ray.pipeline.annotate import annotate

pytestmark = [pytest.mark.engine, pytest.mark.cluster, pytest.mark.usefixtures("cluster")]

WIDE, NARROW = ["person", "location", "organization"], ["location"]
LONDON = "Maria Jones moved from London to Paris."
BERLIN = "The mayor of Berlin met Peter Brown."


def write(folder: Path, name: str, rows: list[tuple[str | None, list[str]]]) -> None:
    (folder / "in").mkdir(exist_ok=True)
    columns = {"text": pa.array([text for text, _ in rows], pa.string()), "types": [labels for _, labels in rows]}
    pq.write_table(pa.table(columns), folder / "in" / f"{name}.parquet")


def test_a_corpus_that_comes_again_costs_only_its_new_texts(tmp_path: Path) -> None:
    settings = [f"input.path={tmp_path / 'in'}", f"output.path={tmp_path / 'run'}", "labels=column:types", "reuse=true"]
    (tmp_path / "starter.yaml").write_text("defaults: [families/cascade-starter]\n")
    config = load(AnnotateConfig, str(tmp_path / "starter.yaml"), settings)
    write(tmp_path, "monday", [(LONDON, WIDE), (BERLIN, WIDE), (None, WIDE)])
    first = annotate(config)
    write(tmp_path, "tuesday", [("A new text about Madrid.", WIDE), (BERLIN, WIDE), (BERLIN, NARROW), (None, WIDE)])

    second = annotate(config)

    rows = {row["doc_id"]: row for row in open_run(config.output.path).to_table().to_pylist()}
    monday, again = rows["monday:1"], rows["tuesday:1"]
    assert [rows[f"monday:{number}"]["status"] for number in range(3)] == ["ok", "ok", "failed"]
    assert monday["entities"]
    assert {name: again[name] for name in ("entities", "verdicts", "status", "text_hash")} == {
        name: monday[name] for name in ("entities", "verdicts", "status", "text_hash")
    }
    assert (monday["usage"]["requests"] > 0, again["usage"]["requests"]) == (True, 0)
    assert rows["tuesday:2"]["text_hash"] != monday["text_hash"], "its label set is another"
    assert rows["tuesday:2"]["usage"]["requests"] > 0
    assert rows["tuesday:3"]["status"] == "failed"
    assert "reused" not in first.counts or first.counts["reused"] == 0
    assert second.counts["reused"] == 1
    assert second.counts["documents"] == 4
