"""A copy put onto its source: what corresponds, what is found, and what must hold on any text."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ner_ray.align import align_copy
from ner_ray.config import AlignConfig
from ner_ray.text.tokens import is_boundary
from ner_ray.types import Alignment, Entity, Mention, SpanStatus
from tests import strategies

CONFIG = AlignConfig()
STRICT = AlignConfig(normalize=False, fuzzy=False)


def place(source: str, copy: str, *named: str, config: AlignConfig = CONFIG) -> Alignment:
    """Aligns with mentions that stand in this order in the copy."""
    places, at = [], 0
    for surface in named:
        start = copy.index(surface, at)
        at = start + len(surface)
        places.append((start, at))
    return align_copy(source, copy, strategies.marked(copy, places), config)


def found(placement: Alignment) -> list[tuple[int, str, str]]:
    return [(entity.start, entity.text, entity.status.value) for entity in placement.entities]


SOURCE = "The New plan of New York  and Bank of America, said John Smith in Berlin-based 北京大学."


@pytest.mark.parametrize(
    ("copy", "named", "expected"),
    [
        (SOURCE, "New York", [(16, "New York", "exact")]),
        ("The New plan of New York and Bank", "New York", [(16, "New York", "exact")]),
        ("the new plan of new york and", "new york", [(16, "New York", "normalized")]),
        ("The New York and Bank of America", "New York", [(16, "New York", "exact")]),
        ("and Bank America , said", "Bank America", [(30, "Bank", "fuzzy")]),
        ("and Bank of the of America , said", "Bank of the of America", [(30, "Bank of America", "fuzzy")]),
        ("said Jhon Smith in", "Jhon Smith", [(52, "John Smith", "fuzzy")]),
        ("said John Xyzzy in", "John Xyzzy", [(52, "John Smith", "fuzzy")]),
        ("said Xyzzy Smith in", "Xyzzy Smith", [(52, "John Smith", "fuzzy")]),
        ("John Smith Inc in Berlin", "John Smith Inc", [(52, "John Smith", "fuzzy")]),
        ("in Berlin - based 北 京 大 学 .", "Berlin", [(66, "Berlin", "exact")]),
        ("in Berlin - based 北 京 大 学 .", "北 京 大 学", [(79, "北京大学", "exact")]),
        ("based 北 京 太 学 .", "北 京 太 学", [(79, "北京大学", "fuzzy")]),
        ("said JohnSmith in", "JohnSmith", [(52, "John Smith", "exact")]),
        ("said Jonn Smitt in", "Jonn Smitt", [(52, "John Smith", "fuzzy")]),
        ("said John Xyzzy Quux in", "Xyzzy Quux", []),
        ("said Mary Jones in", "Mary Jones", []),
        ("", "", []),
    ],
)
def test_a_mention_is_found_where_its_words_are(copy: str, named: str, expected: list[tuple[int, str, str]]) -> None:
    placement = place(SOURCE, copy, named)

    assert found(placement) == expected
    assert len(placement.unaligned) == 1 - len(expected)


def test_every_repeat_is_placed_where_it_stands() -> None:
    source = "Rome saw Rome and Rome."

    assert found(place(source, "Rome saw Rome and Rome .", "saw Rome", "Rome")) == [
        (5, "saw Rome", "exact"),
        (18, "Rome", "exact"),
    ]


def test_a_word_that_the_model_repeats_is_placed_once() -> None:
    placement = place("in New York now", "in New York New York now", "New York", "New York")

    assert found(placement) == [(3, "New York", "exact")]
    assert [mention.text for mention in placement.unaligned] == ["New York"]


def test_of_several_alignments_the_least_torn_one_is_taken() -> None:
    source = "Paris is big . Rome is far . Paris is small ."

    assert found(place(source, "Paris is small .", "Paris")) == [(29, "Paris", "exact")]


def test_the_score_is_scaled_by_the_similarity() -> None:
    copy = "said Jhon Smith in"
    mention = Mention("Jhon Smith", "x", 0.5, 5, 15)
    placement = align_copy("said John Smith in", copy, [mention, Mention("in", "y", 0.5, 16, 18)], CONFIG)

    assert [entity.score for entity in placement.entities] == [pytest.approx(0.5 * 16 / 18), 0.5]


@pytest.mark.parametrize(
    ("config", "copy", "statuses"),
    [
        (AlignConfig(), "anna met Bobb Lee", [SpanStatus.NORMALIZED, SpanStatus.FUZZY]),
        (AlignConfig(fuzzy=False), "anna met Bobb Lee", [SpanStatus.NORMALIZED]),
        (AlignConfig(normalize=False, fuzzy=False), "anna met Bobb Lee", []),
        (AlignConfig(normalize=False, threshold=0.7), "anna met Bobb Lee", [SpanStatus.FUZZY, SpanStatus.FUZZY]),
    ],
)
def test_each_kind_of_match_can_be_switched_off(config: AlignConfig, copy: str, statuses: list[SpanStatus]) -> None:
    placement = place("Anna met Bob Lee", copy, copy[:4], "Bobb Lee", config=config)

    assert [entity.status for entity in placement.entities] == statuses
    assert len(placement.entities) + len(placement.unaligned) == 2


def test_the_share_of_words_that_must_match_can_be_set() -> None:
    source, copy = "said John Smith in", "said John Xyzzy in"

    assert not place(source, copy, "John Xyzzy", config=AlignConfig(min_matched=0.6)).entities


def test_without_a_budget_nothing_is_compared() -> None:
    assert not place("met Alexander", "met Aleksander", "Aleksander", config=AlignConfig(fuzzy_budget=0)).entities


@pytest.mark.parametrize("span", [(None, None), (3, 3), (-5, 0), (90, 99), (4, 5), (2, 1)])
def test_a_mention_without_a_place_in_the_copy_is_unaligned(span: tuple[int | None, int | None]) -> None:
    mention = Mention("x", "l", None, *span)

    assert align_copy("Anna met Bob", "Anna met Bob", [mention], CONFIG) == Alignment((), (mention,))


def test_a_gap_of_a_thousand_strange_words_takes_no_time() -> None:
    source = "start " + " ".join(f"alpha{number}" for number in range(1000)) + " end"
    copy = "start " + " ".join(f"beta{number}" for number in range(1000)) + " end"

    assert found(place(source, copy, "start", "end")) == [(0, "start", "exact"), (len(source) - 3, "end", "exact")]


def assert_sound(source: str, mentions: Sequence[Mention], placement: Alignment) -> None:
    """What holds for any placement on any text."""
    entities = placement.entities
    assert all(source[entity.start : entity.end] == entity.text for entity in entities)
    assert all(0 <= entity.start < entity.end <= len(source) for entity in entities)
    assert all(entity.text == entity.text.strip() for entity in entities)
    assert all(entity.score is not None and 0 <= entity.score <= 1 for entity in entities)
    assert [key(entity) for entity in entities] == sorted({key(entity) for entity in entities})
    assert len(entities) + len(placement.unaligned) <= len(mentions)
    assert all(mention in mentions for mention in placement.unaligned)


def assert_verbatim(source: str, placement: Alignment) -> None:
    """Every entity is `exact`, or `inside_word` if it begins or ends within a word."""
    for entity in placement.entities:
        whole = is_boundary(source, entity.start) and is_boundary(source, entity.end)
        assert entity.status is (SpanStatus.EXACT if whole else SpanStatus.INSIDE_WORD)


def key(entity: Entity) -> tuple[int, int, str]:
    return entity.start, entity.end, entity.label


@settings(max_examples=300)
@given(st.data(), strategies.texts(), strategies.texts(), st.sampled_from([CONFIG, STRICT]))
def test_any_two_texts_give_sound_entities(data: st.DataObject, source: str, copy: str, config: AlignConfig) -> None:
    mentions = strategies.marked(copy, data.draw(strategies.spans(len(copy))))

    assert_sound(source, mentions, align_copy(source, copy, mentions, config))


@settings(max_examples=400)
@given(st.data())
def test_any_corruption_gives_sound_flat_entities(data: st.DataObject) -> None:
    words = data.draw(strategies.word_lists())
    source = data.draw(st.sampled_from(["", " ", "\n  "])).join(words)
    copy = " ".join(data.draw(strategies.corrupted(words)))
    mentions = strategies.marked(copy, data.draw(strategies.spans(len(copy))))
    placement = align_copy(source, copy, mentions, CONFIG)

    assert_sound(source, mentions, placement)
    for entity in placement.entities:
        if entity.status is SpanStatus.EXACT:
            assert entity.score == 1


@given(st.data(), strategies.texts(), st.sampled_from([CONFIG, STRICT]))
def test_a_perfect_copy_gives_back_every_span(data: st.DataObject, source: str, config: AlignConfig) -> None:
    spans = [(start, end) for start, end in data.draw(strategies.spans(len(source)))]
    spans = [span for span in spans if source[slice(*span)] == source[slice(*span)].strip()]
    placement = align_copy(source, source, strategies.marked(source, spans), config)

    assert [(entity.start, entity.end) for entity in placement.entities] == spans
    assert_verbatim(source, placement)


@given(st.data())
def test_a_copy_with_other_white_space_gives_back_every_span(data: st.DataObject) -> None:
    words = data.draw(strategies.word_lists(min_size=1))
    gaps = data.draw(st.lists(st.sampled_from(["", " ", "\n\t "]), min_size=len(words), max_size=len(words)))
    source = "".join(gap + word for gap, word in zip(gaps, words, strict=True))
    copy = " ".join(words)
    starts = [len(" ".join(words[:index])) + bool(index) for index in range(len(words))]
    first = data.draw(st.integers(0, len(words) - 1))
    last = data.draw(st.integers(first, len(words) - 1))
    place = (starts[first], starts[last] + len(words[last]))
    placement = align_copy(source, copy, strategies.marked(copy, [place]), STRICT)

    expected = "".join(words[first : last + 1])
    if expected.strip():
        assert ["".join(entity.text.split()) for entity in placement.entities] == ["".join(expected.split())]


@pytest.mark.parametrize(
    ("source", "copy", "named", "expected"),
    [
        ("the U.S Senate", "the U S Senate", "U S Senate", "U.S Senate"),
        ("the O'Neil case", "the O Neil case", "O Neil", "O'Neil"),
        ("在北京大学读书", "在 北 京 学 读 书", "北 京 学", "北京大学"),
        ("在北京和上海读书", "在 北 京 海 读 书", "北 京 海", "北京"),
        ("plan of New and old York", "plan of New York", "New York", "New"),
        ("Smith, the Jones", "Smith the Jones", "Smith the Jones", "the Jones"),
    ],
)
def test_a_mention_covers_what_tokenization_leaves_out_but_no_skipped_word(
    source: str, copy: str, named: str, expected: str
) -> None:
    assert [entity.text for entity in place(source, copy, named).entities] == [expected]


@given(st.data(), strategies.word_lists(min_size=2))
def test_no_mention_covers_a_word_that_the_copy_skipped(data: st.DataObject, words: list[str]) -> None:
    """The skipped word occurs once, so that nothing in the copy can stand for it."""
    at = data.draw(st.integers(1, len(words) - 1))
    source = " ".join([*words[:at], "skippedword", *words[at:]])
    copy = " ".join(words)
    placement = align_copy(source, copy, strategies.marked(copy, [(0, len(copy))]), CONFIG)

    assert not any("skippedword" in entity.text for entity in placement.entities)


def test_the_threshold_is_the_least_similarity_that_is_accepted() -> None:
    assert found(place("in Malmö now", "in Malmo now", "Malmo")) == [(3, "Malmö", "fuzzy")]
    assert found(place("in Malmö now", "in Malmo now", "Malmo", config=AlignConfig(threshold=0.81))) == []
