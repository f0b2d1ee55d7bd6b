"""Label sets come flat, described, as trees, and from files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ner_ray.config import labels, load
from ner_ray.config.load import label_source
from ner_ray.errors import ConfigError
from ner_ray.types import Label

JOB = "input: {path: x}\nfamily: gner\nengine: {model: m}\noutput: {path: y}\n"


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


@pytest.mark.parametrize("odd", ["person", 7, [None], [""], [["person"]], [False], {True: ["a"]}])
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


YAML_TRAPS = [
    "NO",
    "ON",
    "off",
    "y",
    "Yes",
    "true",
    "1_000",
    "007",
    "0x1F",
    "12:30",
    "1e3",
    ".inf",
    "2024-01-01",
    "1.10",
]


@pytest.mark.parametrize("written", YAML_TRAPS)
def test_labels_stay_as_they_are_written(written: str, tmp_path: Path) -> None:
    """In a configuration, in a label file, in an override, as a leaf, as a branch, and in a label map."""
    (tmp_path / "labels.yaml").write_text(f"- {written}\n- {{{written}: [{written}]}}\n")
    (tmp_path / "labels.txt").write_text(f"person\n\n{written}\n")
    (tmp_path / "job.yaml").write_text(JOB + f"labels: [{written}]\ndemonstrations:\n  label_map: {{{written}: null}}")
    job = str(tmp_path / "job.yaml")

    assert label_source("labels.yaml", tmp_path) == [written, {written: [written]}]
    assert label_source("labels.txt", tmp_path) == ["person", written]
    assert load.compose(job)["labels"] == [written]
    assert load.compose(job)["demonstrations"]["label_map"] == {written: None}
    assert load.compose(job, [f"labels=[{written}, x]"])["labels"] == [written, "x"]
    assert load.compose(job, [f"labels={{{written}: null}}"])["labels"] == {written: None}
    assert (
        load.compose(job, [f"demonstrations.label_map.{written.replace('.', '')}=NO"])["demonstrations"]["label_map"][
            written.replace(".", "")
        ]
        == "NO"
    )


@given(st.lists(st.text("abN#O1:_-.~ y", min_size=1, max_size=8), min_size=1, unique=True))
def test_quoted_labels_come_back_whatever_they_are(names: list[str]) -> None:
    assert load.compose({}, [f"labels={json.dumps(names)}"])["labels"] == names


def test_a_hash_in_an_override_begins_no_comment() -> None:
    overrides = ["labels=[C#, '# 1', #tag]", "output.path=runs/a #1"]

    assert load.compose({}, overrides) == {"labels": ["C#", "# 1", "#tag"], "output": {"path": "runs/a #1"}}


def test_outside_label_sets_switches_and_numbers_are_what_yaml_says() -> None:
    assert load.compose({}, ["reuse=yes", "output.rows_per_wave=1_000", "engine.sampling.temperature=1e-5"]) == {
        "reuse": True,
        "output": {"rows_per_wave": 1000},
        "engine": {"sampling": {"temperature": 1e-5}},
    }


@pytest.mark.parametrize("text", ["{labels: {person: [a], person: [b]}}", "{reuse: true, reuse: false}"])
def test_a_key_given_twice_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "job.yaml").write_text(text)

    with pytest.raises(ConfigError, match="is given twice"):
        load.compose(tmp_path / "job.yaml")


@pytest.mark.parametrize("written", ["person,place", "person, place", "person"])
def test_names_without_brackets_are_no_file_and_the_error_shows_the_brackets(written: str) -> None:
    with pytest.raises(ConfigError, match="there is no file") as raised:
        label_source(written)

    assert f"labels=[{', '.join(name.strip() for name in written.split(','))}]" in raised.value.hint


def test_a_label_file_that_is_not_there_says_where_it_was_looked_for() -> None:
    with pytest.raises(ConfigError, match="beside"):
        label_source("conf/lables.yaml")


def test_a_label_set_is_replaced_as_a_whole(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text("labels: {person: [artist], place: null}")
    (tmp_path / "job.yaml").write_text("defaults: [base]\nlabels: {event: null}")

    assert load.compose(tmp_path / "job.yaml")["labels"] == {"event": None}
    assert load.compose(tmp_path / "job.yaml", ["labels=[x]"])["labels"] == ["x"]
    assert load.compose(tmp_path / "job.yaml", ["labels={y: null}"])["labels"] == {"y": None}
    assert load.compose(tmp_path / "job.yaml", ["labels.z=null"])["labels"] == {"event": None, "z": None}
