"""What holds for every exporter; a new file in the folder is picked up by itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ner_ray import plugins
from ner_ray.export.base import NO_CONTEXT, ExportContext, Exported, label_names
from ner_ray.types import Annotation, Document, DocumentStatus, Entity, ErrorRecord, Mention

every_exporter = pytest.mark.parametrize("name", plugins.names("export"))

TEXT = "Lagan Optics of Belfast 🏔️ was founded by Declan Mooney."


def _entity(surface: str, label: str) -> Entity:
    start = TEXT.index(surface)
    return Entity(start, start + len(surface), surface, label, 0.5)


DOCUMENTS = (
    (Document("one", TEXT, ()), Annotation((_entity("Lagan Optics", "firm"), _entity("Declan Mooney", "person")))),
    (Document("blank", " \r\n\t", ()), Annotation(())),
    (Document("empty", "", ()), Annotation(())),
    (
        Document("odd \n id", "\ud83d\x00\u2028 …", ()),
        Annotation((), (Mention("gone"),), DocumentStatus.FAILED, (ErrorRecord("unparsable", "tagger", "\ud800"),)),
    ),
)
CONTEXT = ExportContext("A run", ("person", "place", "odd \n \ud800"), {"documents": "4"})


@every_exporter
def test_what_was_written_is_counted(name: str, tmp_path: Path):
    write = plugins.load("export", name).write

    assert write(iter(DOCUMENTS), tmp_path / "deep" / "out", CONTEXT) == Exported(4, 2, 0)
    assert (tmp_path / "deep" / "out").stat().st_size > 0


@every_exporter
def test_a_path_may_be_a_string_and_an_empty_run_is_written_too(name: str, tmp_path: Path):
    assert plugins.load("export", name).write([], str(tmp_path / "out"), NO_CONTEXT) == Exported(0, 0, 0)
    assert (tmp_path / "out").is_file()


@every_exporter
def test_documents_are_taken_one_by_one(name: str, tmp_path: Path):
    def failing() -> Iterator[tuple[Document, Annotation]]:
        yield DOCUMENTS[0]
        raise KeyError("the run went away")

    with pytest.raises(KeyError, match="went away"):
        plugins.load("export", name).write(failing(), tmp_path / "out", CONTEXT)


def test_the_label_set_of_a_run_comes_from_its_settings() -> None:
    assert label_names({"labels": ["person", {"name": "place", "description": "a town"}]}) == ("person", "place")
    assert label_names({"labels": {"being": ["person", "other"], "place": ["other"]}}) == (
        "person",
        "being->other",
        "place->other",
    )
    assert label_names({"labels": "column:labels"}) == label_names({}) == ()
