"""From annotated passages to training rows, their layouts and their Parquet."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace

import pytest

from ner_ray import plugins
from ner_ray.config.labels import parse
from ner_ray.errors import InputError
from ner_ray.families import b2ner, cascade, gner, instruct, ra_it, universal_ner
from ner_ray.synth import layouts
from ner_ray.synth.instances import Instance, InstanceOptions, conversation, instances
from ner_ray.synth.label_sets import LabelSetOptions
from ner_ray.synth.negatives import NegativeOptions, TypePool
from ner_ray.synth.records import Lineage, from_table, to_table
from ner_ray.train.examples import read_examples
from ner_ray.types import Demonstration, Entity, Mention, Message, StepInput

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


def _rows(name: str = "ra_it", **options) -> list[Instance]:
    return instances("p1", TEXT, ENTITIES, _step(name), POOL, InstanceOptions(**{"negatives": FORCED, **options}))


def _dialogue(row: Instance) -> dict[str, str]:
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
    (row,) = instances("p1", TEXT, ENTITIES, _step("ra_it"), POOL, InstanceOptions(), demonstrations=shown)

    assert "Kari went to Narvik." in row.turns[0].content
    assert TEXT in row.turns[2].content


def test_gner_tags_words_that_are_no_entity_too():
    step = gner.steps(gner.Options(wrapper="chat"))[0]
    (row,) = instances("p1", TEXT, ENTITIES, step, POOL, InstanceOptions(rows="questions", negatives=FORCED))

    assert "moved(O) from(O) Bergen(B-city) to(O)" in row.turns[-1].content
    assert row.turns[-1].content.count("Oslo(B-city)") == 2


def test_b2ner_offers_the_regularised_labels_and_drops_their_entities():
    labels = parse(["person", "city", "river", "comet"])
    options = InstanceOptions(rows="questions", label_set=LabelSetOptions(max_labels=2, dropout=0.5))
    step = b2ner.steps(b2ner.Options())[0]
    rows = [
        row
        for number in range(30)
        for row in instances(f"p{number}", TEXT, ENTITIES, step, POOL, options, labels=labels)
    ]

    assert len(rows) == 30
    for row in rows:
        named = {item.split(": ")[0] for item in row.turns[-1].content.strip().split("; ")} - {"None"}
        assert named <= set(row.labels)
        assert len(row.labels) <= 2
    assert {len(row.labels) for row in rows} == {1, 2}


def test_cascade_gives_rows_for_both_of_its_steps():
    tree = parse({"human": ["person"], "place": ["city", "river"]})
    extractor, classifier = cascade.steps(cascade.Options(wording="training"))
    options = InstanceOptions(rows="questions")

    (marked,) = instances("p1", TEXT, ENTITIES, extractor, POOL, options, labels=tree)
    levels = instances("p1", TEXT, ENTITIES, classifier, POOL, options, labels=tree)

    assert marked.turns[-1].content.count("##Oslo##") == 2
    assert [row.turns[-1].content for row in levels] == ["human", "place", "place", "person", "city", "city"]
    assert [row.instance_id for row in levels] == [f"p1.{number}" for number in range(6)]


def test_instruct_learns_the_teacher_s_own_list():
    step = instruct.steps(instruct.Options(prompt="annotation"))[0]
    (row,) = instances("p1", TEXT, ENTITIES[:2], step, POOL, InstanceOptions(rows="questions"))

    assert json.loads(row.turns[-1].content) == [{"Nora Lind": "person"}, {"Bergen": "city"}]


def test_what_the_rows_do_not_express_is_counted():
    gold = [*ENTITIES, Entity(0, 4, "Nora", "person"), Entity(57, 61, "Lind", "surname")]
    left_out: Counter[str] = Counter()
    labels = parse(["person", "city"])
    instances("p1", TEXT, gold, _step("gner"), POOL, InstanceOptions(), labels=labels, left_out=left_out)

    assert left_out == {"label_not_in_set": 1, "overlaps": 1}


def test_draws_depend_on_seed_and_passage_alone():
    def row(passage: str, seed: int) -> tuple[str, ...]:
        options = InstanceOptions(negatives=FORCED, seed=seed)
        return instances(passage, TEXT, ENTITIES, _step("ra_it"), POOL, options)[0].labels

    assert row("p1", 0) == row("p1", 0)
    assert len({row(f"p{number}", 0) for number in range(20)}) > 5
    assert len({row("p1", seed) for seed in range(20)}) > 5


def test_a_passage_without_entities_is_no_conversation():
    assert instances("p1", TEXT, [], _step("ra_it"), POOL, InstanceOptions()) == []


def test_questions_with_beginnings_of_their_own_are_no_conversation():
    tree = parse(["person", "city"])
    classifier = cascade.steps(cascade.Options(system=""))[1]
    asked = classifier.targets(replace(_passage(), labels=tree), ENTITIES).exchanges

    assert conversation(asked)[0].role == "user"
    with pytest.raises(ValueError, match="no conversation"):
        conversation(
            [*universal_ner.steps(CHAT["universal_ner"])[0].targets(_passage(tree), ENTITIES).exchanges, *asked]
        )


def _passage(labels=()):
    return StepInput(TEXT, labels)


# Layouts


def test_sharegpt_rows_and_their_entry_fit_each_other():
    rows = _rows()
    (entry,) = layouts.dataset_info("sky", "sky.json").values()

    (read,) = json.loads(layouts.sharegpt(rows))
    tags, turns = entry["tags"], read[entry["columns"]["messages"]]
    assert entry["formatting"] == "sharegpt"
    assert [turn[tags["role_tag"]] for turn in turns[:2]] == [tags["user_tag"], tags["assistant_tag"]]
    assert turns[-1][tags["content_tag"]] == rows[0].turns[-1].content


def test_swift_rows_are_messages_a_line():
    (line,) = layouts.swift(_rows("universal_ner")).splitlines()

    assert [turn["role"] for turn in json.loads(line)["messages"][:3]] == ["system", "user", "assistant"]


def test_our_own_trainer_reads_the_conversations(tmp_path):
    rows = _rows()
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in json.loads(layouts.sharegpt(rows))), encoding="utf-8")

    (examples,) = read_examples([file])

    assert [one.answer for one in examples] == [turn.content for turn in rows[0].turns if turn.role == "assistant"]


@pytest.mark.parametrize("roles", [(), ("user",), ("assistant", "user"), ("user", "user"), ("user", "system")])
def test_turns_that_trainers_would_drop_are_refused(roles):
    row = Instance("p1", tuple(Message(role, "x") for role in roles), "tagger", ())

    for write in (layouts.sharegpt, layouts.swift):
        with pytest.raises(InputError, match="must take turns"):
            write([row])


def test_rows_come_back_from_parquet_with_their_lineage(tmp_path):
    import pyarrow.parquet as pq

    lineage = Lineage("d1", 10, 72, "a-teacher", "0" * 16, ("length", "in_text"), 7)
    rows = [(row, lineage) for row in _rows()]

    pq.write_table(to_table(rows), tmp_path / "rows.parquet")

    assert from_table(pq.read_table(tmp_path / "rows.parquet")) == rows
