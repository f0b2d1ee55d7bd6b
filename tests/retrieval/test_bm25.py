"""BM25 as one sparse product, against rank-bm25's own loop."""

from __future__ import annotations

import mmap
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jieba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rank_bm25 import BM25Okapi

from ner_ray.errors import ConfigError, InputError
from ner_ray.retrieval.retrievers import bm25
from ner_ray.retrieval.terms import Tokenizer

from .conftest import CHINESE, ENGLISH

SENTENCES = [text for text, _ in ENGLISH + CHINESE]
words = st.sampled_from(["rain", "harbour", "tram", "the", "the", "a", "bakery", "Oslo", "x1", "late"])
chinese_words = st.sampled_from(["天气", "汽车", "公司", "的", "北京", "发布", "很", "好", "，", "长江大桥"])


def _index(texts: Sequence[str], **options: Any) -> bm25.Bm25:
    """The arrays stay mapped when their folder is gone."""
    with tempfile.TemporaryDirectory() as scratch:
        identity = bm25.build(texts, bm25.BuildOptions(**options), Path(scratch))
        return bm25.load(Path(scratch), identity, bm25.SearchOptions(), {})


def _scores(index: bm25.Bm25, text: str) -> np.ndarray:
    (scores,) = index.scores([text], [np.arange(index.size)])
    return scores


def _agree(index: bm25.Bm25, oracle: BM25Okapi, tokens: Sequence[Sequence[str]], text: str, k: int) -> None:
    """The same scores, and the k best of those that share a term, equal ones by their place in the pool."""
    query = index.tokenizer(text)
    expected = oracle.get_scores(query)
    np.testing.assert_allclose(_scores(index, text), expected, rtol=0, atol=1e-9)

    matching = [number for number, terms in enumerate(tokens) if set(terms) & set(query)]
    ranked = sorted(matching, key=lambda number: (-round(expected[number], 9), number))[:k]
    (found,) = index.neighbours([text], k)
    np.testing.assert_allclose(expected[found.positions], expected[ranked], rtol=0, atol=1e-9)
    np.testing.assert_allclose(found.scores, expected[found.positions], rtol=0, atol=1e-9)
    assert set(found.positions.tolist()) <= set(matching)
    assert len(set(found.positions.tolist())) == len(ranked)


@given(
    st.lists(st.lists(words, max_size=8).map(" ".join), min_size=1, max_size=12).filter(any),
    st.lists(st.lists(words | st.just("unseen"), max_size=8).map(" ".join), min_size=1, max_size=3),
    st.integers(1, 15),
)
@settings(max_examples=150, deadline=None)
def test_scores_and_ranks_of_english_are_those_of_rank_bm25(texts: list[str], queries: list[str], k: int) -> None:
    tokens = [text.split() for text in texts]
    index, oracle = _index(texts, tokenizer="spaces"), BM25Okapi(tokens)

    for query in queries:
        _agree(index, oracle, tokens, query, k)


@given(
    st.lists(st.lists(chinese_words, min_size=1, max_size=8).map("".join), min_size=1, max_size=12),
    st.lists(chinese_words, max_size=8).map("".join),
    st.integers(1, 15),
)
@settings(max_examples=150, deadline=None)
def test_scores_and_ranks_of_chinese_are_those_of_rank_bm25(texts: list[str], query: str, k: int) -> None:
    tokens = [jieba.lcut(text) for text in texts]

    _agree(_index(texts, tokenizer="jieba"), BM25Okapi(tokens), tokens, query, k)


@pytest.mark.parametrize("k", [1, 5, 128, 3000])
def test_a_large_pool_is_ranked_as_by_rank_bm25(k: int) -> None:
    """Large enough for groups, with many equal scores."""
    random = np.random.default_rng(7)
    vocabulary = [f"w{number}" for number in range(400)]
    texts = [" ".join(vocabulary[number] for number in np.minimum(random.zipf(1.3, 9), 400) - 1) for _ in range(2500)]
    tokens = [text.split() for text in texts]
    index, oracle = _index(texts, tokenizer="spaces"), BM25Okapi(tokens)

    for query in [*texts[:3], "w9 w12 w399", "w300"]:
        _agree(index, oracle, tokens, query, k)


@pytest.mark.parametrize("parameters", [{"k1": 0.9, "b": 0.4}, {"b": 0.0, "epsilon": 0.0}, {"k1": 2.0, "b": 1.0}])
def test_parameters_mean_what_they_mean_in_rank_bm25(parameters: dict[str, float]) -> None:
    tokens = [Tokenizer()(text) for text in SENTENCES]
    oracle = BM25Okapi(tokens, **parameters)

    _agree(_index(SENTENCES, **parameters), oracle, tokens, "The tram of Oslo, 基尔", 8)


def test_repeated_terms_of_a_text_count_repeatedly() -> None:
    index = _index(SENTENCES)

    np.testing.assert_allclose(_scores(index, "Kiel Kiel Kiel"), 3 * _scores(index, "Kiel"))


def test_equals_come_in_the_order_of_the_pool() -> None:
    index = _index(["a b", "c d", "b a", "d c", "e f", "g h"], tokenizer="spaces")

    assert index.neighbours(["a b"], 4)[0].positions.tolist() == [0, 2]


@pytest.mark.parametrize("text", ["", "   ", "!?", "zzz qqq"])
def test_a_text_without_a_known_term_has_no_neighbours(text: str) -> None:
    index = _index(SENTENCES)

    assert index.neighbours([text], 3)[0].positions.size == 0
    assert not _scores(index, text).any()


@pytest.mark.parametrize("texts", [[], ["", "  "]])
def test_a_pool_without_terms_has_no_neighbours(texts: list[str]) -> None:
    index = _index(texts)

    assert [found.positions.size for found in index.neighbours(["Kiel", ""], 3)] == [0, 0]
    assert index.neighbours([], 3) == []
    assert _scores(index, "Kiel").tolist() == [0.0] * len(texts)


def test_a_pool_of_one_example_is_found_although_its_score_is_negative() -> None:
    (found,) = _index(["Kiel"]).neighbours(["Kiel"], 2)

    assert found.positions.tolist() == [0]
    assert found.scores[0] < 0


def test_what_a_text_gets_does_not_depend_on_the_other_texts() -> None:
    index = _index(SENTENCES)
    together = index.neighbours(SENTENCES * 9, 4)

    for text, found in zip(SENTENCES * 9, together, strict=True):
        (alone,) = index.neighbours([text], 4)
        assert alone.positions.tolist() == found.positions.tolist()
        assert alone.scores.tolist() == found.scores.tolist()


def test_neighbours_of_a_smaller_k_begin_those_of_a_greater() -> None:
    index = _index(SENTENCES)
    (many,) = index.neighbours(["the tram in Kiel"], 9)

    for k in range(1, 9):
        assert index.neighbours(["the tram in Kiel"], k)[0].positions.tolist() == many.positions[:k].tolist()


def test_stop_words_of_files_neither_count_nor_match(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("The\nof\n", encoding="utf-8")
    (tmp_path / "b.txt").write_text("kiel\n", encoding="utf-8")
    index = _index(SENTENCES, stop_words=(str(tmp_path / "a.txt"), str(tmp_path / "b.txt")))

    assert index.neighbours(["the Kiel of"], 3)[0].positions.size == 0
    assert index.neighbours(["the tram of Kiel"], 9)[0].positions.size == 2


def test_a_file_of_stop_words_that_is_not_there_is_refused() -> None:
    with pytest.raises(ConfigError, match="stop words at /nowhere"):
        _index(SENTENCES, stop_words=("/nowhere/words.txt",))


def _owner(array: np.ndarray) -> object:
    """Of an array's memory."""
    return _owner(array.base) if isinstance(array.base, np.ndarray) else array.base


def test_the_arrays_are_mapped_not_copied() -> None:
    index = _index(SENTENCES)

    for array in (index.terms, index.matrix.data, index.matrix.indices):
        assert isinstance(_owner(array), mmap.mmap)


@pytest.mark.parametrize("key", ["jieba", "dictionary", "probe", "version"])
def test_another_tokenizer_is_refused_and_named(tmp_path: Path, key: str) -> None:
    identity = bm25.build(SENTENCES, bm25.BuildOptions(), tmp_path)
    identity["tokenizer"][key] = "other"

    with pytest.raises(InputError, match=f"{key} 'other', here"):
        bm25.load(tmp_path, identity, bm25.SearchOptions(), {})


def test_a_changed_list_of_stop_words_is_refused(tmp_path: Path) -> None:
    identity = bm25.build(SENTENCES, bm25.BuildOptions(), tmp_path)
    (tmp_path / "stop_words.txt").write_text("kiel", encoding="utf-8")

    with pytest.raises(InputError, match="stop_words"):
        bm25.load(tmp_path, identity, bm25.SearchOptions(), {})
