"""Each document's prompt shows the examples that are nearest to it, and never the document itself."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ner_ray.config import AnnotateConfig, IndexConfig
from ner_ray.errors import RunError
from ner_ray.pipeline.annotate import annotate
from ner_ray.pipeline.index import index
from ner_ray.store.run import RunDirectory
from tests.answering import answering

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("cluster")]

POOL = [
    ("The ferry to Skye was late again.", "Skye", "place"),
    ("Marta Oyelaran repaired the church organ.", "Marta Oyelaran", "person"),
    ("广州的早茶很有名。", "广州", "place"),
    ("A football match in Leeds ended early.", "Leeds", "place"),
]
TEXTS = [
    "Who repaired the organ in the church?",
    "我在广州喝早茶。",
    "The ferry to Skye was late again.",
    "zzz",
]
NEAREST = [POOL[1][0], POOL[2][0], POOL[1][0], None]  # the third shares `the` with the organ; it may not see itself


@pytest.fixture(scope="module")
def index_uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    return index_of(tmp_path_factory.mktemp("demonstrations"), POOL)


def index_of(folder: Path, examples: list[tuple[str, str, str]]) -> str:
    pool = folder / "pool.jsonl"
    rows = [{"text": text, "entities": [{"text": name, "label": label}]} for text, name, label in examples]
    pool.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows))
    index(IndexConfig(pool=(str(pool),), output=str(folder / "index")))
    return str(folder / "index")


def config(folder: Path, engine: dict, index_uri: str, **demonstrations: object) -> AnnotateConfig:
    return AnnotateConfig.model_validate(
        {
            "input": {"path": str(folder / "in")},
            "labels": ["person", "place"],
            "family": "instruct",
            "engine": engine,
            "chunk": {"tokens": 200},
            "demonstrations": {"index": index_uri, "k": 1} | demonstrations,
            "output": {"path": str(folder / "run"), "completions": True, "prompts": True},
            "max_error_rate": 1.0,
        }
    )


def test_prompts_show_the_nearest_examples_and_never_the_text_itself(tmp_path: Path, index_uri: str) -> None:
    (tmp_path / "in").mkdir()
    pq.write_table(pa.table({"text": TEXTS}), tmp_path / "in" / "a.parquet")

    with answering(lambda _: "[]") as server:
        summary = annotate(config(tmp_path, server.engine(), index_uri))

    rows = sorted(RunDirectory(summary.run).dataset().to_table().to_pylist(), key=lambda row: row["row_id"])
    prompts = [row["exchanges"][0]["prompt"] for row in rows]
    shown = [
        [text for text, _, _ in POOL if text in prompt and text != own]
        for prompt, own in zip(prompts, TEXTS, strict=True)
    ]
    assert [some[0] if some else None for some in shown] == NEAREST
    assert prompts[2].count(POOL[0][0]) == 1, "the text occurs as the question, not as its own example"
    assert summary.counts["demonstrations"] == 3
    assert summary.counts["demonstrations_held_back"] == 1


@pytest.mark.parametrize("bound", ["of the model", "of the configuration"])
def test_an_example_that_is_too_long_is_left_out_and_the_text_is_not(tmp_path: Path, bound: str) -> None:
    longest = ("Bo plays any organ. " + "Each church has repaired one. " * 400, "Bo", "person")
    (tmp_path / "in").mkdir()
    pq.write_table(pa.table({"text": TEXTS[:1]}), tmp_path / "in" / "a.parquet")
    with answering(lambda _: "[]") as server:
        engine = server.engine(max_model_len=4096 if bound == "of the model" else None)
        budget = None if bound == "of the model" else 200
        pool = index_of(tmp_path, [longest, *POOL])

        summary = annotate(config(tmp_path, engine, pool, k=6, order="nearest_last", token_budget=budget))

    (prompt,) = server.asked
    assert TEXTS[0] in prompt
    assert longest[0][:50] not in prompt
    assert summary.counts["failed"] == 0
    assert summary.counts["demonstrations_over_budget"] > 0


def test_an_index_that_has_changed_is_another_configuration(tmp_path: Path, index_uri: str) -> None:
    (tmp_path / "in").mkdir()
    pq.write_table(pa.table({"text": ["x"]}), tmp_path / "in" / "a.parquet")
    with answering(lambda _: "[]") as server:
        wanted = config(tmp_path, server.engine(), index_uri)
        RunDirectory(wanted.output.path).write_record({"fingerprint": "of another index", "settings": {}})

        with pytest.raises(RunError, match="demonstrations"):
            annotate(wanted)
