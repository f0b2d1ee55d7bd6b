"""Confidence intervals: seeded, additive, and those of the ordinary bootstrap."""

from __future__ import annotations

import json

import numpy as np
import pytest

from ner_ray.evaluate import bootstrap
from ner_ray.evaluate.bootstrap import Replicates


def draw(count: int, *, seed: int = 0, samples: int = 400, first: int = 0) -> Replicates:
    chance = np.random.default_rng(7)
    counts = [[[correct, 4, 5]] for correct in chance.binomial(4, 0.6, size=1000)]
    ids = [f"document {number}" for number in range(first, count)]
    return bootstrap.draw(["score"], ids, counts[first:count], samples=samples, seed=seed)


def test_draws_are_poisson_with_mean_and_variance_one():
    """Each document is drawn once on average, independently of the others."""
    times = bootstrap.weights([str(number) for number in range(500)], samples=400, seed=3)

    assert times.mean() == pytest.approx(1.0, abs=0.01)
    assert times.var() == pytest.approx(1.0, abs=0.02)
    assert np.corrcoef(times[:5])[np.triu_indices(5, 1)] == pytest.approx(0, abs=0.2)
    assert np.corrcoef(times[:, :5].T)[np.triu_indices(5, 1)] == pytest.approx(0, abs=0.2)


def test_a_seed_draws_the_same_and_another_seed_something_else():
    """A document's draws depend on its id and the seed."""
    ids = ["a", "b"]

    assert (bootstrap.weights(ids, samples=50, seed=1) == bootstrap.weights(ids, samples=50, seed=1)).all()
    assert (bootstrap.weights(ids, samples=50, seed=1) != bootstrap.weights(ids, samples=50, seed=2)).any()


def test_replicates_of_shards_add_to_those_of_the_whole_and_survive_json():
    """In any order: the draws do not depend on the batch."""
    whole = draw(100)
    first, second = draw(40), draw(100, first=40)
    carried = Replicates.from_dict(json.loads(json.dumps(first.to_dict())))
    added = second + carried

    assert np.array_equal(whole.sums, added.sums)
    assert np.array_equal(whole.documents, added.documents)
    assert bootstrap.intervals(whole) == bootstrap.intervals(added)


def test_intervals_are_those_of_the_ordinary_bootstrap():
    """Oracle: documents drawn with replacement, as many as there are."""
    documents, samples = 300, 4000
    counts = np.array(
        [document[0] for document in [[[c, 4, 5]] for c in np.random.default_rng(7).binomial(4, 0.6, 1000)]]
    )
    counts = counts[:documents]
    picks = np.random.default_rng(1).integers(0, documents, size=(samples, documents))
    drawn = counts[picks].sum(axis=1)
    expected = np.quantile(drawn[:, 0] / drawn[:, 1], [0.025, 0.975])

    found = bootstrap.intervals(draw(documents, samples=samples))["score"]["recall"]

    assert (found.low, found.high) == pytest.approx(tuple(expected), abs=0.004)


def test_more_documents_make_narrower_intervals():
    """By about the root of how many times more."""
    few = bootstrap.intervals(draw(50))["score"]["f1"]
    many = bootstrap.intervals(draw(800))["score"]["f1"]

    assert (few.high - few.low) / (many.high - many.low) == pytest.approx(4, rel=0.3)


def test_no_documents_and_no_samples_give_no_intervals():
    """Nothing was drawn, so nothing is known."""
    assert bootstrap.intervals(bootstrap.zero(["score"], 10)) == {}
    assert bootstrap.intervals(draw(10, samples=0)) == {}


def test_a_score_without_any_entities_is_zero_in_every_replicate():
    """0 / 0 is 0, as in the score itself."""
    replicates = bootstrap.draw(["score"], ["a", "b"], [[[0, 0, 0]], [[0, 0, 0]]], samples=20, seed=0)

    assert bootstrap.intervals(replicates)["score"]["f1"] == bootstrap.Interval(0.0, 0.0)
