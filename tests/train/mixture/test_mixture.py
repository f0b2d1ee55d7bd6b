"""The starter's training file."""

from __future__ import annotations

import json
from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ner_ray.train.mixture.config import MixtureConfig
from ner_ray.train.mixture.lines import prepare_mixture
from ner_ray.train.mixture.pools import natural
from ner_ray.train.mixture.sentences import Sentence
from ner_ray.types import Entity

TEXT = '" Ada " met Bob ( of Turin ) , did n\'t she ?'


def _row(text: str, *mentions: tuple[str, str]) -> dict:
    entities = [
        {"start": text.index(surface), "end": text.index(surface) + len(surface), "label": label}
        for surface, label in mentions
    ]
    return {"text": text, "labels": ["PER", "LOC", "MISC"], "entities": entities}


@pytest.fixture
def written(tmp_path):
    def write(**more):
        rows = [
            _row(TEXT, ("Ada", "PER"), ("Bob", "PER"), ("Turin", "LOC")),
            _row("The Danube floods Vienna .", ("Danube", "MISC"), ("Vienna", "LOC")),
            _row("C## is sharp .", ("C##", "MISC")),
        ]
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
        config = MixtureConfig.model_validate(
            {
                "folder": str(tmp_path),
                "sources": {
                    "a": {
                        "files": ["a.parquet"],
                        "weight": 1,
                        "style": "news",
                        "labels": {"PER": "person", "LOC": "location", "MISC": "vague"},
                    }
                },
                "grammar_weight": 0,
                "examples": 3000,
                "output": str(tmp_path / "train.jsonl"),
                **more,
            }
        )
        made = prepare_mixture(config)
        lines = (tmp_path / "train.jsonl").read_text(encoding="utf-8").splitlines()
        return made, [json.loads(line) for line in lines]

    return write


def _asked(line: dict) -> str:
    return line["prompt"][-1]["content"]


def test_every_answer_is_its_prompt_with_marks_or_a_label_of_its_list(written):
    _, lines = written()
    questions = [line for line in lines if _asked(line).startswith("The ##")]
    copies = [line for line in lines if not _asked(line).startswith("The ##")]

    assert len(questions) > 500
    assert len(copies) > 1500
    for line in questions:
        assert line["answer"] in _asked(line).split("first list: ")[1].rstrip("?").split(", ")
    for line in copies:
        assert line["answer"].replace("##", "") == _asked(line)


def test_the_kinds_of_lines_have_their_shares(written):
    made, lines = written(copying_share=0.1, classifier_share=0.3)

    assert sum(made.examples.values()) == len(lines) == 3000
    assert made.examples["copying"] == pytest.approx(300, abs=80)
    assert made.examples["classifier"] == pytest.approx(900, abs=120)
    assert made.too_long == 1  # the row with marks of its own


def test_practice_repeats_itself_and_marks_mentions_wherever_they_come_again(written):
    _, lines = written(copying_share=1, max_characters=200)
    marked = [line["answer"].split("##")[1::2] for line in lines]

    assert all(0 < len(_asked(line)) <= 200 for line in lines)
    assert {surface for surfaces in marked for surface in surfaces} == {
        "Ada", "Bob", "Turin", "Vienna",
    }, "all but the vague one"  # fmt: skip
    assert any(len(surfaces) > len(set(surfaces)) for surfaces in marked)
    assert any("met" in _asked(line) and not surfaces for line, surfaces in zip(lines, marked, strict=True))


def test_a_classifiers_one_word_counts_more_than_a_word_of_a_copy(written):
    _, lines = written(classifier_weight=2.5)

    assert {line.get("weight") for line in lines if _asked(line).startswith("The ##")} == {2.5}
    assert {line.get("weight") for line in lines if not _asked(line).startswith("The ##")} == {None}


def test_mentions_are_swapped_for_others_of_their_type(written):
    _, lines = written(swap=0.5, classifier_share=0, copying_share=0, join=0)
    answers = {line["answer"] for line in lines}

    assert any("floods ##Turin##" in answer for answer in answers)
    assert any("##Bob##" in answer and "##Ada##" not in answer for answer in answers)
    assert not any("floods ##Ada##" in answer for answer in answers)


def test_a_vague_mention_is_miscellaneous_and_never_stands_against_finer_types(written):
    _, lines = written(classifier_share=1, copying_share=0, swap=0)
    vague = [_asked(line) for line in lines if _asked(line).lower().startswith("the ##danube##")]
    answers = Counter(line["answer"] for line in lines if _asked(line).startswith("The ##Danube##"))

    assert len(vague) > 100
    assert set(answers) <= {"miscellaneous", "other", "misc"}
    assert not any("event" in question.split("first list:")[1] for question in vague)


def test_rows_held_out_are_not_in_it(written):
    _, lines = written(held_out={"a": 2}, swap=0, copying_share=0)

    assert not any("Ada" in _asked(line) for line in lines)
    assert any("Danube" in _asked(line) for line in lines)


def test_our_own_sentences_take_part(written):
    made, lines = written(grammar_weight=5, grammar_sentences=400)

    assert made.rows > 300
    assert len({_asked(line) for line in lines}) > 1000


def test_the_same_seed_gives_the_same_bytes(written):
    assert written(seed=3)[1] == written(seed=3)[1] != written(seed=4)[1]


def test_tokenised_text_becomes_natural_and_entities_stay_what_they_are():
    spans = [(TEXT.index(name), TEXT.index(name) + len(name)) for name in ("Ada", "Bob", "Turin")]
    sentence = Sentence(TEXT, tuple(Entity(start, end, TEXT[start:end], "x") for start, end in spans))
    made = natural(sentence)

    assert made.text == '"Ada" met Bob (of Turin), didn\'t she?'
    assert [entity.text for entity in made.entities] == ["Ada", "Bob", "Turin"]
    assert all(made.text[entity.start : entity.end] == entity.text for entity in made.entities)


@given(st.text(alphabet="ab \"(),.'s", max_size=40), st.data())
def test_only_blanks_are_ever_taken_out(text, data):
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    made = natural(Sentence(text, (Entity(start, end, text[start:end], "x"),)))

    assert made.text.replace(" ", "") == text.replace(" ", "")
    [entity] = made.entities
    assert made.text[entity.start : entity.end] == entity.text
    assert entity.text.replace(" ", "") == text[start:end].replace(" ", "")
