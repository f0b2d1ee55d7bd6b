"""The tagger that ships with the package, whole: unpacked, merged, asked, read and placed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ner_ray import Annotator, Entity
from ner_ray.evaluate import spans
from ner_ray.evaluate.spans import SpanSums

pytestmark = pytest.mark.engine

# Sentences of our own, with their people, organizations and places in brackets.
SENTENCES = (
    "[person Angela Merkel] met [person Emmanuel Macron] in [location Paris] on Friday.",
    "The [organization World Health Organization] opened an office in [location Nairobi].",
    "[person Ada Lovelace] was born in [location London] in 1815.",
    "[organization Toyota] will build a plant in [location Kentucky], the company said.",
    "Nobody was hurt, and the road was open again by noon.",
    "[person Kenji Tanaka] joined [organization Sony] after ten years at [organization Panasonic].",
    "Heavy rain fell on [location Lisbon] and [location Porto] overnight.",
    "[person Maria Lopez], who teaches at [organization Stanford University], grew up in [location Chile].",
    "The [organization European Union] and [location Canada] signed the agreement in [location Brussels].",
    "[person Tom] told [person Susan] that the flight to [location Berlin] was late.",
    "[organization FC Barcelona] lost to [organization Real Madrid] in [location Madrid].",
    "It was the coldest winter that anyone could remember.",
)


@pytest.fixture(scope="module")
def tagger() -> Iterator[Annotator]:
    with Annotator("annotate/tagger", labels=["person", "organization", "location"]) as annotator:
        yield annotator


def _gold(marked: str) -> tuple[str, list[Entity]]:
    text, entities = "", []
    for piece in marked.split("["):
        inside, closed, behind = piece.partition("]")
        if closed:
            label, _, surface = inside.partition(" ")
            entities.append(Entity(len(text), len(text) + len(surface), surface, label))
            text += surface + behind
        else:
            text += inside
    return text, entities


def test_it_finds_most_of_what_everybody_knows(tagger: Annotator) -> None:
    gold = [_gold(marked) for marked in SENTENCES]
    found = tagger.stream(text for text, _ in gold)
    total = sum((spans.count(wanted, one.entities) for (_, wanted), one in zip(gold, found, strict=True)), SpanSums())

    assert spans.micro(total)["strict"].f1 > 0.85


def test_it_finds_what_it_is_asked_for(tagger: Annotator) -> None:
    text = "Aspirin relieved the headache that Maria had had since Tuesday."

    drugs = tagger(text, labels=["chemical", "disease"]).entities
    people = tagger(text, labels=["person"]).entities

    assert [(entity.text, entity.label) for entity in drugs] == [("Aspirin", "chemical"), ("headache", "disease")]
    assert [(entity.text, entity.label) for entity in people] == [("Maria", "person")]
