"""Label sets come flat, described, as trees, and from files."""

from __future__ import annotations

import pytest

from ner_ray.config import labels
from ner_ray.errors import ConfigError
from ner_ray.types import Label


def test_a_list_of_names_is_a_flat_set() -> None:
    assert labels.parse(["person", "place"]) == (Label("person"), Label("place"))


def test_a_mapping_is_a_tree_of_any_depth() -> None:
    tree = labels.parse({"person": {"artist": ["painter", "poet"]}, "place": None})

    assert labels.names(tree) == ["person", "artist", "painter", "poet", "place"]
    assert tree[0].children[0].children == (Label("painter"), Label("poet"))


def test_descriptions_come_as_items_or_as_values() -> None:
    assert labels.parse([{"name": "gene", "description": "a stretch of DNA"}]) == (Label("gene", "a stretch of DNA"),)
    assert labels.parse({"gene": "a stretch of DNA"}) == (Label("gene", "a stretch of DNA"),)


@pytest.mark.parametrize("nothing", [[], {}])
def test_an_empty_set_is_refused(nothing: object) -> None:
    with pytest.raises(ConfigError, match="label set is empty"):
        labels.parse(nothing)


@pytest.mark.parametrize("odd", ["person", 7, [None], [""], [["person"]]])
def test_what_is_no_label_set_is_refused(odd: object) -> None:
    with pytest.raises(ConfigError, match="must be a"):
        labels.parse(odd)


def test_a_name_twice_among_siblings_is_refused_but_not_on_different_levels() -> None:
    with pytest.raises(ConfigError, match="'person' is listed twice"):
        labels.parse(["person", "person"])

    assert labels.names(labels.parse({"other": ["other"]})) == ["other", "other"]


def test_a_column_is_named_with_its_prefix() -> None:
    assert labels.column_of("column:types") == "types"
    assert labels.column_of(["column:types"]) is None
