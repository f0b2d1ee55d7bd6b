"""The terms that BM25 counts, and Chinese words against jieba."""

from __future__ import annotations

import jieba
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ner_ray.retrieval import chinese
from ner_ray.retrieval.terms import Hasher, Tokenizer, hash_texts, parse_stop_words, units

jieba.setLogLevel("WARNING")

NAMES = ["hybrid", "bigrams", "words", "jieba", "spaces"]
HAN = "的一是在不了有和人这中大来上国北京市长江桥今天气很好汽车股涨马海新闻发布会基金公司经理王小明冯俊我们生活"
MIXED = HAN + "abcXYZ019 .%+#&_-，。！？（）\n\r\t　éü東都にカ한국ไท😀"


@given(st.text(st.sampled_from(MIXED), max_size=60))
@settings(max_examples=400, deadline=None)
def test_chinese_words_are_those_of_jieba(text: str) -> None:
    assert chinese.cut(text) == jieba.lcut(text)


@given(st.text(max_size=40))
@settings(max_examples=200, deadline=None)
def test_any_text_is_cut_as_jieba_cuts_it(text: str) -> None:
    assert chinese.cut(text) == jieba.lcut(text)


def test_names_that_the_dictionary_lacks_are_found_by_the_model_as_in_jieba() -> None:
    text = "刘德滨和欧阳靖雯在莱比锡大街上遇见了张婷宇"

    assert chinese.cut(text) == jieba.lcut(text)
    assert "张婷宇" in chinese.cut(text)


def test_hybrid_takes_words_folded_han_by_jieba_and_other_scripts_in_pairs() -> None:
    terms = Tokenizer()("The CAFÉ ＮＢＡ 北京市 한국어 don't")

    assert terms == ["the", "café", "nba", "北京市", "한국", "국어", "don", "t"]


def test_hybrid_takes_kanji_in_pairs_where_there_is_kana() -> None:
    assert Tokenizer()("東京都に行く") == ["東京", "京都", "都に", "に行", "行く"]


def test_bigrams_need_no_dictionary() -> None:
    assert Tokenizer("bigrams")("北京市 ok 雨") == ["北京", "京市", "ok", "雨"]


def test_marks_stay_with_their_word() -> None:
    assert Tokenizer("words")("हिन्दी naïve") == ["हिन्दी", "naïve"]


def test_spaces_keeps_case_and_punctuation() -> None:
    assert Tokenizer("spaces")("The cat , the  Cat") == ["The", "cat", ",", "the", "Cat"]


def test_stop_words_are_left_out_folded_where_terms_are() -> None:
    listed = parse_stop_words(["The\n", "\n", "  of \n"])

    assert Tokenizer.of("words", listed)("The mayor OF the town") == ["mayor", "town"]
    assert Tokenizer.of("spaces", listed)("The mayor of the town") == ["mayor", "the", "town"]


@pytest.mark.parametrize("name", NAMES)
@given(text=st.text(max_size=40))
@settings(max_examples=60, deadline=None)
def test_every_tokenizer_takes_any_text(name: str, text: str) -> None:
    terms = Tokenizer(name)(text)

    assert all(terms)
    assert terms == Tokenizer(name)(text)


def test_tokenizers_have_identities_of_their_own() -> None:
    tokenizers = [*map(Tokenizer, NAMES), Tokenizer("words", frozenset({"a"}))]
    identities = [str(sorted(tokenizer.identity().items())) for tokenizer in tokenizers]

    assert len(set(identities)) == len(tokenizers)


def test_what_uses_jieba_names_its_version_and_dictionary() -> None:
    assert Tokenizer("hybrid").identity()["jieba"] == jieba.__version__
    assert "jieba" not in Tokenizer("bigrams").identity()


def test_units_are_words_and_single_characters_without_punctuation() -> None:
    assert units("Graz, 雨天！ O'Neil") == ["graz", "雨", "天", "o", "neil"]


def test_hashes_are_the_same_in_every_process() -> None:
    assert Hasher()(["graz"]).tolist() == [6_549_521_508_210_741_268]


def test_a_hasher_gives_the_same_when_it_has_forgotten() -> None:
    forgetful = Hasher(limit=2)
    words = ["a", "b", "c", "d", "a"]

    assert forgetful(words).tolist() == Hasher()(words).tolist() == forgetful(words).tolist()


def test_hashes_of_texts_come_with_where_each_begins() -> None:
    hashes, starts = hash_texts([["a", "b"], [], ["a"]], Hasher())

    assert starts.tolist() == [0, 2, 2, 3]
    assert hashes[0] == hashes[2]
