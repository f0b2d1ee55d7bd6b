"""From a teacher's answers to entities with their places."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from ner_ray.families import instruct
from ner_ray.synth import teacher
from ner_ray.synth.annotated import GROUND, Annotated, settle
from ner_ray.synth.config import FilterOptions
from ner_ray.types import Verdict
from tests.transcript import said

QUESTION = instruct.Options(prompt="annotation")
TEXT = "The ferry to Narvik waits for Kari."
NAMED = (
    ("Narvik", "town"),
    ("Kari", "person"),
    ("Narvik", "town"),
    ("Tromsø", "town"),
    ("ferry", "misc"),
    ("ari", "bird"),
)
ANSWER = json.dumps([{name: label} for name, label in NAMED])


def annotate(text: str, answers: list[str], options: FilterOptions) -> Annotated:
    return settle(text, teacher.read(text, said(*answers), QUESTION), options)


def test_every_mention_has_its_place_or_the_filter_that_removed_it():
    """`ari` is in the text, but no word of it begins there."""
    found = annotate(TEXT, [ANSWER], FilterOptions())

    assert [(entity.start, entity.end, entity.label) for entity in found.entities] == [
        (13, 19, "town"),
        (30, 34, "person"),
    ]
    assert [(removal.mention.text, removal.by) for removal in found.removed] == [
        ("Narvik", "duplicate"),
        ("Tromsø", "in_text"),
        ("ferry", "type"),
        ("ari", GROUND),
    ]
    assert found.counts.to_dict()["removed"][GROUND] == 1
    assert found.counts.seen[GROUND] == 3
    assert [mention.text for mention in found.mentions] == ["Narvik", "Kari"]


def test_what_cannot_be_read_is_a_problem_and_no_entity():
    found = annotate(TEXT, ["I am sorry."], FilterOptions())

    assert (found.entities, found.mentions, found.removed) == ((), (), ())
    assert found.verdicts == (Verdict.UNPARSABLE,)
    assert [problem.message for problem in found.errors] == ["I am sorry."]


def test_samples_vote_where_agreement_is_asked_for():
    options = FilterOptions(steps=("agreement",), min_agreement=0.6)
    samples = ['[{"Narvik": "town"}, {"Kari": "person"}]', '[{"Narvik": "town"}]']

    found = annotate(TEXT, samples, options)

    assert [entity.text for entity in found.entities] == ["Narvik"]
    assert [removal.by for removal in found.removed] == ["agreement"]


@given(st.text(max_size=60), st.lists(st.text(alphabet='[]{}"ab :,NK', max_size=40), max_size=3))
def test_nothing_is_lost_uncounted(text, answers):
    found = annotate(text, answers, FilterOptions())

    assert all(text[entity.start : entity.end] == entity.text for entity in found.entities)
    assert found.counts.removed.total() == len(found.removed)
    assert bool(found.entities) == bool(found.mentions)
