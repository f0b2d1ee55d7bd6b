"""Evaluation on a cluster gives the figures that one process gives."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ner_ray.errors import InputError
from ner_ray.evaluate.config import EvaluateConfig
from ner_ray.pipeline.evaluate import evaluate

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("cluster")]

SPAN = pa.struct([("start", pa.int64()), ("end", pa.int64()), ("label", pa.string())])


def write_shards(folder: Path, shards: int) -> None:
    for number in range(shards):
        gold = [[{"start": 0, "end": 3, "label": "person"}], [{"start": 8, "end": 10, "label": "place"}]]
        found = [gold[0], [{"start": 8, "end": 10, "label": "person"}] * (number % 2)]
        columns = {
            "id": [f"{number}-a", f"{number}-b"],
            "text": ["Ada met Bo."] * 2,
            "gold": pa.array(gold, pa.list_(SPAN)),
            "entities": pa.array(found, pa.list_(SPAN)),
        }
        pq.write_table(pa.table(columns), folder / f"{number}.parquet")


def test_sums_of_shards_add_up_to_the_figures_of_the_whole(tmp_path: Path) -> None:
    write_shards(tmp_path, 5)
    config = EvaluateConfig(gold=str(tmp_path), samples=50, scorers=("gner", "b2ner"))

    here, there = evaluate(config), evaluate(config.model_copy(update={"on_ray": True}))

    assert there.documents == 10
    assert (there.micro, there.labels, there.confusion) == (here.micro, here.labels, here.confusion)
    assert [paper.score for paper in there.papers] == [paper.score for paper in here.papers]


def test_a_shard_without_the_columns_is_an_input_error(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["Ada"]}), tmp_path / "a.parquet")

    with pytest.raises(InputError, match="gold"):
        evaluate(EvaluateConfig(gold=str(tmp_path), on_ray=True))
