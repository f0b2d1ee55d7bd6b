"""spaCy files: what spaCy reads from them is what was annotated."""

from __future__ import annotations

import math
from pathlib import Path

import spacy
from hypothesis import given
from hypothesis import strategies as st
from spacy.tokens import Doc, DocBin

from ner_ray.export import spacy as exporter
from ner_ray.export.base import Exported
from ner_ray.types import Annotation, Document, DocumentStatus, Entity
from tests import strategies

TEXT = "University of Halmer Sound Trust\n\n hired  🏔️ Moira Tavish ."


def write_and_read(path: Path, text: str, *entities: Entity, **more: object) -> tuple[Exported, Doc]:
    written = exporter.write([(Document("d", text, ()), Annotation(entities, **more))], path)
    (doc,) = DocBin().from_disk(path).get_docs(spacy.blank("xx").vocab)
    return written, doc


def entity(surface: str, label: str, score: float | None = None) -> Entity:
    start = TEXT.index(surface)
    return Entity(start, start + len(surface), surface, label, score)


def places(spans: object) -> list[tuple[int, int, str]]:
    return [(span.start_char, span.end_char, span.label_) for span in spans]


@given(data=st.data(), text=strategies.texts())
def test_any_text_and_its_entities_come_back(data, text, tmp_path_factory):
    spans = [
        (start, end, data.draw(st.sampled_from(["person", "人物"])))
        for start, end in data.draw(strategies.spans(len(text)))
        if not text[start].isspace() and not text[end - 1].isspace()
    ]
    entities = [Entity(start, end, text[start:end], label) for start, end, label in spans]

    written, doc = write_and_read(tmp_path_factory.getbasetemp() / "any.spacy", text, *entities)

    assert doc.text == text.encode(errors="replace").decode()
    assert places(doc.ents) == places(doc.spans["sc"]) == spans
    assert written == Exported(1, len(spans))


def test_overlapping_entities_are_all_among_the_spans_and_the_first_and_longest_among_the_entities(tmp_path):
    school, place, trust = (
        entity("University of Halmer Sound", "school"),
        entity("Halmer", "place"),
        entity("Halmer Sound Trust", "trust", 0.25),
    )

    written, doc = write_and_read(tmp_path / "deep" / "a", TEXT, school, place, trust, entity("Moira Tavish", "person"))

    assert [span.text for span in doc.ents] == ["University of Halmer Sound", "Moira Tavish"]
    assert [span.label_ for span in doc.spans["sc"]] == ["school", "place", "trust", "person"]
    assert [span.text for span in doc.spans["sc"]][1:3] == ["Halmer", "Halmer Sound Trust"]
    assert doc.spans["sc"].attrs["scores"][2] == 0.25
    assert math.isnan(doc.spans["sc"].attrs["scores"][0])
    assert doc.user_data == {"doc_id": "d", "status": "ok"}
    assert written == Exported(1, 4)


def test_what_begins_or_ends_between_tokens_is_left_out_and_counted(tmp_path):
    blank = TEXT.index("\n\n") + 1

    written, doc = write_and_read(tmp_path / "a", TEXT, Entity(blank, blank + 7, TEXT[blank : blank + 7], "odd"))

    assert not doc.ents
    assert written == Exported(1, 0, 1)


def test_a_document_that_failed_teaches_nothing(tmp_path):
    _, read = write_and_read(tmp_path / "read", TEXT)
    _, failed = write_and_read(tmp_path / "failed", TEXT, status=DocumentStatus.FAILED)

    assert {token.ent_iob_ for token in read} == {"O"}
    assert {token.ent_iob_ for token in failed} == {""}


def test_a_pipeline_is_trained_on_the_file(tmp_path):
    """By spaCy's own reader of training data, with the tokens of a pipeline of its own."""
    from spacy.training import Corpus

    texts = [f"{name} sailed to {place}." for name in ("Anna", "Moira", "Tavish") for place in ("Oslo", "Łódź")]
    documents = []
    for text in texts:
        name, place = text.split()[0], text.split()[-1].rstrip(".")
        entities = (Entity(0, len(name), name, "person"), Entity(text.index(place), len(text) - 1, place, "place"))
        documents.append((Document(text, text, ()), Annotation(entities)))
    exporter.write(documents, tmp_path / "train.spacy")
    nlp = spacy.blank("en")
    nlp.add_pipe("ner")
    examples = list(Corpus(tmp_path / "train.spacy")(nlp))
    nlp.initialize(lambda: examples)
    for _ in range(40):
        nlp.update(examples)

    assert places(nlp("Moira sailed to Oslo.").ents) == [(0, 5, "person"), (16, 20, "place")]
