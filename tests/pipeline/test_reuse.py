"""A text that was annotated before is not annotated again."""

from __future__ import annotations

import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ner_ray import open_run
from ner_ray.config import AnnotateConfig
from ner_ray.pipeline.annotate import annotate
from tests.answering import answering

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("cluster")]

WIDE, NARROW = ["person", "location", "organization"], ["location"]
LONDON = "Maria Jones moved from London to Paris."
BERLIN = "The mayor of Berlin met Peter Brown."
MADRID = "A new text about Madrid."
CITIES = {"London": LONDON, "Berlin": BERLIN, "Madrid": MADRID}


def tags(prompt: str) -> str:
    """A tagger that knows cities."""
    words = re.findall(r"\w+|\.", text_of(prompt))
    return " ".join(f"{word}(B-location)" if word in CITIES else f"{word}(O)" for word in words)


def text_of(prompt: str) -> str:
    """The text that the prompt asks about."""
    return next(text for city, text in CITIES.items() if city in prompt)


def write(folder: Path, name: str, rows: list[tuple[str | None, list[str]]]) -> None:
    (folder / "in").mkdir(exist_ok=True)
    columns = {"text": pa.array([text for text, _ in rows], pa.string()), "types": [labels for _, labels in rows]}
    pq.write_table(pa.table(columns), folder / "in" / f"{name}.parquet")


def test_a_corpus_that_is_crawled_again_costs_only_its_new_texts(tmp_path: Path) -> None:
    with answering(tags) as server:
        config = AnnotateConfig.model_validate(
            {
                "input": {"path": str(tmp_path / "in")},
                "labels": "column:types",
                "family": "gner",
                "engine": server.engine(),
                "output": {"path": str(tmp_path / "run")},
                "reuse": True,
                "max_error_rate": 1.0,
            }
        )
        write(tmp_path, "monday", [(LONDON, WIDE), (BERLIN, WIDE), (None, WIDE)])
        first = annotate(config)
        write(tmp_path, "tuesday", [(MADRID, WIDE), (BERLIN, WIDE), (BERLIN, NARROW), (None, WIDE)])

        second = annotate(config)

    assert sorted(map(text_of, server.asked)) == sorted([LONDON, BERLIN, MADRID, BERLIN])
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
