"""RA-IT's released retrieval: scores, which examples are kept, what its strategies gave."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from scipy.stats import pearsonr, spearmanr

from ner_ray.config import DemonstrationsConfig
from ner_ray.retrieval.retrievers import bm25
from ner_ray.retrieval.strategies import STRATEGIES, View, generator

Released = list[dict[str, Any]]


@pytest.fixture(scope="module")
def folder(reference_data: Path) -> Path:
    return reference_data / "data" / "retrieval"


@pytest.fixture(scope="module")
def neighbours(folder: Path) -> Released:
    return pq.read_table(folder / "boson_test_sky5k_top128.parquet").to_pylist()


@pytest.fixture(scope="module")
def known(folder: Path) -> dict[str, str]:
    rows = pq.read_table(folder / "sky5k_known_docs.parquet").to_pylist()
    return {row["id"]: row["text"] for row in rows}


@pytest.fixture(scope="module")
def strategies(folder: Path) -> Released:
    return [json.loads(line) for line in (folder / "strategies.jsonl").read_text(encoding="utf-8").splitlines()]


def _index(texts: Sequence[str], *stop_words: Path) -> bm25.Bm25:
    options = bm25.BuildOptions(tokenizer="jieba", stop_words=tuple(map(str, stop_words)))
    with tempfile.TemporaryDirectory() as scratch:
        identity = bm25.build(texts, options, Path(scratch))
        return bm25.load(Path(scratch), identity, bm25.SearchOptions(), {})


def test_scores_of_rank_bm25_over_the_known_documents_are_met(
    folder: Path, known: dict[str, str], neighbours: Released
) -> None:
    reference = json.loads((folder / "rank_bm25_reference.json").read_text(encoding="utf-8"))
    index = _index([known[name] for name in reference["doc_ids"]], folder / "stopwords_goto456_union4.txt")
    texts = {row["query_id"]: row["query_text"] for row in neighbours}

    for query in reference["queries"]:
        (scores,) = index.scores([texts[query["query_id"]]], [np.arange(index.size)])
        np.testing.assert_allclose(scores, query["scores"], rtol=0, atol=1e-9)


@pytest.mark.parametrize(("inferred", "pearson", "spearman"), [(False, 0.9906, 0.9707), (True, 0.9971, 0.9989)])
def test_published_scores_are_met_as_far_as_the_released_pool_goes(
    folder: Path,
    known: dict[str, str],
    neighbours: Released,
    strategies: Released,
    inferred: bool,
    pearson: float,
    spearman: float,
    tmp_path: Path,
) -> None:
    """937 of its 5,000 texts are known, and its list of stop words is not: what these allow is 0.99."""
    shown = (
        example["text"]
        for row in strategies
        for name in ("NN_2", "NN_bm25Rej", "diverseNN", "diverse_bm25Rej", "rand")
        for example in row[name]
        if example["text"]
    )
    pool = list(dict.fromkeys((*known.values(), *shown)))
    extra = tmp_path / "inferred.txt"
    words = json.loads((folder / "stopwords_inferred_extra.json").read_text(encoding="utf-8"))
    extra.write_text("\n".join(words if inferred else []), encoding="utf-8")
    index = _index(pool, folder / "stopwords_goto456_union4.txt", extra)
    places = {name: pool.index(text) for name, text in known.items()}
    published: list[float] = []
    ours: list[float] = []
    for row in neighbours:
        pairs = zip(row["example_ids"], row["bm25_scores"], strict=True)
        scored = [(places[name], score) for name, score in pairs if name in places]
        positions = np.array([place for place, _ in scored], dtype=np.int64)
        (scores,) = index.scores([row["query_text"]], [positions])
        ours += scores.tolist()
        published += [score for _, score in scored]

    assert len(ours) == 3095
    assert pearsonr(ours, published).statistic >= pearson
    assert spearmanr(ours, published).statistic >= spearman


def _run(name: str, row: dict[str, Any]) -> list[str]:
    """A strategy on the released neighbours and scores."""
    strategy = STRATEGIES[name]
    config = DemonstrationsConfig(index="", k=2, candidates=128, bm25_threshold=20.0)
    view = View(range(len(row["example_ids"])), len(row["example_ids"]))
    picks = strategy.propose(view, config, generator(0, row["query_text"]))
    if strategy.settle:
        picks = strategy.settle(picks, [row["bm25_scores"][pick] for pick in picks], config)
    return [row["example_ids"][pick] for pick in picks]


@pytest.mark.parametrize(("name", "released"), [("nn", "NN_2"), ("nn_bm25_rejection", "NN_bm25Rej")])
def test_nearest_neighbours_with_and_without_rejection_are_the_released_ones(
    neighbours: Released, strategies: Released, name: str, released: str
) -> None:
    """Released prompts hold texts; a text may belong to several ids, all of which are listed."""
    exact = 0
    for row, given in zip(neighbours, strategies, strict=True):
        picks = _run(name, row)
        exact += len(picks) == len(given[released]) and all(
            pick in query["known_ids"] for pick, query in zip(picks, given[released], strict=True)
        )

    assert exact == len(neighbours) == 179


def test_what_was_drawn_keeps_to_the_rules_that_ours_keeps_to(neighbours: Released, strategies: Released) -> None:
    """The draws themselves were not seeded: where the ids are known, they are candidates, and not rejected ones."""
    drawn = kept = 0
    for row, given in zip(neighbours, strategies, strict=True):
        scores = dict(zip(row["example_ids"], row["bm25_scores"], strict=True))
        for query in given["diverseNN"]:
            if query["known_ids"]:
                drawn += 1
                assert scores.keys() & set(query["known_ids"])
        for query in given["diverse_bm25Rej"]:
            if query["known_ids"]:
                kept += 1
                assert max(scores.get(name, -1.0) for name in query["known_ids"]) >= 20
        ours = _run("diverse_nn_bm25_rejection", row)
        assert all(scores[pick] >= 20 for pick in ours)

    assert (drawn, kept) == (41, 15)


def test_drawing_and_rejecting_leaves_as_few_examples_as_were_released(
    neighbours: Released, strategies: Released
) -> None:
    ours = sum(not _run("diverse_nn_bm25_rejection", row) for row in neighbours)
    released = sum(not row["diverse_bm25Rej"] for row in strategies)

    assert released == 121
    assert abs(ours - released) <= 20  # three standard deviations of a binomial of 179 draws
