"""Any chat model: the published prompts, a user's own, and the lists it may answer with."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from ner_ray import plugins
from ner_ray.types import Completion, Exchange, Message, StepInput, Verdict
from tests.families.data import DEMONSTRATIONS, LABELS, entities, named, read, tagger

PASSAGE = StepInput("Ann saw Ghent.", LABELS)


def test_the_evaluation_prompt_holds_the_label_set() -> None:
    (prompt,) = tagger("instruct").ask(PASSAGE, ())

    assert prompt.content == (
        Message("system", "You are a helpful information extraction system."),
        Message(
            "user",
            "Given entity type set：[person, place, work of art]\n"
            "Based on the given entity type set, please extract all entities and identity their entity types from "
            "the given passage. The output should be in the following JSON format: "
            '[{"entity 1": "type of entity 1"}, ...].\nPassage: Ann saw Ghent.',
        ),
    )


def test_there_is_no_published_evaluation_prompt_for_tuples() -> None:
    with pytest.raises(ValueError, match="returns: json"):
        tagger("instruct", returns="tuples")


def test_demonstrations_are_earlier_turns() -> None:
    passage = StepInput("Ann saw Ghent.", LABELS, DEMONSTRATIONS)
    (prompt,) = tagger("instruct", prompt="annotation", returns="tuples").ask(passage, ())
    roles = [turn.role for turn in prompt.content]

    assert roles == ["system", "user", "assistant", "user", "assistant", "user"]
    assert [turn.content for turn in prompt.content][2::2] == [
        '[("Ida\'s dog", "animal"), ("Ghent", "place")]',
        "[]",
    ]
    assert [turn.content.split("\nPassage: ")[1] for turn in prompt.content[1::2]] == [
        "Ida's dog sleeps in Ghent.",
        "Nobody came.",
        "Ann saw Ghent.",
    ]


def test_a_prompt_of_the_users_own_comes_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(
        'system: Types are {labels}.\nuser: |-\n  {descriptions}\n  Find: {text}\n  as {"name": "type"}\n',
        encoding="utf-8",
    )
    (prompt,) = tagger("instruct", template=str(file)).ask(PASSAGE, ())

    assert prompt.content == (
        Message("system", "Types are person, place, work of art."),
        Message("user", 'person: a human being\nFind: Ann saw Ghent.\nas {"name": "type"}'),
    )


def test_the_record_of_a_run_holds_the_users_prompt_and_not_its_path(tmp_path: Path) -> None:
    """A worker on another machine builds the same family from it."""
    file = tmp_path / "mine.yaml"
    file.write_text("user: 'Find: {text}'\n", encoding="utf-8")
    options = plugins.load("families", "instruct").Options
    dumped = options(template=str(file)).model_dump(mode="json")
    file.unlink()

    assert dumped["template"] == {"user": "Find: {text}", "system": ""}
    assert options(**dumped).template.user == "Find: {text}"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("user: no placeholder", "must hold {text}"),
        ("user: '{text} {lables}'", "{lables}"),
        ("user: [", "cannot read"),
        ("usr: '{text}'", "usr"),
        ("just words", "template"),
    ],
)
def test_a_template_that_cannot_work_is_refused_when_it_is_loaded(tmp_path: Path, content: str, message: str) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(content, encoding="utf-8")

    with pytest.raises(ValueError, match=message):
        tagger("instruct", template=str(file))


def test_a_template_that_is_not_there_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"nowhere\.yaml"):
        tagger("instruct", template=str(tmp_path / "nowhere.yaml"))


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        ('[{"Ann": "person"}, {"Ghent": "place"}]', Verdict.OK),
        ('[("Ann", "person"), ("Ghent", "place")]', Verdict.OK),
        ('[["Ann", "person"], ["Ghent", "place"]]', Verdict.OK),
        ('{"Ann": "person", "Ghent": "place"}', Verdict.OK),
        ('[{"Ann": "person", "Ghent": "place"}]', Verdict.OK),
        ('[{"entity": "Ann", "type": "person"}, {"type": "place", "entity": "Ghent"}]', Verdict.OK),
        ('[{"entity 1": "Ann", "type of entity 1": "person"}, {"实体1": "Ghent", "实体1的类别": "place"}]', Verdict.OK),
        ('{"person": ["Ann"], "place": ["Ghent"], "work of art": []}', Verdict.OK),
        ('{"entities": [{"text": "Ann", "label": "person"}, {"text": "Ghent", "label": "place"}]}', Verdict.OK),
        ("[{'Ann': 'person'}, {'Ghent': 'place'}]", Verdict.RECOVERED),
        ('```json\n[{"Ann": "person"}, {"Ghent": "place"}]\n```', Verdict.RECOVERED),
        ('Here you are: [{"Ann": "Person"}, {"Ghent": "PLACE"}] Enjoy!', Verdict.RECOVERED),
        ('[{"Ann": "person"} {"Ghent": "place"},]', Verdict.RECOVERED),
        ("[{“Ann”：“person”}，{“Ghent”：“place”}]", Verdict.RECOVERED),
        ('[{"Ann": "person"}, {"Ghent": "place"}, {"Lie', Verdict.TRUNCATED),
        ('[("Ann", "person"), ("Ghent", "place"), ("Lie",', Verdict.TRUNCATED),
        ('[{"x": null, "Ann": "person", " ": "y", "Ghent": "place"}]', Verdict.RECOVERED),
    ],
)
def test_lists_of_all_forms_are_read(answer: str, verdict: Verdict) -> None:
    reading = read(tagger("instruct"), PASSAGE, answer)

    assert named(reading) == [("Ann", "person"), ("Ghent", "place")]
    assert reading.verdict == verdict


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        ("[]", Verdict.OK),
        ("{}", Verdict.OK),
        ("[{}]", Verdict.OK),
        ("None", Verdict.RECOVERED),
        ("无", Verdict.RECOVERED),
    ],
)
def test_nothing_may_be_said_in_several_ways(answer: str, verdict: Verdict) -> None:
    reading = read(tagger("instruct"), PASSAGE, answer)

    assert (reading.mentions, reading.verdict) == ((), verdict)


@pytest.mark.parametrize("answer", ["", "Ann may be a person.", '["Ann", "Ghent"]', "[1, 2]"])
def test_an_answer_without_pairs_is_unparsable_and_kept(answer: str) -> None:
    reading = read(tagger("instruct"), PASSAGE, answer)

    assert (reading.mentions, reading.verdict) == ((), Verdict.UNPARSABLE)
    assert reading.errors[0].message == answer


def test_what_a_model_thinks_before_it_answers_is_not_its_answer() -> None:
    answer = '<think>Is it [{"Ann": "place"}]? No.</think>\n[{"Ann": "person"}]'
    completion = Completion(answer, token_ends=(answer.index("</think>"), len(answer)), logprobs=(-5.0, -0.2))
    step = tagger("instruct")

    (reading,) = step.read(PASSAGE, [Exchange(step.ask(PASSAGE, ())[0], (completion,))])

    assert named(reading) == [("Ann", "person")]
    assert reading.mentions[0].score == pytest.approx(math.exp(-0.2))


def test_without_a_label_set_every_type_is_kept() -> None:
    reading = read(tagger("instruct", prompt="annotation"), StepInput("Ann", ()), '[{"Ann": "heroine"}]')

    assert named(reading) == [("Ann", "heroine")]
    assert reading.verdict == Verdict.OK


def test_with_a_label_set_other_types_follow_the_policy() -> None:
    dropped = read(tagger("instruct"), PASSAGE, '[{"Ann": "persons"}]')
    nearest = read(tagger("instruct", outside_labels="nearest"), PASSAGE, '[{"Ann": "persons"}]')

    assert (named(dropped), [mention.label for mention in dropped.dropped]) == ([], ["persons"])
    assert named(nearest) == [("Ann", "person")]


@pytest.mark.parametrize(
    ("returns", "expected"),
    [
        ("json", '[{"\\"Al\\"": "person"}, {"Ghent": "place"}]'),
        ("tuples", '[("\\"Al\\"", "person"), ("Ghent", "place")]'),
    ],
)
def test_the_ideal_answer_has_the_form_that_was_asked_for(returns: str, expected: str) -> None:
    passage = StepInput('"Al" in Ghent', LABELS)
    gold = entities(passage.text, ('"Al"', "person"), ("in", "preposition"), ("Ghent", "place"))
    step = tagger("instruct", prompt="annotation", returns=returns)

    assert step.targets(passage, gold).exchanges[0].completions[0].text == expected


def test_every_label_is_a_target_where_there_is_no_set() -> None:
    passage = StepInput("Ann", ())
    (exchange,) = (
        tagger("instruct", prompt="annotation").targets(passage, entities("Ann", ("Ann", "heroine"))).exchanges
    )

    assert exchange.completions[0].text == '[{"Ann": "heroine"}]'
