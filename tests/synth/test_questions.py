"""The classifier's questions, and DynamicNER's four steps on them."""

from __future__ import annotations

import random
from collections import Counter
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ner_ray.config.labels import parse
from ner_ray.errors import InputError
from ner_ray.families import cascade
from ner_ray.synth import dynamic, questions
from ner_ray.synth.config import DynamicOptions, RowOptions
from ner_ray.synth.dynamic import Hierarchy
from ner_ray.synth.questions import Question
from ner_ray.synth.rows import make_rows
from ner_ray.types import Entity

TREE = parse(
    {
        "Being": {"human": ["poet", "baker", "other human"], "animal": ["dog", "whale"]},
        "Place": {"water": ["river", "sea"], "land": ["hill", "other land"]},
        "other": None,
    }
)
HIERARCHY = Hierarchy.of(TREE)
TEXT = "Moby the whale swam up the Elbe: slowly, list: no."
ASKING = cascade.choice_questions({"system": ""})
MOBY, ELBE = Entity(0, 4, "Moby", "whale"), Entity(27, 31, "Elbe", "river")


def _groups() -> list[list[Question]]:
    return questions.ask(TEXT, [MOBY, ELBE], TREE, ASKING)[0]


def _many(times: int = 60) -> list[list[Question]]:
    return [list(group) for _ in range(times) for group in _groups()]


def test_every_level_has_its_list_and_its_answer():
    moby, elbe = _groups()

    assert [(question.options, question.answer) for question in moby] == [
        (("being", "place", "other"), "being"),
        (("human", "animal"), "animal"),
        (("dog", "whale"), "whale"),
    ]
    assert [question.answer for question in elbe] == ["place", "water", "river"]


def test_a_question_reads_as_it_was_asked_and_the_entity_is_marked():
    question = _groups()[0][0]
    message = ASKING.notation.join(question.stem, question.options)

    assert "##Moby##" in message
    assert message.endswith("list: being, place, other?")
    assert questions.read(message, question.answer, ASKING.notation) == question


def test_a_text_that_asks_for_no_type_is_refused():
    with pytest.raises(InputError, match="not a classifier's question"):
        questions.read("What is this?", "x", ASKING.notation)


def test_questions_become_rows_like_those_that_the_family_itself_gives():
    """Of the same entities, in the order of the entities instead of that of the levels."""
    asking = cascade.choice_questions({})
    groups, _ = questions.ask(TEXT, [MOBY, ELBE], TREE, asking)
    rows = questions.to_rows("p1", [question for group in groups for question in group], asking)

    asked = make_rows("p1", TEXT, [MOBY, ELBE], asking.classifier, RowOptions(rows="questions"), labels=TREE).rows
    assert {row.turns for row in rows} == {row.turns for row in asked}
    assert [row.row_id for row in rows] == [f"p1.{number}" for number in range(6)]


# The four steps


def test_the_hierarchy_knows_parents_siblings_and_children():
    assert HIERARCHY.parent("whale") == "animal"
    assert HIERARCHY.parent("place") == "place"
    assert HIERARCHY.related("animal") == {"human", "animal", "being", "dog", "whale"}
    assert HIERARCHY.related("being") == {"being", "place", "other", "human", "animal"}


def test_a_merged_list_is_sorted_and_holds_no_parent_of_its_members():
    merged = dynamic.merge_options(["being", "place", "other"], ["animal", "human"], HIERARCHY)

    assert merged == ("animal", "human", "other", "place")


def test_merging_makes_one_question_of_two_levels():
    first, second, _ = _groups()[0]

    merged = dynamic.merge(first, second, HIERARCHY, random.Random(0))

    assert (merged.stem, merged.answer) == (first.stem, "animal")
    assert merged.options == ("animal", "human", "other", "place")


def test_all_steps_are_seeded_and_leave_an_answer_in_every_list():
    options = DynamicOptions(synonyms={"River": "stream", "being": "creature"})

    varied = dynamic.vary(_many(), HIERARCHY, options)

    assert varied == dynamic.vary(_many(), HIERARCHY, options)
    assert varied != dynamic.vary(_many(), HIERARCHY, options.model_copy(update={"seed": 1}))
    assert all(question.answer in question.options for group in varied for question in group)


def test_merging_takes_about_four_of_ten_entities():
    varied = dynamic.vary(_many(200), HIERARCHY, DynamicOptions(steps=("merge",)))

    assert Counter(len(group) for group in varied)[2] / 400 == pytest.approx(0.4, abs=0.08)


def test_reducing_never_takes_the_answer_and_leaves_three():
    wide = Question("list: ", tuple("abcdefgh"), "c")
    varied = dynamic.vary([[wide]] * 500, HIERARCHY, DynamicOptions(steps=("reduce",)))

    sizes = Counter(len(question.options) for (question,) in varied)
    assert min(sizes) >= 3
    assert len(sizes) == 6
    assert all(
        question.answer == "c" and "c" in question.options and set(question.options) <= set("abcdefgh")
        for (question,) in varied
    )


def test_short_lists_are_not_reduced():
    short = Question("list: ", ("a", "b", "c"), "c")

    assert dynamic.vary([[short]] * 50, HIERARCHY, DynamicOptions(steps=("reduce",))) == [[short]] * 50


def test_synonyms_change_list_and_answer_alike_and_compare_without_accents():
    rare = Question("list: ", ("café", "bar", "inn"), "café")
    common = Question("list: ", ("bar", "inn"), "bar")
    options = DynamicOptions(steps=("synonyms",), synonyms={"Cafe": "coffee house", "bar": "pub"})

    varied = dynamic.vary([[rare]] * 5 + [[common]] * 20, HIERARCHY, options)

    assert {question.answer for (question,) in varied[:5]} <= {"café", "coffee house"}
    assert Question("list: ", ("coffee house", "bar", "inn"), "coffee house") in [
        question for (question,) in varied[:5]
    ]
    assert all(question == common for (question,) in varied[5:]), "a frequent type keeps its name"


def test_label_noise_is_off_unless_asked_for():
    assert "special" not in DynamicOptions().steps


def test_label_noise_makes_the_answer_another():
    question = Question("list: ", ("poet", "baker", "other human", "other land"), "poet")

    varied = dynamic.vary([[question]] * 300, HIERARCHY, DynamicOptions(steps=("special",)))

    wrong = [question for (question,) in varied if question.answer != "poet"]
    assert 0.1 < len(wrong) / 300 < 0.4
    assert all(
        question.answer == "other human" in question.options and "other land" not in question.options
        for question in wrong
    )


def test_label_noise_adds_unknown_where_no_option_stands_for_the_rest():
    question = Question("list: ", ("a", "b", "c"), "a")

    varied = dynamic.vary([[question]] * 100, HIERARCHY, DynamicOptions(steps=("special",)))

    assert {question.answer for (question,) in varied} == {"a", "unknown"}


# How answers are spread


def _cohesion(answers: list[str]) -> float:
    """Pair by pair, as published."""
    lists = [set(names) for names in HIERARCHY.children.values()]
    pairs = list(combinations(answers, 2))
    return sum(any({first, other} <= names for names in lists) for first, other in pairs) / len(pairs) if pairs else 0.0


@given(
    st.lists(st.sampled_from(["poet", "baker", "dog", "whale", "human", "animal", "being", "water", "x"]), max_size=14)
)
def test_the_fast_cohesion_is_that_of_all_pairs(answers):
    assert dynamic.spread(answers, HIERARCHY).cohesion == pytest.approx(_cohesion(answers))


@given(st.lists(st.sampled_from("abc"), min_size=1))
def test_the_spread_of_answers_stays_within_its_bounds(answers):
    found = dynamic.spread(answers, HIERARCHY)

    assert 0 <= found.cohesion <= 1
    assert 0 <= found.entropy <= 1 + 1e-9
    assert -1e-9 <= found.gini < 1
    assert found.variation >= 0


def test_equal_frequencies_are_healthy():
    even = dynamic.spread(["poet", "baker"] * 5, HIERARCHY)

    assert (even.cohesion, even.entropy, even.gini, even.variation) == (1.0, 1.0, 0.0, 0.0)
    assert even.health == pytest.approx(1.0)


def test_three_to_one_is_worth_what_the_formulas_say():
    found = dynamic.spread(["x", "x", "x", "y"], HIERARCHY)

    assert found.gini == pytest.approx((3 - 2 * (1 + 4) / 4) / 2)
    assert found.variation == pytest.approx(0.5)
    assert found.entropy == pytest.approx(0.811278, abs=1e-6)


def test_one_option_for_the_rest_is_enough():
    assert dynamic.one_special(["a", "other b", "c", "miscellaneous"]) == ["a", "other b", "c"]
