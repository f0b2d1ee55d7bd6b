"""`ner_ray.annotate`: each kind of data comes back as the same kind, with the columns of an annotation."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd
import pyarrow as pa
import pytest

import ner_ray
from ner_ray import schema
from ner_ray.errors import ConfigError, InputError
from tests.annotator.test_annotator import EXPECTED, gner, tagged
from tests.answering import AnsweringServer, answering

TEXTS = ["Ann met Rex in Ghent.", None, "Nobody came."]


@pytest.fixture(scope="module")
def server() -> Iterator[AnsweringServer]:
    with answering(tagged) as running:
        yield running


def annotate(data: object, server: AnsweringServer, labels: object = ("person", "place"), **changes: object) -> object:
    return ner_ray.annotate(data, gner(server, **changes), labels=list(labels) if isinstance(labels, tuple) else labels)


def places(entities: list[dict]) -> list[tuple[int, str, str]]:
    return [(entity["start"], entity["text"], entity["label"]) for entity in entities]


def test_a_list_of_strings_gives_a_list_of_annotations(server: AnsweringServer) -> None:
    first, null, empty = annotate(TEXTS, server)

    assert [(entity.start, entity.text, entity.label) for entity in first.entities] == EXPECTED
    assert (null.status.value, null.errors[0].code) == ("failed", "null_text")
    assert empty.entities == ()


def test_a_pandas_frame_keeps_its_columns_and_its_index(server: AnsweringServer) -> None:
    frame = pd.DataFrame({"text": TEXTS, "number": [7, 8, 9]}, index=["a", "b", "c"])

    annotated = annotate(frame, server)

    assert isinstance(annotated, pd.DataFrame)
    assert list(annotated.columns) == ["text", "number", *schema.OUTPUT.names]
    assert list(annotated.index) == ["a", "b", "c"]
    assert places(annotated.loc["a", "entities"]) == EXPECTED
    assert list(annotated["status"]) == ["ok", "failed", "ok"]
    assert list(frame.columns) == ["text", "number"], "the frame that was given is left alone"


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()])
def test_an_arrow_table_has_the_types_of_the_jobs_output(server: AnsweringServer, kind: pa.DataType) -> None:
    table = pa.table({"body": pa.array(TEXTS, kind), "number": [7, 8, 9]})

    annotated = ner_ray.annotate(table, gner(server), ["input.text=body"], labels=["person", "place"])

    assert [annotated.schema.field(field.name).type for field in schema.OUTPUT] == [
        field.type for field in schema.OUTPUT
    ]
    assert annotated["number"].to_pylist() == [7, 8, 9]
    assert places(annotated["entities"][0].as_py()) == EXPECTED


def test_a_hugging_face_dataset_comes_back_as_one_and_a_dict_split_by_split(server: AnsweringServer) -> None:
    datasets = pytest.importorskip("datasets")
    data = datasets.Dataset.from_dict({"text": TEXTS, "number": [7, 8, 9]})

    annotated = annotate(data, server)
    split = annotate(datasets.DatasetDict(train=data, test=data.select([0])), server)

    assert isinstance(annotated, datasets.Dataset)
    assert places(annotated[0]["entities"]) == EXPECTED
    assert annotated["number"][2] == 9
    assert {name: len(part) for name, part in split.items()} == {"train": 3, "test": 1}
    assert places(split["test"][0]["entities"]) == EXPECTED


def test_rows_may_bring_their_own_label_sets(server: AnsweringServer) -> None:
    table = pa.table({"text": ["Ann met Rex in Ghent."] * 2, "wanted": [["person"], ["place"]]})

    annotated = annotate(table, server, labels="column:wanted")

    assert [places(row) for row in annotated["entities"].to_pylist()] == [EXPECTED[:2], EXPECTED[2:]]


def test_no_column_of_the_data_is_replaced_and_a_missing_one_is_named(server: AnsweringServer) -> None:
    with pytest.raises(ConfigError, match="the data already has entities"):
        annotate(pa.table({"text": ["Ann"], "entities": [1]}), server)
    with pytest.raises(InputError, match=r"the data has no column 'text'; it has: body, number"):
        annotate(pd.DataFrame({"body": ["Ann"], "number": [1]}), server)
    with pytest.raises(InputError, match="the data has 2 columns named 'text'"):
        annotate(pa.table([["Ann"], ["Bo"]], names=["text", "text"]), server)
    with pytest.raises(InputError, match="text 1 is not a string but int"):
        annotate(["Ann", 5], server)


@pytest.mark.parametrize("as_splits", [False, True])
def test_a_missing_column_is_found_before_a_model_is_looked_for(as_splits: bool) -> None:
    datasets = pytest.importorskip("datasets")
    data = datasets.Dataset.from_dict({"body": ["Ann"]})

    with pytest.raises(InputError, match="the data has no column 'text'"):
        ner_ray.annotate(
            datasets.DatasetDict(train=data) if as_splits else data,
            "annotate/demo",
            ["engine.model=./models/none"],
            labels=["person"],
        )


def test_other_kinds_of_data_are_refused_by_name(server: AnsweringServer) -> None:
    with pytest.raises(TypeError, match=r"cannot annotate dict: expected a list of strings, a pandas DataFrame"):
        annotate({"text": "Ann"}, server)
    with pytest.raises(TypeError, match="takes a single string"):
        annotate("Ann ran.", server)
