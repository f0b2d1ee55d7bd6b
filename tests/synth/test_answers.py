"""What the annotation job wrote, read as annotated passages: which count, which say why they do not."""

from __future__ import annotations

import pytest

from ner_ray import schema
from ner_ray.families import instruct
from ner_ray.schema import Row
from ner_ray.synth.answers import Tally, add_up, read, type_frequencies
from ner_ray.synth.config import FilterOptions
from ner_ray.synth.teacher import GROUNDING
from tests.transcript import said

QUESTION = instruct.Options(prompt="annotation")
TEXT = "Ada met Bo in Rome. Ada slept."
FILTERS = FilterOptions(steps=("duplicate", "in_text"))


def row(*answers: str, chunks: int = 1, number: int = 0, **more: object) -> Row:
    exchanges = [schema.exchange_to_row(0, "tagger", exchange, with_prompt=False) for exchange in said(*answers)]
    counted = {"ok": len(answers), "recovered": 0, "truncated": 0, "unparsable": 0}
    return {
        "row_id": number,
        "doc_id": f"d:{number}",
        "text": TEXT,
        "document": "d",
        "start": 0,
        "end": len(TEXT),
        "source": "s",
        "chunks": [{}] * chunks,
        "exchanges": exchanges,
        "entities": [],
        "unaligned": [],
        "verdicts": counted,
        "usage": {"requests": 1, "prompt_tokens": 9, "cached_tokens": 0, "output_tokens": 3},
    } | more


def surfaces(line: Row) -> list[tuple[int, str, str]]:
    return [(entity["start"], entity["text"], entity["label"]) for entity in line["entities"]]


def test_an_answer_becomes_entities_at_every_place_and_the_rest_is_listed_with_its_filter() -> None:
    table, tally = read([row('[{"Ada": "person"}, {"Cy": "person"}, {"Rome": "place"}]')], QUESTION, FILTERS, GROUNDING)
    (line,) = table.to_pylist()

    assert surfaces(line) == [(0, "Ada", "person"), (14, "Rome", "place"), (20, "Ada", "person")]
    assert line["removed"] == [{"text": "Cy", "label": "person", "by": "in_text"}]
    assert line["status"] == "ok"
    assert tally.statistics.frequencies() == {"person": 1, "place": 1}
    assert tally.usage == {"requests": 1, "prompt_tokens": 9, "cached_tokens": 0, "output_tokens": 3}


@pytest.mark.parametrize(
    ("given", "status"),
    [
        (row(), "unanswered"),
        (row('[{"Ada": "person"}]', chunks=2), "cut"),
        (row("I cannot."), "unreadable"),
        (row("I cannot.", '[{"Ada": "person"}]'), "ok"),
        (row("[]"), "ok"),
    ],
)
def test_a_passage_that_gives_no_training_row_says_why_and_is_in_no_statistics(given: Row, status: str) -> None:
    table, tally = read([given], QUESTION, FILTERS, GROUNDING)

    assert table["status"].to_pylist() == [status]
    assert tally.statuses == {status: 1}
    assert tally.statistics.passages == (status == "ok")
    assert tally.usage["requests"] == 1


def test_several_samples_are_joined_and_filtered_by_their_agreement() -> None:
    answers = ['[{"Ada": "person"}]', '[{"Ada": "person"}, {"Bo": "dog"}]', '[{"Ada": "person"}]']
    filters = FilterOptions(steps=("agreement",), min_agreement=0.5)

    table, tally = read([row(*answers)], QUESTION, filters, GROUNDING)

    assert {entity["label"] for entity in table.to_pylist()[0]["entities"]} == {"person"}
    assert tally.filters.removed == {"agreement": 1}


def test_what_a_family_has_read_is_taken_as_it_is_each_pair_once() -> None:
    place = {"score": 0.5, "status": "exact"}
    entities = [{"start": s, "end": s + 3, "text": "Ada", "label": "person", **place} for s in (0, 20)]
    unaligned = [{"text": name, "label": label, "score": None} for name, label in (("Cy", "person"), ("Bo", ""))]

    table, tally = read([row("raw", entities=entities, unaligned=unaligned, chunks=2)], None, FILTERS, GROUNDING)
    (line,) = table.to_pylist()

    assert surfaces(line) == [(0, "Ada", "person"), (20, "Ada", "person")]
    assert (line["status"], line["verdicts"]) == ("ok", ["ok"])
    assert tally.filters.removed["in_text"] == 1
    assert type_frequencies([row("raw", entities=entities)], None) == {"person": 1}


def test_sums_are_those_of_their_parts() -> None:
    rows = [row('[{"Ada": "person"}, {"Cy": "x"}]'), row("[]", number=1), row(number=2)]
    whole = read(rows, QUESTION, FILTERS, GROUNDING)[1]

    parts = [read([row], QUESTION, FILTERS, GROUNDING)[1] for row in rows]

    assert add_up(parts) == whole
    assert add_up([]) == Tally()
    assert type_frequencies(rows, QUESTION) == {"person": 1, "x": 1}
