"""Lists of words matched: as many as can be, by any route."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ner_ray.align import match_words, matching
from tests import strategies
from tests.align import gner_oracle


def lcs_length(left: Sequence[str], right: Sequence[str]) -> int:
    """The textbook's dynamic programme."""
    row = [0] * (len(right) + 1)
    for word in left:
        before = row[:]
        for index, other in enumerate(right):
            row[index + 1] = before[index] + 1 if word == other else max(before[index + 1], row[index])
    return row[-1]


def assert_matches(source: Sequence[str], copy: Sequence[str], matched: list[int]) -> None:
    assert len(matched) == len(source)
    used = [index for index in matched if index >= 0]
    assert all(left < right for left, right in pairwise(used))
    assert all(index < 0 or source[row] == copy[index] for row, index in enumerate(matched))


@given(st.data())
def test_as_many_words_are_matched_as_can_be(data: st.DataObject) -> None:
    source = data.draw(strategies.word_lists())
    copy = data.draw(st.one_of(strategies.corrupted(source), strategies.word_lists()))
    matched = match_words(source, copy)

    assert_matches(source, copy, matched)
    assert sum(index >= 0 for index in matched) == lcs_length(source, copy)


@given(st.data())
def test_the_oracles_agree_on_how_many_words_match(data: st.DataObject) -> None:
    source = data.draw(strategies.word_lists())
    copy = data.draw(strategies.corrupted(source))

    for matched in (gner_oracle.match_words(source, copy), gner_oracle.longest_common(source, copy)):
        assert_matches(source, copy, matched)
        assert sum(index >= 0 for index in matched) == lcs_length(source, copy)


@pytest.mark.parametrize("vocabulary", [3, 40, 2000])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.9])
def test_long_lists_lose_nothing_by_being_matched_in_pieces(vocabulary: int, share: float) -> None:
    rng = random.Random(vocabulary)
    source = [f"w{rng.randrange(vocabulary)}" for _ in range(700)]
    copy = [f"w{rng.randrange(vocabulary)}" if rng.random() < share else word for word in source]
    copy = [word for word in copy if rng.random() > share / 2]
    matched = match_words(source, copy)

    assert_matches(source, copy, matched)
    assert sum(index >= 0 for index in matched) == lcs_length(source, copy)


def test_lists_beyond_memory_are_matched_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matching, "_MAX_CELLS", 10_000)
    source = [f"w{index}" for index in range(3000)]
    shifted = match_words(source, source[:1000] + source[1100:])
    strangers = match_words(source, [f"v{index}" for index in range(2000)])

    assert sum(index >= 0 for index in shifted) > 2700
    assert_matches(source, source[:1000] + source[1100:], shifted)
    assert strangers == [-1] * 3000


@given(st.data())
def test_fewer_runs_match_as_many_words(data: st.DataObject) -> None:
    source = data.draw(strategies.word_lists())
    copy = data.draw(strategies.corrupted(source))
    runs = matching.matching_runs(source, copy)

    assert sum(run.size for run in runs) == lcs_length(source, copy)
    assert all(source[run.source : run.source + run.size] == copy[run.copy : run.copy + run.size] for run in runs)
    assert all(
        left.source + left.size <= right.source and left.copy + left.size <= right.copy
        for left, right in pairwise(runs)
    )
