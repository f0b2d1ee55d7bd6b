"""Passages: places, budgets, sentence ends."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from ner_ray.synth.passages import SEPARATORS, move_sentence_ends, split

TEXTS = st.text(alphabet="天地a b。！？；\n”", max_size=60)


def _length(texts: list[str]) -> list[int]:
    return [len(text) for text in texts]


def _cut(text: str, budget: int, language: str = "zh") -> list[str]:
    return [text[start:end] for start, end in split(text, _length, budget, SEPARATORS[language])]


def test_a_short_text_is_one_passage():
    assert _cut("天高云淡。", 20) == ["天高云淡。"]


def test_sentences_are_joined_while_they_fit_and_the_sign_opens_the_next_one():
    assert _cut("天高云淡。河水很清凉。山路弯弯", 11) == ["天高云淡。河水很清凉", "。山路弯弯"]


def test_a_long_sentence_is_cut_at_the_next_kind_of_place():
    assert _cut("天高云淡，河水；很清凉。山路", 9) == ["天高云淡，河水", "；很清凉", "。山路"]


def test_a_piece_without_any_place_to_cut_stays_whole():
    assert _cut("天" * 30, 9) == ["天" * 30]


def test_english_is_cut_at_its_own_signs():
    assert _cut("Rain fell. Wind rose. Snow came.", 12, "en") == ["Rain fell", ". Wind rose", ". Snow came."]


def _moved(text: str, cuts: list[int], *, whole: bool) -> list[str]:
    borders = [0, *cuts, len(text)]
    spans = list(pairwise(borders))
    return [text[start:end] for start, end in move_sentence_ends(text, spans, whole=whole)]


def test_a_sentence_gets_its_sign_back():
    assert _moved("天高。云淡！鸟", [2, 5], whole=True) == ["天高。", "云淡！", "鸟"]


def test_english_sentences_get_theirs_back_too():
    text = "Rain fell. Wind rose! Snow came."
    spans = move_sentence_ends(text, split(text, _length, 12, SEPARATORS["en"]))

    assert [text[start:end] for start, end in spans] == ["Rain fell.", "Wind rose!", "Snow came."]


def test_a_run_of_signs_and_closing_quotes_moves_as_a_whole_or_one_sign_as_published():
    assert _moved("他说“走？！”我走", [4], whole=True) == ["他说“走？！”", "我走"]
    assert _moved("他说“走？！”我走", [4], whole=False) == ["他说“走？", "！”我走"]


def test_a_passage_that_was_only_a_sign_is_gone_but_kept_empty_as_published():
    assert _moved("天高。", [2], whole=True) == ["天高。"]
    assert _moved("天高。", [2], whole=False) == ["天高。", ""]


def test_no_sign_moves_over_a_gap():
    text = "天高 。云"

    assert move_sentence_ends(text, [(0, 2), (3, 5)]) == [(0, 2), (3, 5)]


@given(TEXTS, st.integers(1, 20), st.booleans())
def test_passages_are_in_order_lose_white_space_alone_and_keep_the_budget(text, budget, whole):
    cut = split(text, _length, budget, SEPARATORS["zh"])
    spans = move_sentence_ends(text, cut, whole=whole)

    for found in (cut, spans):
        assert "".join("".join(text[start:end].split()) for start, end in found) == "".join(text.split())
        assert all(left[1] <= right[0] for left, right in pairwise(found))
    for start, end in cut:
        inner = text[start + 1 : end]
        assert end - start <= budget or not any(sign in inner for sign in SEPARATORS["zh"])
