"""B2NER: prompts, the split of large label sets, and what its parser reads and repairs."""

from __future__ import annotations

import math

import pytest

from ner_ray.types import Completion, Exchange, Label, Message, StepInput, Verdict
from tests.families.data import DEMONSTRATIONS, LABELS, TREE, entities, named, read, shown, tagger

TEXT = "Ann saw Bob; Co in Ghent, Bruges and Jaws: 2"
PASSAGE = StepInput(TEXT, (Label("person"), Label("place"), Label("film: sequel"), Label("time")))


def test_the_english_prompt_is_the_released_one() -> None:
    (prompt,) = tagger("b2ner").ask(StepInput("Ann left.", LABELS), ())

    assert prompt.content == (
        "Given the label set of entities, please recognize all the entities in the text. The answer format "
        'should be "entity label: entity; entity label: entity". \n'
        "Label Set: person, place, work of art \n\nText: Ann left. \nAnswer:"
    )


def test_the_chat_wrapper_is_one_user_turn() -> None:
    (raw,) = tagger("b2ner").ask(PASSAGE, ())
    (chat,) = tagger("b2ner", wrapper="chat").ask(PASSAGE, ())

    assert chat.content == (Message("user", str(raw.content)),)


def test_a_label_tree_is_offered_by_paths_and_comes_back_as_leaves() -> None:
    step = tagger("b2ner")
    passage = StepInput("Ann and Rex", TREE)
    (prompt,) = step.ask(passage, ())

    reading = read(step, passage, " being->person: Ann; being->animal->other: Rex")

    assert "Label Set: being->person, being->animal->dog, being->animal->other, place->city" in shown(prompt)
    assert named(reading) == [("Ann", "person"), ("Rex", "being->animal->other")]


@pytest.mark.parametrize(("count", "sizes"), [(18, [18]), (19, [9, 10]), (26, [13, 13]), (37, [12, 12, 13])])
def test_large_label_sets_are_split_evenly_and_joined(count: int, sizes: list[int]) -> None:
    labels = tuple(Label(f"type {number}") for number in range(count))
    step = tagger("b2ner")
    passage = StepInput("Ann", labels)
    prompts = step.ask(passage, ())
    offered = [shown(prompt).split("Label Set: ")[1].split(" \n")[0].split(", ") for prompt in prompts]

    reading = read(step, passage, *(f" {group[0]}: Ann" for group in offered))

    assert [len(group) for group in offered] == sizes
    assert [name for group in offered for name in group] == [label.name for label in labels]
    assert named(reading) == [("Ann", group[0]) for group in offered]


def test_samples_are_joined_each_with_its_own_answers() -> None:
    step = tagger("b2ner", max_labels=2)
    prompts = step.ask(PASSAGE, ())
    samples = [(Completion(" person: Ann"), Completion(" None")), (Completion(" None"), Completion(" time: 2"))]

    transcript = [Exchange(prompt, answers) for prompt, answers in zip(prompts, samples, strict=True)]

    assert [named(reading) for reading in step.read(PASSAGE, transcript)] == [[("Ann", "person")], [("2", "time")]]


@pytest.mark.parametrize(
    ("language", "line"),
    [
        ("en", 'Label Description: person means "a human being" \n'),
        ("zh", '标签描述: person 是指 "a human being"\n'),
    ],
)
def test_descriptions_are_shown_where_a_label_has_one(language: str, line: str) -> None:
    (prompt,) = tagger("b2ner", language=language, descriptions=True).ask(StepInput("Ann", LABELS), ())

    assert line in shown(prompt)


def test_descriptions_need_a_language_that_has_a_template_for_them() -> None:
    with pytest.raises(ValueError, match="'de'"):
        tagger("b2ner", language="de", descriptions=True)


def test_demonstrations_stand_in_the_released_layout() -> None:
    (prompt,) = tagger("b2ner").ask(StepInput("Ann left.", LABELS, DEMONSTRATIONS), ())

    assert shown(prompt).endswith(
        "Below are some examples. \nLabel Set: person, place, work of art \n\n"
        "Text: Ida's dog sleeps in Ghent. \nAnswer: animal: Ida's dog; place: Ghent \n\n"
        "Text: Nobody came. \nAnswer: None \n\n"
        "Text: Ann left. \nAnswer:"
    )


def test_a_demonstration_shows_nothing_that_another_prompt_asks_for() -> None:
    first, second = tagger("b2ner", max_labels=2).ask(StepInput("Ann", LABELS, DEMONSTRATIONS[:1]), ())

    assert "Label Set: person \n\nText: Ida's dog sleeps in Ghent. \nAnswer: animal: Ida's dog \n" in shown(first)
    assert "Answer: animal: Ida's dog; place: Ghent \n" in shown(second)


@pytest.mark.parametrize("language", ["de", "nl", "es"])
def test_languages_without_a_few_shot_template_leave_demonstrations_out(language: str) -> None:
    step = tagger("b2ner", language=language)

    assert step.ask(StepInput("x", LABELS, DEMONSTRATIONS), ()) == step.ask(StepInput("x", LABELS), ())


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (" person: Ann; place: Ghent", [("Ann", "person"), ("Ghent", "place")]),
        ("person: Ann; person: Ann", [("Ann", "person"), ("Ann", "person")]),
        (" film: sequel: Jaws: 2", [("Jaws: 2", "film: sequel")]),
        (" time: 10:30", [("10:30", "time")]),
        (" None", []),
        ("None", []),
    ],
)
def test_a_clean_answer_is_read(answer: str, found: list[tuple[str, str]]) -> None:
    reading = read(tagger("b2ner"), PASSAGE, answer)

    assert named(reading) == found
    assert reading.verdict == Verdict.OK


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ("person：Ann；place：Ghent", [("Ann", "person"), ("Ghent", "place")]),
        ("PERSON: Ann", [("Ann", "person")]),
        ("person: Ann\nplace: Ghent", [("Ann", "person"), ("Ghent", "place")]),
        ("- person: Ann\n2. place: Ghent", [("Ann", "person"), ("Ghent", "place")]),
        ("Answer: person: Ann", [("Ann", "person")]),
        ("答案: person: Ann", [("Ann", "person")]),
        ("person: Bob; Co", [("Bob; Co", "person")]),
        ("place: Ghent, Bruges", [("Ghent, Bruges", "place")]),
        ("place: Bruges, Ghent", [("Bruges", "place"), ("Ghent", "place")]),
        ("Ann is a person; person: Ann", [("Ann", "person")]),
        ("none.", []),
    ],
)
def test_what_can_be_recovered_is(answer: str, found: list[tuple[str, str]]) -> None:
    reading = read(tagger("b2ner"), PASSAGE, answer)

    assert named(reading) == found
    assert reading.verdict == (Verdict.OK if found == [("Ghent, Bruges", "place")] else Verdict.RECOVERED)


@pytest.mark.parametrize("answer", ["", "I see nobody", "person:", ";;;"])
def test_an_answer_without_items_is_unparsable_and_kept(answer: str) -> None:
    reading = read(tagger("b2ner"), PASSAGE, answer)

    assert (reading.mentions, reading.verdict) == ((), Verdict.UNPARSABLE)
    assert reading.errors[0].message == answer


def test_a_cut_answer_keeps_its_complete_items() -> None:
    reading = read(tagger("b2ner"), PASSAGE, " person: Ann; place: Ghe", finish_reason="length")

    assert named(reading) == [("Ann", "person")]
    assert reading.verdict == Verdict.TRUNCATED


def test_a_label_outside_the_set_is_dropped_and_counted() -> None:
    reading = read(tagger("b2ner"), PASSAGE, " animal: Ann; person: Ann")

    assert named(reading) == [("Ann", "person")]
    assert [(mention.text, mention.label) for mention in reading.dropped] == [("Ann", "animal")]


def test_the_score_is_the_probability_of_label_and_entity() -> None:
    answer = " person: Ann; place: Ghent"
    completion = Completion(answer, token_ends=(8, 12, 13, len(answer)), logprobs=(-0.2, -0.4, -5.0, -1.0))
    step = tagger("b2ner")

    (reading,) = step.read(PASSAGE, [Exchange(step.ask(PASSAGE, ())[0], (completion,))])

    assert [mention.score for mention in reading.mentions] == pytest.approx([math.exp(-0.3), math.exp(-1.0)])


def test_the_ideal_answer_follows_the_text_and_leaves_out_what_it_cannot_say() -> None:
    passage = StepInput("Ann met Ann in Ghent", LABELS)
    gold = entities(passage.text, ("Ann", "person"), ("Ann", "person"), ("in", "unknown"), ("Ghent", "place"))
    (exchange,) = tagger("b2ner").targets(passage, reversed(gold)).exchanges

    assert exchange.completions[0].text == " person: Ann; person: Ann; place: Ghent"
    assert tagger("b2ner").targets(passage, []).exchanges[0].completions[0].text == " None"
