"""Hugging Face files: what `datasets` reads from them is what was annotated."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from datasets import Dataset, load_dataset
from hypothesis import given
from hypothesis import strategies as st
from seqeval.metrics.sequence_labeling import get_entities

from ner_ray.export import huggingface
from ner_ray.export.base import ExportContext, Exported
from ner_ray.types import Annotation, Document, DocumentStatus, Entity
from tests import strategies

TEXT = "University of Halmer Sound Trust hired Moira Tavish."


def annotated(doc_id: str, text: str, *spans: tuple[int, int, str], **more: object) -> tuple[Document, Annotation]:
    entities = tuple(Entity(start, end, text[start:end], label, 0.5) for start, end, label in spans)
    return Document(doc_id, text, ()), Annotation(entities, **more)


def read(path: Path) -> Dataset:
    return load_dataset("parquet", data_files=str(path), split="train", cache_dir=str(path.parent / "cache"))


def spans(data: Dataset, number: int) -> list[tuple[int, int, str]]:
    """The entities that a row's tags tell, as seqeval reads them."""
    row = data[number]
    tags = data.features["ner_tags"].feature.int2str(row["ner_tags"])
    ends = [start + len(token) for start, token in zip(row["starts"], row["tokens"], strict=True)]
    return [(row["starts"][first], ends[last], label) for label, first, last in get_entities(tags)]


@pytest.mark.filterwarnings("ignore:.* seems not to be NE tag")
def test_entities_come_back_and_labels_are_numbered_by_name(tmp_path):
    documents = [
        annotated("one", TEXT, (39, 51, "person"), (0, 26, "school")),
        annotated("two", "北京 🏔️", (0, 2, "place")),
        annotated("none", ""),
    ]

    written = huggingface.write(documents, tmp_path / "deep" / "a.parquet")

    data = read(tmp_path / "deep" / "a.parquet")
    names = ["O", *(f"{mark}-{label}" for label in ("person", "place", "school") for mark in "BI")]
    assert data.features["ner_tags"].feature.names == names
    assert [spans(data, number) for number in range(3)] == [
        [(0, 26, "school"), (39, 51, "person")],
        [(0, 2, "place")],
        [],
    ]
    assert [row["doc_id"] for row in data] == ["one", "two", "none"]
    assert data[0]["entities"][0] == {"start": 39, "end": 51, "text": "Moira Tavish", "label": "person", "score": 0.5}
    assert written == Exported(3, 3)
    assert [file.name for file in (tmp_path / "deep").glob("*.parquet")] == ["a.parquet"]


def test_tags_are_numbered_by_the_label_set_of_the_run_whatever_was_found(tmp_path):
    context = ExportContext(labels=("school", "person", "place"))
    huggingface.write([annotated("a", TEXT, (39, 51, "person"), (0, 26, "club"))], tmp_path / "a.parquet", context)
    huggingface.write([annotated("b", "Halmer", (0, 6, "place"))], tmp_path / "b.parquet", context)

    first, second = (read(tmp_path / name).features["ner_tags"].feature.names for name in ("a.parquet", "b.parquet"))
    assert second == ["O", *(f"{mark}-{label}" for label in ("school", "person", "place") for mark in "BI")]
    assert first == [*second, "B-club", "I-club"]


def test_rows_beyond_a_batch_keep_their_own_tags(tmp_path):
    documents = [
        annotated(str(n), f"{'x ' * (n % 7)}Anna", (2 * (n % 7), 2 * (n % 7) + 4, f"l{n % 3}")) for n in range(600)
    ]

    huggingface.write(documents, tmp_path / "a.parquet")

    data = read(tmp_path / "a.parquet")
    assert [spans(data, n) for n in range(600)] == [
        [(entity.start, entity.end, entity.label) for entity in annotation.entities] for _, annotation in documents
    ]


def test_overlapping_entities_are_all_listed_and_the_first_and_longest_tagged(tmp_path):
    written = huggingface.write([annotated("d", TEXT, (0, 26, "school"), (14, 32, "trust"))], tmp_path / "a.parquet")

    data = read(tmp_path / "a.parquet")
    assert spans(data, 0) == [(0, 26, "school")]
    assert [entity["label"] for entity in data[0]["entities"]] == ["school", "trust"]
    assert written == Exported(1, 2)


def test_a_document_that_failed_has_no_tokens_to_learn_from(tmp_path):
    huggingface.write([annotated("d", TEXT, status=DocumentStatus.FAILED)], tmp_path / "a.parquet")

    (row,) = read(tmp_path / "a.parquet")
    assert (row["status"], row["text"], row["tokens"], row["ner_tags"]) == ("failed", TEXT, [], [])


@given(text=strategies.texts(), label=st.sampled_from(["place", "\ud800", "work of\tart"]))
def test_any_text_is_written_as_far_as_utf_8_can_hold_it(text, label, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "any.parquet"
    whole = (len(text) - len(text.lstrip()), len(text.rstrip()), label)

    huggingface.write([annotated("d", text, *([whole] if text.strip() else []))], path)

    (row,) = pq.read_table(path).to_pylist()
    assert row["text"] == text.encode(errors="replace").decode()
    assert all(row["text"].startswith(token, start) for token, start in zip(row["tokens"], row["starts"], strict=True))
    assert "".join(row["tokens"]) == "".join(row["text"].split())
