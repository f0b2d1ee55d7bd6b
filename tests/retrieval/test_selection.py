"""What a text is given, from the index to the tuple of demonstrations."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ner_ray.config import DemonstrationsConfig, IndexConfig
from ner_ray.retrieval import Counts, Selector, build_index, estimate_tokens, open_selector, select
from ner_ray.retrieval.strategies import STRATEGIES
from ner_ray.types import Demonstration, Mention

from .conftest import CHINESE, ENGLISH, Open, rows, write_pool

TEXTS = [
    "Who sells rye bread in Graz?",
    "渡轮从基尔出发。",
    "The tram of Oslo and the harbour of Kiel",
    "Is Tremorex on the market?",
    "",
    "zzz",
]


def _ids(given: list[tuple[Demonstration, ...]]) -> list[list[str]]:
    return [[example.example_id for example in shown] for shown in given]


def _given(selector: Selector, texts: list[str]) -> list[list[str]]:
    return _ids(select(selector, texts)[0])


def test_a_text_gets_its_nearest_examples_with_entities_places_and_scores(open_with: Open) -> None:
    ((first, second), *_), _ = select(open_with(k=2), TEXTS)

    assert (first.example_id, second.example_id) == ("e3", "e0")
    assert first.mentions[0] == Mention("Graz", "city", start=3, end=7)
    assert all(first.text[m.start : m.end] == m.text for m in first.mentions)
    assert first.score > second.score > 0


def test_counts_say_what_was_given_and_add(open_with: Open) -> None:
    given_, counts = select(open_with(k=2), TEXTS)

    assert counts == Counts(documents=6, served=4, demonstrations=sum(map(len, given_)))
    assert counts + counts == Counts(documents=12, served=8, demonstrations=2 * sum(map(len, given_)))


@pytest.mark.parametrize("strategy", sorted(STRATEGIES))
def test_what_a_text_gets_depends_neither_on_order_nor_on_batches(open_with: Open, strategy: str) -> None:
    selector = open_with(strategy=strategy, bm25_threshold=1.0, candidates=8, seed=11)
    texts = [text for text, _ in ENGLISH + CHINESE] + TEXTS
    together = dict(zip(texts, _given(selector, texts), strict=True))
    shuffled = random.Random(3).sample(texts, len(texts))

    assert dict(zip(shuffled, _given(selector, shuffled), strict=True)) == together
    assert {text: _given(selector, [text])[0] for text in texts} == together


def test_another_seed_draws_other_examples(open_with: Open) -> None:
    drawn = {str(_given(open_with(strategy="random", seed=seed), TEXTS)) for seed in range(4)}

    assert len(drawn) == 4


def test_an_example_is_never_given_to_its_own_text_and_the_next_takes_its_place(open_with: Open) -> None:
    texts = [text for text, _ in ENGLISH]
    guarded, counts = select(open_with(k=2), texts)
    unguarded, _ = select(open_with(k=3, guard=False), texts)

    assert [f"e{number}" for number in range(len(texts))] == [ids[0] for ids in _ids(unguarded)]
    assert _ids(guarded) == [ids[1:] for ids in _ids(unguarded)]
    assert counts.held_back == len(texts)


def test_what_is_held_back_from_a_draw_is_counted(open_with: Open) -> None:
    texts = [text for text, _ in ENGLISH]

    assert select(open_with(strategy="random"), texts)[1].held_back == len(texts)


@pytest.mark.parametrize("strategy", sorted(STRATEGIES))
def test_no_strategy_gives_a_leak(open_with: Open, strategy: str) -> None:
    texts = [text for text, _ in ENGLISH + CHINESE]
    selector = open_with(strategy=strategy, k=16, candidates=16, bm25_threshold=-99.0)

    for number, ids in enumerate(_given(selector, texts)):
        assert f"e{number}" not in ids


def test_with_more_leaks_than_are_spared_the_others_are_still_found(tmp_path: Path) -> None:
    """Forty examples contain the text and come before the one that may be given."""
    copies = [(f"Number {number}: the ferry to Kiel is late.", []) for number in range(40)]
    others = [("A ferry was late.", []), *[(f"Nothing about boats, {number}.", []) for number in range(99)]]
    pool = write_pool(tmp_path / "pool.jsonl", rows([*copies, *others]))
    build_index(IndexConfig(pool=(pool,), output=str(tmp_path / "index")))
    selector = open_selector(DemonstrationsConfig(index=str(tmp_path / "index"), k=1))
    given_, counts = select(selector, ["the ferry to Kiel is late", "about boats"])

    assert _ids(given_)[0] == ["e40"]
    assert counts.held_back >= 40


def test_on_demand_a_text_whose_best_example_scores_little_gets_none(open_with: Open) -> None:
    best = {text: shown[0].score for text, shown in zip(TEXTS, select(open_with(), TEXTS)[0], strict=True) if shown}
    middle = sorted(best.values())[2]
    given_, counts = select(open_with(min_score=middle), TEXTS)

    served = [text for text, shown in zip(TEXTS, given_, strict=True) if shown]
    assert served == [text for text in TEXTS if best.get(text, 0) >= middle]
    assert counts.unrelated == len(TEXTS) - 2
    assert [len(shown) for shown in given_ if shown] == [2, 2]


def test_on_demand_holds_for_examples_that_are_drawn(open_with: Open) -> None:
    given_, _ = select(open_with(strategy="random", min_score=0.1), TEXTS)

    assert [len(shown) for shown in given_] == [2, 2, 2, 2, 0, 0]


def test_rejected_examples_are_counted_and_not_replaced(open_with: Open) -> None:
    plain, _ = select(open_with(k=3), TEXTS)
    threshold = sorted(example.score for shown in plain for example in shown)[4]
    rejected, counts = select(open_with(k=3, strategy="nn_bm25_rejection", bm25_threshold=threshold), TEXTS)

    assert _ids(rejected) == [
        [example.example_id for example in shown if example.score >= threshold] for shown in plain
    ]
    assert counts.rejected == 4


def test_the_nearest_may_come_last(open_with: Open) -> None:
    first = _given(open_with(k=4, order="nearest_first"), TEXTS)
    last = _given(open_with(k=4, order="nearest_last"), TEXTS)

    assert [ids[::-1] for ids in last] == first
    assert first == _given(open_with(k=4), TEXTS)


def test_drawn_examples_can_be_ordered_by_nearness(open_with: Open) -> None:
    given_, _ = select(open_with(strategy="diverse_nn", k=5, candidates=8, order="nearest_first"), TEXTS)

    for shown in given_:
        scores = [example.score for example in shown]
        assert scores == sorted(scores, reverse=True)


def test_a_budget_drops_the_last_examples_however_they_are_ordered(open_with: Open) -> None:
    every = _given(open_with(k=4), TEXTS)
    cut, counts = select(open_with(k=4, token_budget=3, order="nearest_last"), TEXTS, measure=lambda _: 1)

    assert _ids(cut) == [ids[:3][::-1] for ids in every]
    assert counts.over_budget == sum(max(0, len(ids) - 3) for ids in every) > 0


def test_a_budget_is_kept_and_never_skips_an_example_for_a_shorter_one(open_with: Open) -> None:
    every, _ = select(open_with(k=8), TEXTS)
    for budget in range(0, 200, 7):
        for shown, whole in zip(select(open_with(k=8, token_budget=budget), TEXTS)[0], every, strict=True):
            assert sum(map(estimate_tokens, shown)) <= budget
            assert shown == whole[: len(shown)]
            assert len(shown) == len(whole) or sum(map(estimate_tokens, whole[: len(shown) + 1])) > budget


def test_the_estimate_grows_with_the_text_and_its_mentions() -> None:
    assert estimate_tokens(Demonstration("Kiel", ())) == 2 + 4
    assert estimate_tokens(Demonstration("基尔", ())) == 2 + 4
    assert estimate_tokens(Demonstration("Kiel", (Mention("Kiel", "city"),))) == 2 + 2 + 2 + 8


def test_no_texts_are_no_demonstrations(open_with: Open) -> None:
    assert select(open_with(), []) == ([], Counts())


@given(st.lists(st.text(max_size=30), max_size=5), st.sampled_from(sorted(STRATEGIES)), st.integers(1, 20))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_gets_at_most_k_examples(open_with: Open, texts: list[str], strategy: str, k: int) -> None:
    given_, counts = select(open_with(strategy=strategy, k=k), texts)

    assert len(given_) == counts.documents == len(texts)
    assert all(len(shown) == len(set(_ids([shown])[0])) <= k for shown in given_)
