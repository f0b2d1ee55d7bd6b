"""The leakage guard, against the slow definition."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ner_ray.retrieval import leakage
from ner_ray.retrieval.terms import units

STORY = "Maria Keller opened a small bakery in the old town of Graz last spring, with two ovens."


def _guard(texts: Sequence[str], ngram: int = 8) -> leakage.Guard:
    with tempfile.TemporaryDirectory() as scratch:
        return leakage.load(Path(scratch), leakage.build(texts, ngram, Path(scratch)))


def _leaks(text: str, examples: Sequence[str], ngram: int = 8, overlap: float = 0.5) -> list[int]:
    (found,) = _guard(examples, ngram).leaks([text], overlap)
    return found.tolist()


def _is_leak(text: list[str], example: list[str], ngram: int, overlap: float) -> bool:
    def grams(terms: list[str]) -> set[tuple[str, ...]]:
        return {tuple(terms[i : i + ngram]) for i in range(len(terms) - ngram + 1)}

    def contains(terms: list[str]) -> bool:
        return any(terms[i : i + len(text)] == text for i in range(len(terms) - len(text) + 1))

    if not text:
        return False
    if len(text) < ngram:
        return contains(example)
    shared = grams(text) & grams(example)
    return bool(shared) and len(shared) >= overlap * min(len(grams(text)), len(grams(example)))


sentences = st.lists(st.sampled_from("abcd"), max_size=9).map(" ".join)


@given(st.lists(sentences, max_size=6), st.lists(sentences, max_size=3), st.integers(2, 4), st.floats(0.1, 1.0))
@settings(max_examples=300, deadline=None)
def test_held_back_is_what_the_definition_says(
    examples: list[str], texts: list[str], ngram: int, overlap: float
) -> None:
    expected = [
        [n for n, example in enumerate(examples) if _is_leak(units(text), units(example), ngram, overlap)]
        for text in texts
    ]

    assert [found.tolist() for found in _guard(examples, ngram).leaks(texts, overlap)] == expected


@pytest.mark.parametrize(
    "example",
    [
        STORY,
        STORY.upper() + "!!",
        STORY.replace(" ", "\n\n"),
        "ＭＡＲＩＡ " + STORY.removeprefix("Maria "),
        "Yesterday it was said: " + STORY + " That was all.",
    ],
)
def test_an_example_that_equals_or_contains_the_text_is_held_back(example: str) -> None:
    assert _leaks(STORY, ["Another text about Graz.", example], overlap=1.0) == [1]


def test_a_part_of_the_text_is_held_back() -> None:
    assert _leaks(STORY, ["opened a small bakery in the old town of Graz"]) == [0]


def test_a_text_with_a_few_words_changed_is_held_back_and_one_on_the_same_matter_is_not() -> None:
    copied = STORY.replace("two ovens", "three ovens and a cat")
    related = "The old town of Graz has a small bakery, which Maria Keller opened."

    assert _leaks(STORY, [copied, related]) == [0]


@pytest.mark.parametrize("text", ["Maria Keller opened", "Graz", "old town of GRAZ"])
def test_an_example_that_contains_a_short_text_is_held_back(text: str) -> None:
    assert _leaks(text, [STORY, "Kiel is far from here.", text]) == [0, 2]


def test_a_short_text_across_two_examples_is_in_none_of_them() -> None:
    assert _leaks("two ovens Kiel is", [STORY, "Kiel is far."]) == []


def test_boilerplate_is_no_leak_but_a_text_that_is_nothing_else_is_found_whole() -> None:
    notice = "This document was prepared by the office for information only and binds nobody at all."
    pool = [f"{notice} Item {number} concerns town {number * 7}." for number in range(200)]

    assert _leaks(f"{notice} Rain fell on Kiel.", pool) == []
    assert _leaks(f"{notice} Item 5 concerns town 35.", pool) == [5]
    assert _leaks(notice, pool) == list(range(200))
    assert _leaks("the office for information only and binds nobody at all.", pool) == list(range(200))


def test_chinese_is_compared_by_character() -> None:
    text = "玛丽亚去年春天在格拉茨开了一家面包店"

    assert _leaks(text, ["据报道，" + text + "。", "玛丽亚在奥斯陆。"]) == [0]
    assert _leaks("在格拉茨", [text]) == [0]


@pytest.mark.parametrize("text", ["", "?!", " \n"])
def test_a_text_without_words_leaks_from_nowhere(text: str) -> None:
    assert _leaks(text, [STORY, "", "?!"]) == []


def test_an_empty_pool_leaks_nothing() -> None:
    assert _leaks(STORY, []) == []
    assert _leaks("Graz", []) == []
    assert _guard([STORY]).leaks([], 0.5) == []


def test_the_arrays_are_mapped_not_copied() -> None:
    guard = _guard([STORY])

    assert isinstance(guard.grams.base, np.memmap)
    assert isinstance(guard.units.base, np.memmap)
