"""What our exporters write comes back as it was, so that it can be corrected in other tools and read again."""

from __future__ import annotations

from pathlib import Path

import pytest

from ner_ray.data import read_all
from ner_ray.export.base import ExportContext, load
from ner_ray.types import Annotation, Document, DocumentStatus, Entity

TEXTS = {
    "plain": ("Ann met Rex in New Ghent. Bo left!", [("Ann", "person"), ("Rex", "person"), ("New Ghent", "place")]),
    "emoji": ("💩 Zoë saw 北京 and Łódź 👩‍🚀.", [("Zoë", "person"), ("北京", "place"), ("Łódź", "place")]),
    "rtl": ("كتب محمود درويش قصيدة في رام الله", [("محمود درويش", "person"), ("رام الله", "place")]),
    "side by side": ("AnnBo", [("Ann", "person"), ("Bo", "person")]),
    "nothing": ("It rained.", []),
}


def document(name: str) -> tuple[Document, Annotation]:
    text, entities = TEXTS[name]
    places = [(text.index(surface), surface, label) for surface, label in entities]
    found = tuple(Entity(start, start + len(surface), surface, label) for start, surface, label in places)
    return Document(name, text, ()), Annotation(found)


@pytest.mark.parametrize(
    ("exporter", "name"),
    [
        ("conll", "a.conll"),
        ("label_studio", "a.json"),
        ("argilla", "a.json"),
        ("brat", "a.zip"),
        ("spacy", "a.spacy"),
        ("huggingface", "a.parquet"),
    ],
)
def test_an_export_is_read_as_what_was_written(tmp_path: Path, exporter: str, name: str) -> None:
    if exporter in ("spacy", "huggingface"):
        pytest.importorskip(
            "spacy" if exporter == "spacy" else "datasets", reason="the extra `export` is not installed"
        )
    written = [document(key) for key in TEXTS]
    failed = (Document("failed", "Ann.", ()), Annotation((), status=DocumentStatus.FAILED))
    load(exporter).write([*written, failed], tmp_path / name, ExportContext())

    found, _ = read_all(str(tmp_path / name))

    by_id = {item.text_id: item for item in found}
    assert set(TEXTS) <= by_id.keys()
    for given, annotation in written:
        assert by_id[given.doc_id].text == given.text
        assert by_id[given.doc_id].entities == annotation.entities
    assert "failed" not in by_id
