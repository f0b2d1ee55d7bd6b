"""Negative types: how many, which, how often."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ner_ray.synth.config import NegativeOptions
from ner_ray.synth.negatives import TypePool

FREQUENCIES = {"person": 60, "city": 30, "river": 9, "comet": 1}
ALL = NegativeOptions(rate=1, number="rounded")


def _drawn(options: NegativeOptions, positives: tuple[str, ...] = ("x",), times: int = 4000) -> Counter[str]:
    pool, rng = TypePool(FREQUENCIES), random.Random(1)
    return Counter(name for _ in range(times) for name in pool.negatives(positives, options, rng))


def test_types_are_drawn_in_proportion_to_their_frequency():
    drawn = _drawn(ALL)

    for name, frequency in FREQUENCIES.items():
        assert drawn[name] / drawn.total() == pytest.approx(frequency / 100, abs=0.03)


def test_or_all_alike():
    drawn = _drawn(ALL.model_copy(update={"draw": "uniform"}))

    for name in FREQUENCIES:
        assert drawn[name] / drawn.total() == pytest.approx(0.25, abs=0.03)


def test_or_not_at_all():
    assert not _drawn(ALL.model_copy(update={"draw": "none"}), times=5)


def test_the_second_type_is_drawn_in_proportion_to_what_the_first_left():
    """Against the same draw, spelled out: P(comet is one of two)."""
    total = sum(FREQUENCIES.values())
    expected = 1 / total + sum(f / total * 1 / (total - f) for name, f in FREQUENCIES.items() if name != "comet")

    assert _drawn(ALL, ("x", "y"))["comet"] / 4000 == pytest.approx(expected, abs=0.006)


def test_a_type_of_the_passage_is_never_negative():
    assert set(_drawn(ALL, ("person",), times=200)) <= set(FREQUENCIES) - {"person"}


def test_a_coin_is_thrown_for_each_type_of_the_passage():
    counts = Counter(
        len(TypePool(FREQUENCIES).negatives(("x", "y"), NegativeOptions(), random.Random(seed))) for seed in range(2000)
    )

    assert counts[1] / 2000 == pytest.approx(0.5, abs=0.04)
    assert counts[0] / 2000 == pytest.approx(0.25, abs=0.04)


def test_published_draws_of_mentions_give_fewer_types_where_one_is_frequent():
    """Of two mentions both are of one type with probability 0.46."""
    published = _drawn(ALL.model_copy(update={"repeats": True}), ("x", "y"), times=500).total()

    assert published == pytest.approx(1.54 * 500, abs=40)
    assert _drawn(ALL, ("x", "y"), times=500).total() == 1000


def test_a_passage_without_types_has_no_negatives_and_an_empty_pool_none():
    assert TypePool(FREQUENCIES).negatives((), ALL, random.Random(0)) == []
    assert TypePool({}).negatives(("x",), ALL, random.Random(0)) == []
    assert TypePool({"x": 4}).negatives(("x",), ALL, random.Random(0)) == []


def test_a_very_rare_type_is_found_where_it_is_the_last():
    pool = TypePool({"common": 10**9, "rare": 1})

    assert pool.negatives(("common",), ALL, random.Random(0)) == ["rare"]


@given(
    st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 9)),
    st.sets(st.sampled_from("abcdefgh")),
    st.builds(
        NegativeOptions,
        draw=st.sampled_from(["frequency", "uniform", "none"]),
        rate=st.floats(0, 1),
        number=st.sampled_from(["binomial", "rounded"]),
        repeats=st.booleans(),
    ),
    st.integers(),
)
def test_negatives_are_distinct_absent_no_more_than_wanted_and_seeded(frequencies, positives, options, seed):
    pool = TypePool(frequencies)
    drawn = pool.negatives(positives, options, random.Random(seed))

    assert len(drawn) == len(set(drawn)) <= len(positives)
    assert not set(drawn) & positives
    assert all(frequencies[name] for name in drawn)
    assert drawn == pool.negatives(sorted(positives), options, random.Random(seed))
