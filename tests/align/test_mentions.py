"""Listed mentions put onto a text: which occurrence, and half a word only where there is no whole one."""

from __future__ import annotations

import itertools
import time
import unicodedata
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ner_ray.align import align_mentions
from ner_ray.config import AlignConfig
from ner_ray.text.tokens import is_boundary, is_grapheme_boundary
from ner_ray.types import Alignment, Mention, SpanStatus
from tests import strategies
from tests.align.test_words import assert_sound

NFD = partial(unicodedata.normalize, "NFD")
CONFIG = AlignConfig()
STRICT = AlignConfig(normalize=False, fuzzy=False)
ALL = AlignConfig(occurrences="all")


def place(source: str, *surfaces: str | tuple[str, str], config: AlignConfig = CONFIG) -> Alignment:
    mentions = [Mention(*(item if isinstance(item, tuple) else (item, "x"))) for item in surfaces]
    return align_mentions(source, mentions, config)


def starts(placement: Alignment) -> list[tuple[int, str]]:
    return [(entity.start, entity.text) for entity in placement.entities]


@pytest.mark.parametrize(
    ("source", "listed", "expected"),
    [
        ("Rome, Paris, Rome", ["Rome", "Paris", "Rome"], [(0, "Rome"), (6, "Paris"), (13, "Rome")]),
        ("Rome, Paris, Rome", ["Paris", "Rome"], [(6, "Paris"), (13, "Rome")]),
        ("Rome, Paris, Rome", ["Rome"], [(0, "Rome")]),
        ("Rome, Paris, Rome", ["Rome", "Rome"], [(0, "Rome"), (13, "Rome")]),
        ("Rome, Paris, Rome", ["Paris", "Rome", "Rome"], [(0, "Rome"), (6, "Paris"), (13, "Rome")]),
        ("Rome and Paris", ["Paris", "Rome"], [(0, "Rome"), (9, "Paris")]),
        ("York, New York, York", ["New York", "York"], [(6, "New York"), (16, "York")]),
        ("New York", ["New York", "York"], [(0, "New York"), (4, "York")]),
        ("Parisian Paris", ["Paris"], [(9, "Paris")]),
        ("in 1980s and 1980", ["1980"], [(13, "1980")]),
        ("北京市北京", ["北京", "北京"], [(0, "北京"), (3, "北京")]),
        ("서울에서", ["서울"], [(0, "서울")]),
        ("C++11 and C++", ["C++", "C++"], [(0, "C++"), (10, "C++")]),
        ("✈️Paris ⚽️Bayern 📍Rome", ["Paris", "Bayern", "Rome"], [(2, "Paris"), (10, "Bayern"), (18, "Rome")]),
        ("1️⃣Ann ℹ️Bob", ["Ann", "Bob"], [(3, "Ann"), (9, "Bob")]),
        ("ꦱꦼꦏꦺꦴꦭꦃꦗꦮ", ["ꦗꦮ"], [(7, "ꦗꦮ")]),
        ("ᬧᬸᬭᬩᬮᬶ", ["ᬩᬮᬶ"], [(3, "ᬩᬮᬶ")]),
        ("ᨾᩮᩬᩥᨦᨩ᩠ᨿᨦ", ["ᨩ᩠ᨿᨦ"], [(5, "ᨩ᩠ᨿᨦ")]),
        ("ᦵᦙᦲᦂᦷᦣᦲ", ["ᦷᦣᦲ"], [(4, "ᦷᦣᦲ")]),
    ],
)
def test_order_chooses_among_occurrences(source: str, listed: list[str], expected: list[tuple[int, str]]) -> None:
    placement = place(source, *listed)

    assert starts(placement) == expected
    assert all(entity.status is SpanStatus.EXACT for entity in placement.entities)


@pytest.mark.parametrize(
    ("source", "surface", "text", "status"),
    [
        ("the STRASSE", "Straße", "STRASSE", "normalized"),
        ("New\n  York", "New York", "New\n  York", "normalized"),
        ("a “B” c", '"B"', "“B”", "normalized"),
        ("Ｔｏｋｙｏ is", "Tokyo", "Ｔｏｋｙｏ", "normalized"),
        ("cafe\u0301 x", "café", "cafe\u0301", "normalized"),
        ("met Aleksander there", "Alexander", "Aleksander", "fuzzy"),
        ("北京大学很大", "北京 大学", "北京大学", "normalized"),
        ("我住在⽇本东京", "日本", "⽇本", "normalized"),
        ("用 iPhone 15 拍照", "iPhone15拍照", "iPhone 15 拍照", "normalized"),
        ("the e-mail server", "email server", "e-mail server", "fuzzy"),
        (NFD("김철수는 서울에서 일한다"), "김철수", NFD("김철수"), "normalized"),
        (NFD("김철수는 서울에서 일한다"), "서울", NFD("서울"), "normalized"),
        (NFD("がっこうでガイド"), "ガイド", NFD("ガイド"), "normalized"),
        ("ﾊﾞﾝｸで", "バンク", "ﾊﾞﾝｸ", "normalized"),
        ("إلى الـــرياض", "الرياض", "الـــرياض", "normalized"),
        ("في مُحَمَّد هنا", "محمد", "مُحَمَّد", "normalized"),
        ("בְּיְרוּשָׁלַיִם", "ביְרוּשׁלים", "בְּיְרוּשָׁלַיִם", "normalized"),
    ],
)
def test_other_spellings_are_found_and_say_so(source: str, surface: str, text: str, status: str) -> None:
    placement = place(source, surface)

    assert [(entity.text, entity.status.value) for entity in placement.entities] == [(text, status)]
    assert placement.entities[0].score is not None
    assert (placement.entities[0].score == 1) == (status == "normalized")


@pytest.mark.parametrize(
    ("source", "surface"),
    [("Iran", "Iraq"), ("", "x"), ("x", ""), ("x", "  "), ("ﬁ", "i"), ("e\u0301t\u00e9", "e"), ("Parisian", "paris")],
)
def test_what_is_not_there_is_unaligned(source: str, surface: str) -> None:
    mention = Mention(surface, "x", 0.5)

    assert align_mentions(source, [mention], CONFIG) == Alignment((), (mention,))


def test_more_listings_than_places_leave_the_last_ones_unaligned() -> None:
    first, second = Mention("Rome", "x", 0.9), Mention("Rome", "x", 0.1)
    placement = align_mentions("in Rome", [first, second], CONFIG)

    assert placement.unaligned == (second,)
    assert [entity.score for entity in placement.entities] == [0.9]


def test_one_place_may_have_two_labels() -> None:
    placement = place("in Washington", ("Washington", "person"), ("Washington", "city"))

    assert [(entity.start, entity.label) for entity in placement.entities] == [(3, "city"), (3, "person")]


def test_a_list_by_label_starts_again_for_each_label() -> None:
    source = "Bob flew to Rome. Ann flew to Oslo. Bob stayed in Rome."
    placement = place(source, ("Bob", "p"), ("Ann", "p"), ("Bob", "p"), ("Rome", "c"), ("Oslo", "c"), ("Rome", "c"))

    assert starts(placement) == [(0, "Bob"), (12, "Rome"), (18, "Ann"), (30, "Oslo"), (36, "Bob"), (50, "Rome")]


def test_all_places_of_a_surface_can_be_asked_for() -> None:
    source = "York, New York, York"

    assert starts(place(source, "New York", "York", config=ALL)) == [(0, "York"), (6, "New York"), (16, "York")]
    assert starts(place("New York", "New York", "York", config=ALL)) == [(0, "New York"), (4, "York")]
    assert not place(source, "York", "York", "York", config=ALL).unaligned


def test_a_switched_off_level_finds_nothing() -> None:
    assert not place("the STRASSE", "Straße", config=AlignConfig(normalize=False, fuzzy=False)).entities
    assert not place("Aleksander", "Alexander", config=AlignConfig(fuzzy=False)).entities
    assert not place("Aleksander", "Alexander", config=AlignConfig(threshold=0.99)).entities
    assert not place("Aleksander", "Alexander", config=AlignConfig(fuzzy_budget=0)).entities


@settings(max_examples=300)
@given(strategies.texts(), st.lists(strategies.texts(12), max_size=6), st.sampled_from([CONFIG, STRICT, ALL]))
def test_any_text_and_list_give_sound_entities(source: str, listed: list[str], config: AlignConfig) -> None:
    mentions = [Mention(surface, "x") for surface in listed]
    placement = align_mentions(source, mentions, config)

    if config is not ALL:
        assert_sound(source, mentions, placement)
    for entity in placement.entities:
        whole = is_boundary(source, entity.start) and is_boundary(source, entity.end)
        assert source[entity.start : entity.end] == entity.text
        assert whole != (entity.status is SpanStatus.INSIDE_WORD)
        assert is_grapheme_boundary(source, entity.start)
        assert is_grapheme_boundary(source, entity.end)


def words_of(source: str) -> set[int]:
    """Where whole words begin and end, by the definition: split at what is no letter, character by character."""
    return {edge for edge in range(len(source) + 1) if is_boundary(source, edge)}


def places_by_trying(source: str, surface: str) -> tuple[set[int], set[int]]:
    """Starts of a surface's occurrences as whole words, and of all occurrences."""
    edges = words_of(source)
    starts = {at for at in range(len(source)) if surface and source.startswith(surface, at)}
    return {at for at in starts if {at, at + len(surface)} <= edges}, starts


@settings(max_examples=400)
@given(st.text("ab ü中-", max_size=14), st.text("ab ü中-", min_size=1, max_size=3))
def test_a_place_inside_a_word_is_taken_only_if_there_is_no_other(source: str, surface: str) -> None:
    surface = surface.strip()
    whole, anywhere = places_by_trying(source, surface)
    placement = place(source, surface, config=STRICT)

    if whole:
        assert [(entity.start, entity.status.value) for entity in placement.entities] == [(min(whole), "exact")]
    elif anywhere:
        assert [(entity.start, entity.status.value) for entity in placement.entities] == [
            (min(anywhere), "inside_word")
        ]
    else:
        assert not placement.entities


@pytest.mark.parametrize(
    ("source", "surface", "start"),
    [
        ("سافر إلى باريس وبرلين", "برلين", 16),
        ("ونقلت عن بلندن", "لندن", 10),
        ("נסע לתל אביב ולירושלים", "ירושלים", 15),
        ("aspirin 100mg daily", "100", 8),
        ("aspirin 100mg daily", "mg", 11),
        ("seen at #Paris2024", "Paris", 9),
        ("asui Tampereella kauan", "Tampere", 5),
        ("Ankara'da ve İstanbullular", "İstanbul", 13),
        ("said JohnSmithof Leeds", "Smith", 9),
        ("Donaudampfschiff", "dampf", 5),
        ("Jyva\u0308skyla\u0308ssa\u0308", "Jyväskylä", 0),
    ],
)
def test_a_surface_that_occurs_only_inside_a_longer_word_is_found_there(source: str, surface: str, start: int) -> None:
    placement = place(source, surface)

    assert [(entity.start, entity.status.value) for entity in placement.entities] == [(start, "inside_word")]
    assert place(source, surface, config=AlignConfig(inside_words=False)).entities != placement.entities


@pytest.mark.parametrize(
    ("source", "listed", "expected"),
    [
        ("Berliner Luft, Berlin", ["Berlin"], [(15, "exact")]),
        ("Berliner Luft, BERLIN", ["Berlin"], [(15, "normalized")]),
        ("Berliner Luft, Berlin", ["Berlin", "Berlin"], [(0, "inside_word"), (15, "exact")]),
        ("Berliner, Berlins, Berlin, Berlin", ["Berlin"] * 3, [(0, "inside_word"), (19, "exact"), (27, "exact")]),
        ("1000 mg, 100mg", ["100"], [(0, "inside_word")]),
    ],
)
def test_whole_words_come_first(source: str, listed: list[str], expected: list[tuple[int, str]]) -> None:
    assert [(entity.start, entity.status.value) for entity in place(source, *listed).entities] == expected


@pytest.mark.parametrize(
    ("source", "surface", "threshold"),
    [
        ("in Malmö", "Malmo", 0.8),
        ("met Smyth", "Smith", 0.8),
        ("in Torun", "Toruń", 0.8),
        ("ab cdef", "abxcdef", 1 / 7),
    ],
)
def test_the_threshold_is_the_least_similarity_that_is_accepted(source: str, surface: str, threshold: float) -> None:
    (entity,) = place(source, surface, config=AlignConfig(threshold=threshold)).entities

    assert entity.status is SpanStatus.FUZZY


@pytest.mark.parametrize(
    ("source", "listed", "core", "expected"),
    [
        ("Rome fell. Rome rose.", ["Rome"], (11, 21), [11]),
        ("Rome fell. Rome rose.", ["Rome"], (0, 5), [0]),
        ("Rome fell. Rome rose.", ["Rome", "Rome"], (11, 21), [0, 11]),
        ("Rome, Oslo, Rome, Bonn", ["Rome", "Oslo", "Bonn"], (6, 22), [6, 12, 18]),
        ("Rome, Oslo, Bonn, Rome", ["Rome", "Oslo", "Bonn"], (6, 22), [6, 12, 18]),
        ("Rome fell. Oslo rose.", ["Rome"], (11, 21), [0]),
        ("Romeo, Romeos, Rome", ["Romeo", "Rome"], (7, 19), [0, 15]),
    ],
)
def test_a_mention_that_occurs_in_the_core_is_found_there(
    source: str, listed: list[str], core: tuple[int, int], expected: list[int]
) -> None:
    placement = align_mentions(source, [Mention(surface, "x") for surface in listed], CONFIG, core)

    assert [entity.start for entity in placement.entities] == expected


@settings(max_examples=300)
@given(st.data())
def test_spans_listed_in_order_lose_no_mention(data: st.DataObject) -> None:
    words = data.draw(strategies.word_lists(min_size=1))
    source = " ".join(words)
    spans = [
        span
        for span in data.draw(strategies.spans(len(source)))
        if all(is_boundary(source, cut) for cut in span) and source[slice(*span)].strip()
    ]
    placement = align_mentions(source, [Mention(source[start:end], "x") for start, end in spans], STRICT)

    assert not placement.unaligned
    assert sorted(entity.text for entity in placement.entities) == sorted(source[a:b].strip() for a, b in spans)


def cheapest_by_trying(source: str, listed: list[str]) -> int:
    """The fewest steps back of any choice of distinct places."""
    places = [[k for k in range(len(source)) if source.startswith(surface, k)] for surface in listed]
    choices = [
        choice for choice in itertools.product(*places) if len({*zip(listed, choice, strict=True)}) == len(listed)
    ]
    return min(sum(right <= left for left, right in itertools.pairwise(choice)) for choice in choices)


@given(st.text("甲乙丙", min_size=1, max_size=9), st.data())
def test_a_list_in_order_is_never_placed_out_of_order(source: str, data: st.DataObject) -> None:
    picked = sorted(data.draw(st.sets(st.integers(0, len(source) - 1), max_size=4)))
    listed = [source[index] for index in picked]
    placement = align_mentions(source, [Mention(item, str(k)) for k, item in enumerate(listed)], CONFIG)
    chosen = sorted(placement.entities, key=lambda entity: int(entity.label))

    assert cheapest_by_trying(source, listed) == 0
    assert [entity.text for entity in chosen] == listed
    assert all(left.start < right.start for left, right in itertools.pairwise(chosen))


@pytest.mark.timeout(120)  # 3 s for the slowest; what is quadratic takes many minutes
@pytest.mark.parametrize(
    ("source", "listed"),
    [
        ("the cat sat. " * 20_000, ["the", "cat", "sat"] * 100),
        ("word " * 50_000, ["wrod"] * 50 + [f"unseen{number}" for number in range(200)]),
        ("a" * 500_000, ["a" * 40, "b" * 40]),
        ("中" * 200_000, ["中" * 1000, "中", "国"] * 30),
    ],
    ids=["repeats", "misspelt", "one word", "han"],
)
def test_long_texts_and_lists_are_placed_soon(source: str, listed: list[str]) -> None:
    placement = place(source, *listed)

    assert len(placement.entities) + len(placement.unaligned) == len(listed)


@pytest.mark.parametrize("config", [AlignConfig(), AlignConfig(occurrences="all")])
@pytest.mark.parametrize(
    ("source", "surfaces"),
    [
        ("a " * 2000, ["a"]),
        ("aaaa " * 1000, ["a"]),
        ("北京市长" * 1000, ["北"]),
        ("Ann met Bo in Paris. " * 300, ["Ann", "Paris", "Oslo"]),
    ],
)
def test_a_thousand_listings_take_little_longer_than_a_few(
    source: str, surfaces: list[str], config: AlignConfig
) -> None:
    """A model that is caught in a loop lists a thousand times what the text has a thousand times."""

    def seconds(times: int) -> float:
        listed = [Mention(surface, "x") for _ in range(times) for surface in surfaces]
        start = time.process_time()
        align_mentions(source, listed, config)
        return time.process_time() - start

    assert min(seconds(1000) for _ in range(3)) < 10 * max(min(seconds(100) for _ in range(3)), 0.02)
