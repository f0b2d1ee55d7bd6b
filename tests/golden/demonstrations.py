"""Cases of the golden format for retrieving demonstrations.

`FUNCTIONS` maps system and name of a published function to what runs a case of it here.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ner_ray.config import DemonstrationsConfig
from ner_ray.retrieval.retrievers import bm25, dense
from ner_ray.retrieval.strategies import STRATEGIES, View
from ner_ray.retrieval.terms import Name, Tokenizer

Case = dict[str, Any]

_STRATEGIES = {
    "strategy NN_bm25Rej": "nn_bm25_rejection",
    "strategy diverseNN": "diverse_nn",
    "strategy diverseNN_bm25Rej": "diverse_nn_bm25_rejection",
    "strategy diverseNN_bm25Rank": "bm25_rank",
}


def _strategy(case: Case) -> list[str]:
    given = case["input"]
    strategy = STRATEGIES[_STRATEGIES[case["case"]]]
    config = DemonstrationsConfig(
        index="", k=given["k"], candidates=given["diverse_k"], bm25_threshold=given["threshold"]
    )
    examples = given["examples(nearest first)"]
    view = View(range(len(examples)), len(examples))
    picks = strategy.propose(view, config, random.Random(given["random.seed"]))
    if strategy.settle:
        picks = strategy.settle(picks, [given["bm25"][pick] for pick in picks], config)
    return [examples[pick] for pick in picks]


def _nearest(case: Case) -> list[str] | str:
    """Where the pool is smaller than k ours gives all there is; theirs takes k by their numbers, and fails."""
    given = {"pool_emb": [[1.0, 0.0], [0.0, 1.0]], "query_emb": [1.0, 0.0]} | case["input"]
    pool = _unit(given["pool_emb"])
    query = _unit([given["query_emb"]])
    (found,) = dense.Dense(lambda _: query, pool).neighbours(["a text"], given["k"])
    try:
        return [f"d{found.positions[number]}" for number in range(given["k"])]
    except IndexError:
        return "IndexError: list index out of range"


def _unit(rows: Sequence[Sequence[float]]) -> dense.Vectors:
    vectors = np.array(rows, dtype=np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def _bm25(name: Name) -> Callable[[Case], dict[str, Any]]:
    def check(case: Case) -> dict[str, Any]:
        given = case["input"]
        tokenizer = Tokenizer.of(name, given["stopwords"])
        index, identity = _index(given["corpus"], name, given["stopwords"])
        found = {
            "corpus_tokens": [tokenizer(text) for text in given["corpus"]],
            "query_tokens": tokenizer(given["query"]),
            "scores": _scores(index, given["query"]),
            "average_idf": identity["average_idf"],
            "avgdl": identity["average_length"],
            "k1": identity["k1"],
            "b": identity["b"],
            "epsilon": identity["epsilon"],
        }
        return {key: found[key] for key in case["reference_result"]}

    return check


def _floor(case: Case) -> dict[str, Any]:
    """Each idf from the score of an example for that term alone; in this corpus no term repeats."""
    given = case["input"]
    index, identity = _index([" ".join(tokens) for tokens in given["corpus_tokens"]], "spaces", ())
    idf = {}
    for number, tokens in enumerate(given["corpus_tokens"]):
        norm = 1 - identity["b"] + identity["b"] * len(tokens) / identity["average_length"]
        for token in tokens:
            saturated = (identity["k1"] + 1) / (1 + identity["k1"] * norm)
            idf[token] = _scores(index, token)[number] / saturated
    scores = _scores(index, " ".join(given["query_tokens"]))
    return {"idf": idf, "average_idf": identity["average_idf"], "scores": scores}


def _index(texts: Sequence[str], name: Name, stop_words: Sequence[str]) -> tuple[bm25.Bm25, dict[str, Any]]:
    with tempfile.TemporaryDirectory() as scratch:
        listed = Path(scratch) / "listed.txt"
        listed.write_text("\n".join(stop_words), encoding="utf-8")
        options = bm25.BuildOptions(tokenizer=name, stop_words=(str(listed),))
        identity = bm25.build(texts, options, Path(scratch))
        return bm25.load(Path(scratch), identity, bm25.SearchOptions(), {}), identity


def _scores(index: bm25.Bm25, text: str) -> list[float]:
    (scores,) = index.scores([text], [np.arange(index.size)])
    return scores.tolist()


FUNCTIONS: dict[tuple[str, str], Callable[[Case], Any]] = {
    ("RA-IT", "gensim BM25"): _floor,
    ("RA-IT", "get_adaptive_examples"): _strategy,
    ("RA-IT", "get_similar_examples_by_emb"): _nearest,
    ("RA-IT", "split_and_rm_stopwords + BM25.get_score"): _bm25("spaces"),
    ("RA-IT", "split_and_rm_stopwords + gensim.summarization.bm25.BM25.get_score"): _bm25("jieba"),
}
