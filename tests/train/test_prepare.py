"""Training files from annotated rows."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ner_ray.errors import ConfigError, InputError
from ner_ray.train import PrepareConfig, prepare

ROWS = [
    {
        "text": "Ada met Bob in Turin .",
        "labels": ["PER", "LOC", "ORG"],
        "entities": [
            {"start": 0, "end": 3, "label": "PER"},
            {"start": 8, "end": 11, "label": "PER"},
            {"start": 15, "end": 20, "label": "LOC"},
        ],
    },
    {"text": "It rained .", "labels": ["PER", "LOC", "ORG"], "entities": []},
]
NAMES = {"PER": "person", "LOC": "location", "ORG": "organization"}


@pytest.fixture
def gold(tmp_path):
    pq.write_table(pa.Table.from_pylist(ROWS), tmp_path / "gold.parquet")
    return tmp_path / "gold.parquet"


def _prepare(gold, family, **more):
    output = gold.parent / "train.jsonl"
    made = prepare(PrepareConfig(input=str(gold), family=family, output=str(output), label_map=NAMES, **more))
    return made, [json.loads(line) for line in output.read_text(encoding="utf-8").splitlines()]


def test_cascade_gives_a_marked_sentence_a_row_and_a_question_an_entity(gold):
    made, lines = _prepare(gold, "cascade")
    answers = [(line["role"], line["answer"]) for line in lines]

    assert made.rows == 2
    assert made.examples == {"extractor": 2, "classifier": 3}
    assert ("extractor", "##Ada## met ##Bob## in ##Turin## .") in answers
    assert ("extractor", "It rained .") in answers
    assert [answer for role, answer in answers if role == "classifier"] == ["person", "person", "location"]


def test_gold_that_the_answers_cannot_express_is_counted(tmp_path):
    overlapping = [{"start": 0, "end": 3, "label": "PER"}, {"start": 0, "end": 9, "label": "ORG"}]
    row = {"text": "Ada Works .", "labels": ["PER", "LOC", "ORG"], "entities": overlapping}
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "gold.parquet")
    made, lines = _prepare(tmp_path / "gold.parquet", "gner")

    assert [line["answer"] for line in lines] == ["Ada(B-organization) Works(I-organization) .(O)"]
    assert made.left_out == {"overlaps": 1}


def test_one_role_alone_can_be_asked_for(gold):
    made, lines = _prepare(gold, "cascade", roles=["classifier"])

    assert {line["role"] for line in lines} == {"classifier"}
    assert made.examples == {"classifier": 3}


def test_gner_answers_with_every_word_and_its_tag(gold):
    _, lines = _prepare(gold, "gner")

    assert lines[0]["answer"].startswith("Ada(B-person) met(O) Bob(B-person)")


def test_a_label_that_is_dropped_takes_its_entities_with_it(gold):
    _, lines = _prepare(gold, "cascade", copies=40, label_set={"max_labels": None, "dropout": 0.5})
    marked = {line["answer"] for line in lines if line["role"] == "extractor"}
    asked = [line for line in lines if line["role"] == "classifier"]

    assert "Ada met Bob in ##Turin## ." in marked
    assert "##Ada## met ##Bob## in Turin ." in marked
    assert all(line["answer"] in line["prompt"][-1]["content"] for line in asked)


def test_label_sets_come_in_other_orders_unless_told_not_to(gold):
    def lists(**more):
        _, lines = _prepare(gold, "cascade", roles=["classifier"], copies=20, **more)
        return {line["prompt"][-1]["content"].split("list: ")[1] for line in lines}

    assert len(lists()) > 3
    assert lists(label_set={"max_labels": None, "dropout": 0.0, "shuffle": False}) == {
        "person, location, organization?"
    }


def test_a_label_mapped_to_nothing_is_not_taught(gold):
    output = gold.parent / "train.jsonl"
    config = PrepareConfig(
        input=str(gold), family="cascade", output=str(output), label_map={**NAMES, "PER": None}, roles=["extractor"]
    )
    prepare(config)

    assert "Ada met Bob in ##Turin## ." in output.read_text(encoding="utf-8")


def test_all_questions_about_a_text_can_be_one_conversation(gold):
    family = {"name": "universal_ner", "wrapper": "chat"}
    made, lines = _prepare(gold, family, rows="conversation")
    asked = [turn["content"] for turn in lines[0]["messages"] if turn["role"] == "user"]
    answers = [turn["content"] for turn in lines[0]["messages"] if turn["role"] == "assistant"]

    assert made.examples == {"tagger": 2}
    assert sorted(lines[0]["labels"]) == ["location", "organization", "person"]
    assert len(asked) == len(answers) == 4
    assert '["Ada", "Bob"]' in answers


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(gold):
    texts = []
    for seed in (1, 1, 2):
        _prepare(gold, "cascade", copies=10, seed=seed)
        texts.append((gold.parent / "train.jsonl").read_bytes())

    assert texts[0] == texts[1] != texts[2]


def test_long_rows_are_left_out_and_counted(gold):
    made, lines = _prepare(gold, "cascade", max_characters=15)

    assert made.too_long == 1
    assert len(lines) == 1


def test_unknown_names_are_refused(gold):
    with pytest.raises(ConfigError, match="no family named"):
        _prepare(gold, "cascades")
    with pytest.raises(InputError, match="no step with a role"):
        _prepare(gold, "cascade", roles=["tagger"])


def test_rows_without_the_columns_are_refused(tmp_path):
    pq.write_table(pa.table({"text": ["a"]}), tmp_path / "bare.parquet")
    with pytest.raises(InputError, match=r"no row of .*bare\.parquet can be used; .*: no list of entities"):
        prepare(PrepareConfig(input=str(tmp_path / "bare.parquet"), family="gner", output=str(tmp_path / "x")))
    with pytest.raises(InputError, match="there is nothing at"):
        prepare(PrepareConfig(input=str(tmp_path / "none"), family="gner", output=str(tmp_path / "x")))


def test_rows_that_cannot_be_used_are_counted_and_written_with_the_reason(tmp_path):
    wrong = {**ROWS[0], "entities": [{"start": 0, "end": 3, "text": "Bob", "label": "PER"}]}
    pq.write_table(pa.Table.from_pylist([ROWS[1], wrong]), tmp_path / "gold.parquet")
    made, _ = _prepare(tmp_path / "gold.parquet", "gner")

    (reject,) = map(json.loads, (tmp_path / "train.jsonl.rejects.jsonl").read_text().splitlines())
    assert (made.rows, made.rejected) == (1, 1)
    assert (reject["row"], reject["reason"]) == (1, "entity 'Bob' is not at 0:3, where 'Ada' is")
    pq.write_table(pa.Table.from_pylist(ROWS), tmp_path / "gold.parquet")
    assert _prepare(tmp_path / "gold.parquet", "gner")[0].rejected == 0
    assert not (tmp_path / "train.jsonl.rejects.jsonl").exists()


def test_entities_outside_of_the_label_set_are_counted(gold):
    config = PrepareConfig(
        input=str(gold), family="gner", output=str(gold.parent / "x"), labels=["person"], label_map={"PER": "person"}
    )

    assert prepare(config).dropped == 1


def test_a_label_map_with_a_label_that_no_text_has_is_refused(gold):
    with pytest.raises(ConfigError, match="no label 'PRE'"):
        prepare(PrepareConfig(input=str(gold), family="gner", output=str(gold.parent / "x"), label_map={"PRE": "x"}))
    assert not (gold.parent / "x").exists()


def test_texts_without_a_label_set_need_one_from_the_configuration(tmp_path):
    (tmp_path / "a.conll").write_text("Ada B-PER\nran O\n")
    settings = {"input": str(tmp_path / "a.conll"), "family": "gner", "output": str(tmp_path / "x")}

    with pytest.raises(InputError, match="no label set"):
        prepare(PrepareConfig(**settings))
    assert prepare(PrepareConfig(**settings, labels=["PER"])).rows == 1
