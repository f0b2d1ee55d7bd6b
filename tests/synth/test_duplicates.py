"""Passages that are there already."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ner_ray.synth.duplicates import digest, near

STORY = "The ferry left the harbour at nine, two hours late, with forty goats on board and nobody who could milk them."


@pytest.mark.parametrize("other", ["Rain  fell\n", "ＲＡＩＮ ｆｅｌｌ", "rain fell"])
def test_texts_that_differ_in_case_width_and_blanks_are_one(other):
    assert digest(other) == digest("Rain fell")


def exact(texts: list[str]) -> dict[int, int]:
    first: dict[str, int] = {}
    firsts = [first.setdefault(digest(text), number) for number, text in enumerate(texts)]
    return {number: original for number, original in enumerate(firsts) if original != number}


def test_of_equal_texts_the_first_stays():
    assert near(["Rain fell", "Snow", "rain  fell", "Snow ", "Rain fell"]) == {2: 0, 3: 1, 4: 0}


def test_a_text_with_one_word_changed_resembles_the_first():
    assert near([STORY, "Something else happened.", STORY + " Really."]) == {2: 0}


def test_texts_that_share_only_a_part_are_kept():
    assert near([STORY, STORY[:50] + " to the joy of all who had waited since dawn on the cold and windy quay."]) == {}


def test_chinese_is_compared_by_character():
    text = "渡轮晚了两个小时才离开港口，船上有四十只山羊，却没有一个人会挤奶，船长很生气，可是山羊很高兴。"

    assert near([text, text.replace("四十", "五十"), "山羊"], threshold=0.7) == {1: 0}


def test_what_resembles_a_removed_text_is_told_the_one_that_stays():
    assert near([STORY, STORY.upper(), STORY.title()]) == {1: 0, 2: 0}


@settings(max_examples=25)
@given(st.lists(st.sampled_from(["a b c d e", "A b c d e", "f g h i j", "", "k"]), max_size=6))
def test_every_exact_duplicate_is_a_near_one(texts):
    assert near(texts) == exact(texts)
