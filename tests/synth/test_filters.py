"""Filters: what each removes, that they can be ordered and switched, and that all is counted."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ner_ray.synth.config import MEANINGLESS_TYPES, PUBLISHED_FILTERS, PUBLISHED_TYPES, FilterName, FilterOptions
from ner_ray.synth.filters import FILTERS, apply
from ner_ray.types import Mention

TEXT = "《边城》 is a novel by Shen Congwen, born in Fenghuang."


def _only(name: str, *pairs: tuple[str, str], **options) -> list[tuple[str, str]]:
    mentions = [Mention(surface, label) for surface, label in pairs]
    kept = apply(TEXT, mentions, FilterOptions(steps=(name,), **options)).kept
    return [(mention.text, mention.label) for mention in kept]


def test_a_pair_is_kept_once_and_a_surface_with_each_of_its_types():
    pairs = [("Fenghuang", "town"), ("Fenghuang", "place"), ("Fenghuang", "town")]

    assert _only("duplicate", *pairs) == pairs[:2]


@pytest.mark.parametrize(
    ("unit", "surface", "kept"),
    [
        ("characters", "a" * 20, True),
        ("characters", "a" * 21, False),
        ("words", "a " * 19 + "a", True),
        ("words", "a " * 20 + "a", False),
    ],
)
def test_length_is_in_characters_or_in_words(unit, surface, kept):
    assert _only("length", (surface, "x"), length_unit=unit) == ([(surface, "x")] if kept else [])


def test_what_is_not_in_the_text_goes_whatever_its_case():
    assert _only("in_text", ("shen congwen", "x"), ("Shen  Congwen", "x")) == [("shen congwen", "x")]


def test_types_without_meaning_go_whatever_their_case():
    assert _only("type", ("a", "Entity Type"), ("b", "NA"), ("c", "river")) == [("c", "river")]


def test_the_published_list_lacks_what_its_missing_comma_takes():
    assert _only("type", ("a", "entity"), ("b", "misc"), invalid_types=PUBLISHED_TYPES) == [("a", "entity")]
    assert {"entity", "entity type", "misc"} <= MEANINGLESS_TYPES


def test_brackets_around_a_surface_are_taken_off():
    assert _only("brackets", ("《边城》", "x"), ("边城》", "x"), ("[a]", "x")) == [
        ("边城", "x"),
        ("边城》", "x"),
        ("a", "x"),
    ]


@pytest.mark.parametrize("surface", ["《》", "[]"])
def test_brackets_around_nothing_are_no_mention(surface):
    assert _only("brackets", (surface, "x")) == []


def test_types_are_renamed_by_the_map():
    assert _only("normalize", ("a", "Towns"), ("b", "river"), type_map={"Towns": "town"}) == [
        ("a", "town"),
        ("b", "river"),
    ]


def test_a_loop_is_no_mention_at_all():
    looped = [("a", "x")] * 4 + [("b", "x")] * 3

    assert _only("repetition", *looped, max_repeats=3) == [("b", "x")] * 3


def test_what_few_samples_name_goes_and_what_nobody_counted_stays():
    mentions = [Mention("a", "x", 0.25), Mention("b", "x", 0.5), Mention("c", "x")]
    kept = apply(TEXT, mentions, FilterOptions(steps=("agreement",), min_agreement=0.5)).kept

    assert [mention.text for mention in kept] == ["b", "c"]


def test_by_default_mentions_that_become_equal_are_kept_once():
    """As published the pair would be there twice."""
    pairs = [Mention("《边城》", "novel"), Mention("边城", "novel")]

    assert apply(TEXT, pairs, FilterOptions()).kept == (Mention("边城", "novel"),)
    assert len(apply(TEXT, pairs, FilterOptions(steps=PUBLISHED_FILTERS)).kept) == 2


def test_order_counts():
    """A title in brackets is as long as its brackets make it, unless they go first."""
    long = Mention(f"[{'a' * 20}]", "x")

    assert apply("", [long], FilterOptions(steps=("length", "brackets"))).kept == ()
    assert apply("", [long], FilterOptions(steps=("brackets", "length"))).kept == (Mention("a" * 20, "x"),)


def test_what_was_removed_names_its_filter_and_each_filter_counts():
    mentions = [
        Mention("《边城》", "novel"),
        Mention("《边城》", "novel"),
        Mention("Paris", "town"),
        Mention("born", "其他"),
    ]

    done = apply(TEXT, mentions, FilterOptions(steps=("duplicate", "in_text", "type", "brackets")))

    assert [(removal.mention.text, removal.by) for removal in done.removed] == [
        ("《边城》", "duplicate"),
        ("Paris", "in_text"),
        ("born", "type"),
    ]
    assert done.kept == (Mention("边城", "novel"),)
    assert done.counts.to_dict() == {
        "seen": {"duplicate": 4, "in_text": 3, "type": 2, "brackets": 1},
        "removed": {"duplicate": 1, "in_text": 1, "type": 1, "brackets": 0},
        "changed": {"duplicate": 0, "in_text": 0, "type": 0, "brackets": 1},
    }


def test_counts_add_and_make_a_table():
    one = apply(TEXT, [Mention("Paris", "town")], FilterOptions(steps=("in_text",))).counts
    both = one + one

    assert both.table(["in_text"]).splitlines()[-1] == "| in_text | 2 | 2 | 0 |"


def test_an_unknown_filter_is_refused_with_those_there_are():
    with pytest.raises(ValidationError, match=r"should be 'agreement', 'brackets', .*input_value='lenght'"):
        FilterOptions(steps=("lenght",))


def test_a_configuration_may_name_exactly_the_filters_there_are():
    assert set(get_args(FilterName)) == set(FILTERS)


@given(
    st.text(max_size=30),
    st.lists(st.builds(Mention, st.text(max_size=8), st.text(max_size=8), st.none() | st.floats(0, 1)), max_size=12),
    st.permutations(sorted(FILTERS)),
)
def test_every_mention_is_kept_or_removed_by_one_filter(text, mentions, steps):
    done = apply(text, mentions, FilterOptions(steps=tuple(steps)))

    assert len(done.kept) + len(done.removed) == len(mentions)
    assert done.counts.removed.total() == len(done.removed)
    assert {removal.by for removal in done.removed} <= set(steps)
