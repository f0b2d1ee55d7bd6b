"""Samples joined: agreement, and CascadeNER's union."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ner_ray.align import join
from ner_ray.config import VoteConfig
from ner_ray.types import Alignment, Entity, Mention, SpanStatus

AGREEMENT = VoteConfig()
LONGEST = VoteConfig(method="longest")
TEXT = "New York City and Paris"


def sample(*spans: tuple[int, int], score: float | None = 1.0, label: str = "", **more: SpanStatus) -> Alignment:
    return Alignment(tuple(Entity(a, b, TEXT[a:b], label, score, **more) for a, b in spans))


def spans(placement: Alignment) -> list[tuple[int, int]]:
    return [(entity.start, entity.end) for entity in placement.entities]


entities = st.builds(
    lambda start, size, label, score: Entity(start, start + size, TEXT[start : start + size], label, score),
    st.integers(0, 10),
    st.integers(1, 8),
    st.sampled_from(["", "a", "b"]),
    st.none() | st.floats(0, 1),
)
alignments = st.builds(
    lambda found, lost: Alignment(
        tuple({(e.start, e.end, e.label): e for e in sorted(found, key=lambda e: (e.start, e.end, e.label))}.values()),
        tuple(Mention(text) for text in lost),
    ),
    st.lists(entities, max_size=5),
    st.lists(st.sampled_from("xy"), max_size=3),
)


@given(alignments)
def test_one_sample_comes_back_as_it_is(placement: Alignment) -> None:
    assert join([placement], AGREEMENT) == placement


@pytest.mark.parametrize("config", [AGREEMENT, LONGEST])
def test_no_sample_gives_nothing(config: VoteConfig) -> None:
    assert join([], config) == Alignment(())


@pytest.mark.parametrize(
    ("least", "expected"), [(0.3, [(0, 8), (18, 23)]), (0.5, [(0, 8)]), (0.67, []), (2 / 3, [(0, 8)])]
)
def test_a_span_needs_its_share_of_the_samples(least: float, expected: list[tuple[int, int]]) -> None:
    samples = [sample((0, 8)), sample((0, 8), (18, 23)), sample()]

    assert spans(join(samples, VoteConfig(min_agreement=least))) == expected


def test_the_score_is_multiplied_by_the_agreement() -> None:
    joined = join([sample((0, 8), score=0.9), sample((0, 8), score=0.6), sample()], AGREEMENT)

    assert [entity.score for entity in joined.entities] == [pytest.approx(0.75 * 2 / 3)]


def test_without_scores_the_score_is_the_agreement() -> None:
    joined = join([sample((0, 8), score=None), sample((0, 8), score=None), sample()], AGREEMENT)

    assert [entity.score for entity in joined.entities] == [pytest.approx(2 / 3)]


def test_the_best_status_of_the_samples_stands() -> None:
    joined = join([sample((0, 8), status=SpanStatus.FUZZY), sample((0, 8))], AGREEMENT)

    assert [entity.status for entity in joined.entities] == [SpanStatus.EXACT]


def test_of_rivals_the_one_with_more_votes_stays_then_the_longer() -> None:
    anything = VoteConfig(min_agreement=0)

    assert spans(join([sample((0, 8)), sample((0, 8)), sample((0, 13))], anything)) == [(0, 8)]
    assert spans(join([sample((0, 8)), sample((0, 13))], anything)) == [(0, 13)]


def test_what_one_sample_nests_stays_nested() -> None:
    nested = sample((0, 13), (4, 8))

    assert spans(join([nested, sample((0, 13)), sample((4, 8))], AGREEMENT)) == [(0, 13), (4, 8)]


def test_labels_are_voted_on_with_their_spans() -> None:
    samples = [sample((0, 8), label="city"), sample((0, 8), label="city"), sample((0, 8), label="state")]

    assert [entity.label for entity in join(samples, VoteConfig(min_agreement=0)).entities] == ["city"]


def test_mentions_without_a_place_are_voted_on() -> None:
    lost, rare = Mention("Rome"), Mention("Oslo")
    samples = [Alignment((), (lost, lost)), Alignment((), (lost, rare)), Alignment(())]

    assert join(samples, AGREEMENT).unaligned == (lost,)
    assert join(samples, LONGEST).unaligned == (lost, lost, lost, rare)


@given(st.lists(alignments, min_size=2, max_size=5), st.floats(0, 1))
def test_agreement_keeps_what_has_the_votes_and_nothing_else(samples: list[Alignment], least: float) -> None:
    joined = join(samples, VoteConfig(min_agreement=least))
    keys = [(entity.start, entity.end, entity.label) for entity in joined.entities]

    assert keys == sorted(set(keys))
    for key in keys:
        votes = sum(key in {(e.start, e.end, e.label) for e in placement.entities} for placement in samples)
        assert votes >= 1
        assert votes / len(samples) >= least - 1e-6


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        ([[(0, 8)], [(0, 8)], [(0, 13)]], [(0, 13)]),
        ([[(0, 13)], [(4, 8)]], [(0, 13)]),
        ([[(0, 8)], [(18, 23)]], [(0, 8), (18, 23)]),
        ([[(0, 3), (9, 13)], [(0, 13)]], [(0, 13), (9, 13)]),  # replaces the first it overlaps; the other stays
        ([[(0, 8)], [(4, 12)]], [(0, 8)]),
    ],
)
def test_the_longest_wins_as_in_the_released_code(
    samples: list[list[tuple[int, int]]], expected: list[tuple[int, int]]
) -> None:
    assert spans(join([sample(*found) for found in samples], LONGEST)) == expected
