"""brat's standoff files: each line says what brat's own parser wants to read."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from ner_ray.export import brat
from ner_ray.export.base import ExportContext
from ner_ray.types import Annotation, Document, Entity, SpanStatus


def files(path: Path) -> dict[str, str]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name).decode() for name in archive.namelist()}


def annotated(text: str, *surfaces: str, label: str = "person") -> tuple[Document, Annotation]:
    entities = tuple(Entity(text.index(one), text.index(one) + len(one), one, label) for one in surfaces)
    return Document("a", text, ()), Annotation(entities)


def test_a_document_is_two_files_and_labels_are_configured(tmp_path: Path) -> None:
    entity = Entity(0, 3, "Ann", "work of art", 0.75, SpanStatus.FUZZY)
    document = Document("date=2024-01-01/part-0:7", "Ann left.", ())

    brat.write([(document, Annotation((entity,)))], tmp_path / "a.zip", ExportContext(labels=("person", "work_of_art")))

    found = files(tmp_path / "a.zip")
    name = "000000-date-2024-01-01-part-0-7"
    assert found[f"{name}.txt"] == "Ann left."
    assert found[f"{name}.ann"] == "T1\twork_of_art_2 0 3\tAnn\n#1\tAnnotatorNotes T1\t0.750 fuzzy\n"
    assert found["documents.tsv"] == f'{name}\t"date=2024-01-01/part-0:7"\n'
    assert found["annotation.conf"].startswith("[entities]\nperson\nwork_of_art\nwork_of_art_2\n\n[relations]")
    assert "work_of_art_2 | work of art\n" in found["visual.conf"]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("Foo\n  Bar", "T1\tperson 0 3;6 9\tFoo Bar\n"),
        ("Foo\r\nBar", "T1\tperson 0 3;5 8\tFoo Bar\n"),
        ("Foo\tBar", "T1\tperson 0 3;4 7\tFoo Bar\n"),
        ("Foo\u2028Bar", "T1\tperson 0 3;4 7\tFoo Bar\n"),
        ("Foo \n \n Bar baz", "T1\tperson 0 3;8 15\tFoo Bar baz\n"),
        ("🏔️ Bar", "T1\tperson 0 6\t🏔️ Bar\n"),
    ],
)
def test_an_entity_over_lines_is_in_fragments_without_white_space_at_their_ends(
    tmp_path: Path, text: str, line: str
) -> None:
    brat.write([annotated(text, text)], tmp_path / "a.zip")

    assert files(tmp_path / "a.zip")["000000-a.ann"] == line
