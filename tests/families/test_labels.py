"""Label sets as prompts offer them, and names in answers."""

from __future__ import annotations

import pytest

from ner_ray.families.toolkit.labels import Resolved, descriptions, names, nearest, outputs, resolve
from ner_ray.types import Label
from tests.families.data import LABELS, TREE


def test_leaves_bear_their_own_name_unless_two_share_it() -> None:
    assert outputs(TREE) == {
        "being->person": "person",
        "being->animal->dog": "dog",
        "being->animal->other": "being->animal->other",
        "place->city": "city",
        "place->other": "place->other",
    }
    assert list(names(TREE)) == list(outputs(TREE).values())


def test_descriptions_go_with_the_leaves_that_have_one() -> None:
    tree = (Label("a", "ignored", (Label("b", "of b"), Label("c"))), Label("d", "of d"))

    assert descriptions(tree) == {"b": "of b", "d": "of d"}


@pytest.mark.parametrize("written", ["Work of Art", "work_of_art", " work  of art\n"])
def test_case_underscores_and_white_space_make_no_other_label(written: str) -> None:
    assert resolve(written, names(LABELS), "drop") == Resolved("work of art", exact=False)


def test_a_leaf_may_be_named_without_its_path() -> None:
    assert resolve("dog", outputs(TREE), "drop") == Resolved("dog", exact=False)
    assert resolve("being->animal->dog", outputs(TREE), "drop") == Resolved("dog")


def test_the_policies_decide_about_other_names() -> None:
    known = names(LABELS)

    assert resolve("planet", known, "drop").label is None
    assert resolve(" planet ", known, "keep").label == "planet"
    assert resolve("palace", known, "nearest").label == "place"
    assert resolve("planet", {}, "nearest").label is None


def test_the_first_of_equally_near_names_is_taken() -> None:
    assert nearest("ac", ["ab", "aa"]) == "ab"


@pytest.mark.parametrize(
    ("written", "label"),
    [
        ("ORG", "ORG"),
        ("org", "org"),
        ("Job Title", "job title"),
        ("JOB_TITLE", "job_title"),
        ("job  title", "job title"),
    ],
)
def test_of_labels_that_differ_only_in_spelling_the_nearest_spelling_is_meant(written: str, label: str) -> None:
    known = names(tuple(map(Label, ("ORG", "org", "job_title", "job title"))))

    assert resolve(written, known, "drop").label == label
