"""Statistics of training data."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ner_ray.synth.statistics import Statistics, count
from ner_ray.types import Mention

MENTIONS = st.lists(st.builds(Mention, st.sampled_from(["Oslo", "oslo", "Rhine"]), st.sampled_from(["City", "river"])))


def _of(*passages: list[tuple[str, str]]) -> Statistics:
    return sum((count(Mention(*pair) for pair in passage) for passage in passages), Statistics())


def test_totals_count_without_case_and_pairs_once():
    total = _of([("Oslo", "City"), ("Rhine", "river")], [("OSLO", "city")], [])

    assert total.summary() == {
        "total_entity_num": 3,
        "total_type_num": 2,
        "total_ent_type_pair_num": 2,
        "avg_pair_per_sample": pytest.approx(2 / 3),
    }
    assert (total.passages, total.empty) == (3, 1)


def test_frequencies_count_as_written_most_frequent_first_and_equals_by_name():
    total = _of([("a", "y"), ("b", "x"), ("c", "Z"), ("d", "Z")])

    assert list(total.frequencies().items()) == [("Z", 2), ("x", 1), ("y", 1)]


def test_the_tail_is_told_in_shares_of_all_mentions():
    """Of 20 types the first 1 % is one, the first 10 % are two."""
    pairs = [(str(number), "big") for number in range(60)] + [(str(number), "next") for number in range(22)]
    total = _of(pairs + [("x", f"rare {number}") for number in range(18)])

    assert total.tail() == {"top 1 %": 0.6, "next 9 %": 0.22, "rest": 0.18}


def test_of_nothing_there_are_statistics_too():
    assert Statistics().summary()["avg_pair_per_sample"] == 0.0
    assert Statistics().tail() == {"top 1 %": 0.0, "next 9 %": 0.0, "rest": 0.0}


@given(st.lists(MENTIONS, max_size=6), st.integers(0, 6))
def test_statistics_add_like_the_passages_they_are_of(passages, at):
    parts = [sum(map(count, part), Statistics()) for part in (passages[:at], passages[at:])]
    whole = sum(map(count, passages), Statistics())

    assert parts[0] + parts[1] == whole
