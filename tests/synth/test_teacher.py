"""Questions to a teacher, its answers, and their places."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ner_ray.families import instruct
from ner_ray.synth import teacher
from ner_ray.types import Mention, Verdict
from tests.transcript import said

ASKED = instruct.Options(prompt="annotation")
TEXT = "Ada Byron met Charles Babbage in London. London was foggy."


def _pairs(answer: teacher.Answer) -> list[tuple[str, str]]:
    return [(mention.text, mention.label) for mention in answer.mentions]


def test_a_question_holds_the_passage_and_no_label_set():
    prompt = teacher.ask(TEXT, ASKED)

    assert prompt is not None
    assert prompt.content[-1].content.endswith(TEXT)


def test_a_blank_passage_is_not_asked_about():
    assert teacher.ask(" \n", ASKED) is None


def test_the_hash_tells_wordings_apart_and_not_passages():
    chinese = instruct.Options(prompt="annotation", language="zh")
    tuples = instruct.Options(prompt="annotation", language="zh", returns="tuples")

    assert len({teacher.prompt_hash(options) for options in (ASKED, chinese, tuples)}) == 3
    assert teacher.prompt_hash(ASKED) == teacher.prompt_hash(instruct.Options(prompt="annotation"))


def test_one_sample_keeps_its_order_and_its_repeats():
    answer = teacher.read(TEXT, said('[{"London": "city"}, {"Ada Byron": "person"}, {"London": "city"}]'), ASKED)

    assert _pairs(answer) == [("London", "city"), ("Ada Byron", "person"), ("London", "city")]
    assert answer.verdicts == (Verdict.OK,)


def test_pairs_as_tuples_are_read_as_well():
    answer = teacher.read(TEXT, said('[("London", "city"), ("Ada Byron", "person")]'), ASKED)

    assert _pairs(answer) == [("London", "city"), ("Ada Byron", "person")]


def test_the_score_is_the_share_of_samples_that_agree():
    samples = ['[{"London": "city"}, {"Ada Byron": "person"}]', '[{"London": "city"}]', '[{"London": "place"}]', "?"]

    answer = teacher.read(TEXT, said(*samples), ASKED)

    assert {(mention.text, mention.label): mention.score for mention in answer.mentions} == {
        ("London", "city"): 0.5,
        ("Ada Byron", "person"): 0.25,
        ("London", "place"): 0.25,
    }
    assert answer.verdicts[-1] is Verdict.UNPARSABLE
    assert [problem.message for problem in answer.errors] == ["?"]


def test_no_answer_is_no_mention():
    assert teacher.read(TEXT, [], ASKED) == teacher.Answer(())


def test_code_in_an_answer_is_not_run(tmp_path):
    target = tmp_path / "made"

    teacher.read(TEXT, said(f'[{{"a": __import__("pathlib").Path({str(target)!r}).touch()}}]'), ASKED)

    assert not target.exists()


def test_every_place_of_a_surface_is_found_and_what_is_not_there_is_told():
    placed = teacher.ground(TEXT, [Mention("London", "city"), Mention("Paris", "city")])

    assert [(entity.start, entity.end) for entity in placed.entities] == [(33, 39), (41, 47)]
    assert [mention.text for mention in placed.unaligned] == ["Paris"]


@given(st.text(max_size=80), st.lists(st.text(max_size=80), max_size=3))
def test_any_answer_to_any_passage_is_read_and_placed(text, answers):
    answer = teacher.read(text, said(*answers), ASKED)
    placed = teacher.ground(text, answer.mentions)

    assert len(answer.verdicts) == len(answers)
    assert all(text[entity.start : entity.end] == entity.text for entity in placed.entities)
