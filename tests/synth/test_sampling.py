"""Which passages are taken."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ner_ray.synth.sampling import lot, quotas

PASSAGES = [(f"p{number}", "news" if number % 4 else "law") for number in range(400)]


def sample(passages, count: int, seed: int, spread: str = "proportional") -> set[str]:
    by_source: dict[str, list[str]] = {}
    for name, source in passages:
        by_source.setdefault(source, []).append(name)
    share = quotas({source: len(names) for source, names in by_source.items()}, count, spread)
    return {
        name
        for source, names in by_source.items()
        for name in sorted(names, key=lambda name: lot(name, seed))[: share[source]]
    }


def test_a_rate_takes_about_that_share():
    assert sum(lot(name, 3) < 0.5 for name, _ in PASSAGES) / 400 == pytest.approx(0.5, abs=0.08)


def test_a_sample_depends_on_the_seed_alone_and_holds_the_smaller_one():
    taken = sample(PASSAGES, 100, seed=1)

    assert taken == sample(reversed(PASSAGES), 100, seed=1)
    assert taken != sample(PASSAGES, 100, seed=2)
    assert sample(PASSAGES, 40, seed=1) < taken


def test_sources_give_by_their_size_or_the_same():
    law = {name for name, source in PASSAGES if source == "law"}

    assert len(sample(PASSAGES, 100, 0) & law) == 25
    assert len(sample(PASSAGES, 100, 0, "even") & law) == 50


def test_a_small_source_gives_all_it_has():
    assert quotas({"a": 3, "b": 100, "c": 100}, 43, "even") == {"a": 3, "b": 20, "c": 20}


@given(
    st.dictionaries(st.text(max_size=3), st.integers(0, 50), max_size=6),
    st.integers(0, 200),
    st.sampled_from(["proportional", "even"]),
)
def test_quotas_add_up_and_no_source_gives_more_than_it_has(sizes, count, spread):
    found = quotas(sizes, count, spread)

    assert sum(found.values()) == min(count, sum(sizes.values()))
    assert all(0 <= found[name] <= size for name, size in sizes.items())
