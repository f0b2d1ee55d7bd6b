"""The published strategies, on lists of numbers."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ner_ray.config import DemonstrationsConfig
from ner_ray.retrieval.strategies import STRATEGIES, View, generator

NEAR = View([40, 10, 30, 20, 50, 60], size=100)
BM25 = {40: 25.0, 10: 19.99, 30: 20.0, 20: 3.0, 50: 60.0, 60: -1.0}


def _run(name: str, view: View = NEAR, seed: int = 1, **settings: object) -> list[int]:
    strategy, config = STRATEGIES[name], DemonstrationsConfig(index="", strategy=name, **settings)
    picks = strategy.propose(view, config, random.Random(seed))
    if strategy.settle is None:
        return picks
    return strategy.settle(picks, [BM25[pick] for pick in picks], config)


def test_every_strategy_of_the_configuration_is_there_and_no_other() -> None:
    assert set(STRATEGIES) == set(DemonstrationsConfig.model_fields["strategy"].annotation.__args__)


def test_nn_gives_the_nearest_in_order() -> None:
    assert _run("nn", k=3) == [40, 10, 30]


def test_rejection_drops_what_scores_less_and_does_not_refill() -> None:
    assert _run("nn_bm25_rejection", k=3, bm25_threshold=20) == [40, 30]


def test_diverse_draws_from_the_candidates_as_random_sample_does() -> None:
    drawn = random.Random(5).sample([40, 10, 30, 20], 2)

    assert _run("diverse_nn", seed=5, k=2, candidates=4) == drawn


def test_diverse_rejection_drops_after_drawing() -> None:
    drawn = _run("diverse_nn", seed=3, k=4, candidates=6)
    kept = [pick for pick in drawn if BM25[pick] >= 20]

    assert _run("diverse_nn_bm25_rejection", seed=3, k=4, candidates=6) == kept
    assert len(kept) < len(drawn)


def test_rank_takes_the_candidates_that_bm25_puts_first_above_the_threshold() -> None:
    assert _run("bm25_rank", k=2, candidates=6) == [50, 40]
    assert _run("bm25_rank", k=4, candidates=6) == [50, 40, 30]
    assert _run("bm25_rank", k=2, candidates=4) == [40, 30]


def test_random_draws_from_the_whole_pool_as_random_sample_does() -> None:
    assert _run("random", seed=8, k=3) == random.Random(8).sample(range(100), 3)


def test_random_gives_all_of_a_small_pool() -> None:
    assert sorted(_run("random", View([], size=2), k=5)) == [0, 1]


@given(st.sets(st.integers(0, 19), max_size=19), st.integers(1, 5), st.integers())
def test_random_never_gives_what_is_held_back_and_as_many_as_it_can(held: set[int], k: int, seed: int) -> None:
    picks = _run("random", View([], size=20, held_back=held), seed=seed, k=k)

    assert not held & set(picks)
    assert len(set(picks)) == min(k, 20 - len(held))


def test_random_with_some_held_back_is_uniform_over_the_rest() -> None:
    view = View([], size=6, held_back={0, 3})
    counts = Counter(pick for seed in range(4000) for pick in _run("random", view, seed=seed, k=2))

    assert set(counts) == {1, 2, 4, 5}
    assert all(abs(count - 2000) < 150 for count in counts.values())


def test_mixed_is_near_as_often_as_asked_and_random_else() -> None:
    near = sum(_run("mixed", seed=seed, k=2, nearest_share=0.8) == [40, 10] for seed in range(2000))

    assert abs(near - 1600) < 80
    assert all(_run("mixed", seed=seed, nearest_share=1.0) == [40, 10] for seed in range(20))
    assert all(_run("mixed", seed=seed, nearest_share=0.0) != [40, 10] for seed in range(20))


@pytest.mark.parametrize("name", sorted(STRATEGIES))
def test_without_neighbours_only_chance_gives_any(name: str) -> None:
    given = _run(name, View([], size=0))

    assert given == []


def test_a_generator_depends_on_the_seed_and_the_text_and_nothing_else() -> None:
    first = generator(0, "Kiel").random()

    assert generator(0, "Kiel").random() == first
    assert generator(1, "Kiel").random() != first
    assert generator(0, "Oslo").random() != first


def test_fewer_candidates_than_examples_are_refused() -> None:
    with pytest.raises(ValueError, match=r"candidates \(2\) must be at least k \(3\)"):
        DemonstrationsConfig(index="", k=3, candidates=2)
