"""Fusion of ranks, and BM25 as a reranker."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ner_ray.errors import ConfigError
from ner_ray.retrieval.base import Neighbours
from ner_ray.retrieval.retrievers import bm25, hybrid

from .conftest import ENGLISH

SENTENCES = [text for text, _ in ENGLISH]


@dataclass(frozen=True)
class Fixed:
    """Gives the same list to every text."""

    positions: tuple[int, ...]

    def neighbours(self, texts: Sequence[str], k: int) -> list[Neighbours]:
        found = np.array(self.positions[:k], dtype=np.int64)
        return [Neighbours(found, 1.0 / np.arange(1, found.size + 1)) for _ in texts]


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> bm25.Bm25:
    folder = tmp_path_factory.mktemp("bm25")
    return bm25.load(folder, bm25.build(SENTENCES, bm25.BuildOptions(), folder), bm25.SearchOptions(), {})


def _load(dense: Fixed, index: object, **options: object) -> object:
    return hybrid.load(Path(), {}, hybrid.SearchOptions(**options), {"dense": dense, "bm25": index})


ranked = st.lists(st.integers(0, 9), unique=True, max_size=8)


@given(st.lists(ranked, min_size=1, max_size=3), st.floats(1, 100))
def test_fusion_is_the_sum_of_reciprocal_ranks(lists: list[list[int]], constant: float) -> None:
    sums: dict[int, float] = {}
    for positions in lists:
        for rank, position in enumerate(positions, 1):
            sums[position] = sums.get(position, 0.0) + 1 / (constant + rank)

    fused = hybrid.fuse([Fixed(tuple(ranking)).neighbours([""], 99)[0] for ranking in lists], constant)

    assert sorted(fused.positions.tolist()) == sorted(sums)
    np.testing.assert_allclose(fused.scores, [sums[position] for position in fused.positions.tolist()])
    assert (np.diff(fused.scores) <= 0).all()


def test_what_both_find_comes_before_what_one_finds_first(index: bm25.Bm25) -> None:
    retriever = _load(Fixed((7, 9, 4)), index)
    (found,) = retriever.neighbours(["the tram driver from Kiel"], 3)

    assert found.positions[0] == 9
    assert 7 in found.positions


def test_reranking_keeps_dense_neighbours_alone_in_the_order_of_bm25(index: bm25.Bm25) -> None:
    retriever = _load(Fixed((7, 4, 9, 6)), index, method="rerank", depth=4)
    (found,) = retriever.neighbours(["the tram driver from Kiel"], 2)
    (scores,) = index.scores(["the tram driver from Kiel"], [found.positions])

    assert found.positions.tolist() == [9, 6]
    np.testing.assert_array_equal(found.scores, scores)


def test_reranking_keeps_the_order_of_equals(index: bm25.Bm25) -> None:
    retriever = _load(Fixed((7, 5, 2)), index, method="rerank", depth=3)

    assert retriever.neighbours(["zzz"], 3)[0].positions.tolist() == [7, 5, 2]


def test_reranking_needs_something_that_scores() -> None:
    with pytest.raises(ConfigError, match="cannot score"):
        _load(Fixed((1,)), Fixed((1,)), method="rerank")
