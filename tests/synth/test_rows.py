"""From annotated passages to training rows."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from ner_ray import plugins
from ner_ray.config.labels import parse
from ner_ray.data.training import TrainingRow
from ner_ray.errors import InputError
from ner_ray.families import b2ner, cascade, gner, instruct, ra_it, universal_ner
from ner_ray.families.base import Step
from ner_ray.synth.config import LabelSetOptions, NegativeOptions, RowOptions
from ner_ray.synth.negatives import TypePool
from ner_ray.synth.rows import conversation, make_rows
from ner_ray.types import Demonstration, Entity, Mention, StepInput

TEXT = "Nora Lind moved from Bergen to Oslo, and Oslo liked Nora Lind."
ENTITIES = [
    Entity(0, 9, "Nora Lind", "person"),
    Entity(21, 27, "Bergen", "city"),
    Entity(31, 35, "Oslo", "city"),
    Entity(41, 45, "Oslo", "city"),
    Entity(52, 61, "Nora Lind", "person"),
]
POOL = TypePool({"person": 5, "city": 8, "river": 4, "comet": 1})
FORCED = NegativeOptions(rate=1, number="rounded")
CHAT = {
    "universal_ner": universal_ner.Options(wrapper="chat"),
    "ra_it": ra_it.Options(wrapper="chat", system=""),
}


def _step(name: str):
    family = plugins.load("families", name)
    return family.steps(CHAT.get(name, family.Options()))[0]


def _rows(name: str = "ra_it", **options) -> list[TrainingRow]:
    return _made("p1", ENTITIES, _step(name), RowOptions(**{"negatives": FORCED, **options}))


def _made(name: str, entities: list[Entity], step: Step, options: RowOptions, **more) -> list[TrainingRow]:
    return list(make_rows(name, TEXT, entities, step, options, pool=POOL, **more).rows)


def _dialogue(row: TrainingRow) -> dict[str, str]:
    turns = [turn.content for turn in row.turns if turn.role != "system"]
    return dict(zip(turns[2::2], turns[3::2], strict=True))


@pytest.mark.parametrize("name", sorted(CHAT))
def test_a_conversation_asks_for_every_type_and_as_many_that_are_not_there(name):
    (row,) = _rows(name)

    asked = _dialogue(row)
    assert sorted(asked.values()) == ['["Bergen", "Oslo"]', '["Nora Lind"]', "[]", "[]"]
    assert len(row.labels) == len(set(row.labels)) == 4


def test_without_negatives_no_answer_is_empty():
    (row,) = _rows(negatives=NegativeOptions(draw="none"))

    assert "[]" not in _dialogue(row).values()


def test_surfaces_can_be_listed_as_often_as_they_stand_there():
    (row,) = _rows(surfaces="every")

    assert '["Bergen", "Oslo", "Oslo"]' in _dialogue(row).values()


def test_demonstrations_stand_before_the_passage():
    shown = [Demonstration("Kari went to Narvik.", (Mention("Narvik", "city"),))]
    (row,) = _made("p1", ENTITIES, _step("ra_it"), RowOptions(), demonstrations=shown)

    assert "Kari went to Narvik." in row.turns[0].content
    assert TEXT in row.turns[2].content


def test_gner_tags_words_that_are_no_entity_too():
    step = gner.steps(gner.Options(wrapper="chat"))[0]
    (row,) = _made("p1", ENTITIES, step, RowOptions(rows="questions", negatives=FORCED))

    assert "moved(O) from(O) Bergen(B-city) to(O)" in row.turns[-1].content
    assert row.turns[-1].content.count("Oslo(B-city)") == 2


def test_b2ner_offers_the_regularised_labels_and_drops_their_entities():
    labels = parse(["person", "city", "river", "comet"])
    options = RowOptions(rows="questions", label_set=LabelSetOptions(max_labels=2, dropout=0.5))
    step = b2ner.steps(b2ner.Options())[0]
    rows = [row for number in range(30) for row in _made(f"p{number}", ENTITIES, step, options, labels=labels)]

    assert len(rows) == 30
    for row in rows:
        named = {item.split(": ")[0] for item in row.turns[-1].content.strip().split("; ")} - {"None"}
        assert named <= set(row.labels)
        assert len(row.labels) <= 2
    assert {len(row.labels) for row in rows} == {1, 2}


def test_cascade_gives_rows_for_both_of_its_steps():
    tree = parse({"human": ["person"], "place": ["city", "river"]})
    extractor, classifier = cascade.steps(cascade.Options(wording="training"))
    options = RowOptions(rows="questions")

    (marked,) = _made("p1", ENTITIES, extractor, options, labels=tree)
    levels = _made("p1", ENTITIES, classifier, options, labels=tree)

    assert marked.turns[-1].content.count("##Oslo##") == 2
    assert [row.turns[-1].content for row in levels] == ["human", "place", "place", "person", "city", "city"]
    assert [row.row_id for row in levels] == [f"p1.{number}" for number in range(6)]


def test_instruct_learns_the_teacher_s_own_list():
    step = instruct.steps(instruct.Options(prompt="annotation"))[0]
    (row,) = _made("p1", ENTITIES[:2], step, RowOptions(rows="questions"))

    assert json.loads(row.turns[-1].content) == [{"Nora Lind": "person"}, {"Bergen": "city"}]


def test_what_the_rows_do_not_express_is_counted():
    gold = [*ENTITIES, Entity(0, 4, "Nora", "person"), Entity(57, 61, "Lind", "surname")]
    labels = parse(["person", "city"])
    gner_rows = make_rows("p1", TEXT, gold, _step("gner"), RowOptions(rows="questions"), labels=labels)
    listed = make_rows("p1", TEXT, ENTITIES, _step("ra_it"), RowOptions(), labels=labels)

    assert gner_rows.left_out == {"label_not_in_set": 1, "overlaps": 1}
    assert listed.left_out == {"repeated_surface": 2}


def test_draws_depend_on_seed_and_passage_alone():
    def row(passage: str, seed: int) -> tuple[str, ...]:
        options = RowOptions(negatives=FORCED, seed=seed)
        return _made(passage, ENTITIES, _step("ra_it"), options)[0].labels

    assert row("p1", 0) == row("p1", 0)
    assert len({row(f"p{number}", 0) for number in range(20)}) > 5
    assert len({row("p1", seed) for seed in range(20)}) > 5


def test_a_passage_without_entities_is_no_conversation():
    assert _made("p1", [], _step("ra_it"), RowOptions()) == []


def test_questions_with_beginnings_of_their_own_are_no_conversation():
    tree = parse(["person", "city"])
    classifier = cascade.steps(cascade.Options(system=""))[1]
    asked = classifier.targets(replace(_passage(), labels=tree), ENTITIES).exchanges

    assert conversation(asked)[0].role == "user"
    with pytest.raises(ValueError, match="cannot be joined"):
        conversation(
            [*universal_ner.steps(CHAT["universal_ner"])[0].targets(_passage(tree), ENTITIES).exchanges, *asked]
        )


def test_prompts_with_their_own_chat_markup_are_no_conversation():
    (step,) = universal_ner.steps(universal_ner.Options())

    with pytest.raises(InputError, match="their own chat markup cannot be joined"):
        _made("p1", ENTITIES, step, RowOptions())
    assert all(row.rendered for row in _made("p1", ENTITIES, step, RowOptions(rows="questions")))


def test_a_question_teaches_its_last_answer_alone_and_a_conversation_all_of_them():
    step = _step("universal_ner")
    conversations = _made("p1", ENTITIES, step, RowOptions())
    questions = _made("p1", ENTITIES, step, RowOptions(rows="questions"))

    assert all(len(row.learnt) == len(row.turns) // 2 for row in conversations)
    assert all(row.learnt == (len(row.turns) - 1,) for row in questions)


def _passage(labels=()):
    return StepInput(TEXT, labels)
