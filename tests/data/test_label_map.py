"""One label map with one meaning."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ner_ray.config import labels
from ner_ray.data import AnnotatedText, check_label_map, read, read_all, relabel
from ner_ray.errors import ConfigError
from ner_ray.types import Entity

ANN = Entity(0, 3, "Ann", "PER")
OSLO = Entity(7, 11, "Oslo", "LOC")
TEXT = AnnotatedText("a", "Ann in Oslo", (ANN, OSLO), labels=labels.parse(["PER", "LOC", "ORG"]))


def test_labels_are_renamed_dropped_and_left_alone() -> None:
    found = relabel(TEXT, {"PER": "person", "LOC": None})

    assert [entity.label for entity in found.entities] == ["person"]
    assert found.dropped == (OSLO,)
    assert labels.names(found.labels or ()) == ["person", "ORG"]
    assert relabel(TEXT, {}) == TEXT


def test_two_labels_with_one_name_become_one_and_children_outlive_their_parent() -> None:
    tree = labels.parse({"PER": ["artist"], "human": ["artist", "king"], "thing": ["ship"]})
    found = relabel(AnnotatedText("a", "x", labels=tree), {"PER": "person", "human": "person", "thing": None})

    assert labels.names(found.labels or ()) == ["person", "artist", "ship"]


def test_a_key_that_the_data_never_has_is_an_error_that_lists_what_there_is() -> None:
    with pytest.raises(ConfigError, match=r"the pool has no label 'PRE'\n.*it has LOC, PER"):
        check_label_map({"PRE": "person"}, ["PER", "LOC"], "the pool")
    check_label_map({"PER": "person"}, ["PER", "LOC"])


def test_a_stream_gives_all_its_texts_before_it_says_so(tmp_path: Path) -> None:
    row = {"text": TEXT.text, "labels": ["PER", "ORG"], "entities": [{"text": "Ann", "label": "PER"}]}
    (tmp_path / "a.jsonl").write_text(json.dumps(row) + "\n" + json.dumps(row))
    known = {"PER": "person", "ORG": None}

    assert [found.labels for found in read_all(str(tmp_path), known)[0]] == [labels.parse(["person"])] * 2
    stream = read(str(tmp_path), known | {"PRE": "person"})
    assert [next(stream).entities[0].label for _ in range(2)] == ["person"] * 2
    with pytest.raises(ConfigError, match="'PRE'"):
        next(stream)
