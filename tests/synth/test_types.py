"""One name for types that are spelled in several ways."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ner_ray.synth.types import singular, unify


def test_spellings_get_the_most_frequent_of_them():
    assert unify({"Person": 2, "person": 5, "ＰＥＲＳＯＮ": 1, "per_son": 1, "per son": 3, "river": 1}) == {
        "Person": "person",
        "ＰＥＲＳＯＮ": "person",
        "per_son": "per son",
    }


def test_of_equally_frequent_spellings_the_first_counts():
    assert unify({"river": 1, "River": 1}) == {"river": "River"}


def test_a_plural_joins_its_singular_only_where_that_occurs():
    assert unify({"city": 3, "cities": 1, "Glasses": 1, "news": 2, "new": 1}) == {"cities": "city"}


def test_the_name_stays_a_plural_where_that_is_the_frequent_one():
    assert unify({"military ranks": 9, "military rank": 1}) == {"military rank": "military ranks"}


def test_a_synonym_wins_and_is_looked_up_in_any_spelling():
    found = unify({"Towns": 1, "town": 4, "place": 2}, {"town": "settlement"})

    assert found == {"Towns": "settlement", "town": "settlement"}


def test_a_synonym_of_a_singular_holds_for_its_plural():
    assert unify({"town": 1, "towns": 1}, {"TOWN": "place"}) == {"town": "place", "towns": "place"}


@pytest.mark.parametrize(
    ("plural", "single"),
    [
        ("countries", "country"),
        ("boxes", "box"),
        ("matches", "match"),
        ("chemical processes", "chemical process"),
        ("virus", "virus"),
        ("species", "species"),
        ("bus", "bus"),
        ("类别s", "类别s"),
    ],
)
def test_singulars(plural, single):
    assert singular(plural) == single


@given(st.dictionaries(st.text(max_size=6), st.integers(1, 5), max_size=8))
def test_names_are_renamed_to_names_that_stay(frequencies):
    renamed = unify(frequencies)

    assert set(renamed) <= set(frequencies)
    assert all(new in frequencies and new not in renamed for new in renamed.values())
