"""CascadeNER: marks, questions level by level, and what an unknown answer costs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given

from ner_ray.families.base import Step
from ner_ray.families.toolkit.marks import delimitable, mark, unmark
from ner_ray.types import Completion, Entity, ErrorRecord, Exchange, Label, Message, Prompt, Reading, StepInput, Verdict
from tests.families.data import LABELS, TREE, annotated, entities, family_steps, named

TEXT = "Rex saw Ann; Ann saw Ghent."
FOUND = tuple(entities(TEXT, ("Rex", ""), ("Ann", ""), ("Ann", ""), ("Ghent", "")))
DEEP = StepInput(TEXT, TREE, entities=FOUND)
FLAT = StepInput(TEXT, LABELS, entities=FOUND)


def extractor(**options: Any) -> Step:
    return family_steps("cascade", **options)[0]


def classifier(**options: Any) -> Step:
    return family_steps("cascade", **options)[1]


def converse(step: Step, passage: StepInput, answers: dict[str, Sequence[str]]) -> list[Exchange]:
    """All rounds of questions; each surface is answered from its list."""
    left = {surface: list(given) for surface, given in answers.items()}
    transcript: list[Exchange] = []
    while prompts := step.ask(passage, transcript):
        transcript += [Exchange(prompt, (Completion(left[prompt.subject].pop(0)),)) for prompt in prompts]
    return transcript


def classify(passage: StepInput, answers: dict[str, Sequence[str]], **options: Any) -> Reading:
    step = classifier(**options)
    (reading,) = step.read(passage, converse(step, passage, answers))
    return reading


def extract(text: str, answer: str, finish_reason: str = "stop") -> Reading:
    (reading,) = extractor().read(StepInput(text, ()), [Exchange(Prompt(""), (Completion(answer, finish_reason),))])
    return reading


def question(prompt: Prompt) -> str:
    assert not isinstance(prompt.content, str)
    return prompt.content[-1].content


def test_the_extractor_is_given_the_text_alone() -> None:
    (prompt,) = extractor().ask(StepInput(TEXT, LABELS), ())
    (bare,) = extractor(system="").ask(StepInput(TEXT, LABELS), ())

    assert prompt.content == (Message("system", "You are a helpful assistant."), Message("user", TEXT))
    assert bare.content == (Message("user", TEXT),)


def test_marks_are_read_where_they_stand() -> None:
    reading = extract("Ann saw Ann", "Ann saw ##Ann##")

    assert [(mention.text, mention.label, mention.start, mention.end) for mention in reading.mentions] == [
        ("Ann", "", 8, 11)
    ]
    assert reading.copy == "Ann saw Ann"
    assert reading.verdict == Verdict.OK


@pytest.mark.parametrize(
    ("text", "answer", "found"),
    [
        ("Ann saw Bo", "##Ann## saw ##Bo", ["Ann"]),
        ("Ann saw Bo", "##Ann saw ##Bo##", ["Bo"]),
        ("Bank of Ghent", "##Bank of ##Ghent####", ["Bank of Ghent"]),
        ("Ann saw", "####Ann#### saw", ["Ann"]),
        ("Ann saw", "####Ann## saw", ["Ann"]),
        ("Ann saw", "###Ann## saw", ["Ann"]),
        ("Ann saw", "## ##Ann saw", []),
    ],
)
def test_marks_out_of_turn_are_recovered(text: str, answer: str, found: list[str]) -> None:
    reading = extract(text, answer)

    assert [mention.text for mention in reading.mentions] == found
    assert reading.copy is not None
    assert reading.copy.split() == text.split()
    assert reading.verdict == Verdict.RECOVERED


@pytest.mark.parametrize(
    ("text", "answer", "found"),
    [
        ("C# and C", "##C### and ##C##", ["C#", "C"]),
        ("## News\nAnn", "## News\n##Ann##", ["Ann"]),
        ("## News\nAnn", "##News\n##Ann##", ["Ann"]),
        ("#Ghent in #Gent#", "###Ghent## in ###Gent###", ["#Ghent", "#Gent"]),
        ("#话题#好", "###话题###好", ["话题"]),
        ("C#C", "##C#####C##", ["C#", "C"]),
        ("Ann## Bo", "Ann## ##Bo##", ["Bo"]),
        ("a ## b ## c", "a ## b ## c", []),
        ("北京大学", "##北京####大学##", ["北京", "大学"]),
        ("in New York now", "in ## New York ## now", ["New York"]),
    ],
)
def test_a_texts_own_hashes_are_no_marks(text: str, answer: str, found: list[str]) -> None:
    reading = extract(text, answer)

    assert [mention.text for mention in reading.mentions] == found


def test_a_copy_that_deviates_is_still_read() -> None:
    """The text's own hashes are found by comparison, which a changed word does not upset."""
    reading = extract("use C# with the new tools", "use ##C### with teh old and new tools")

    assert [mention.text for mention in reading.mentions] == ["C#"]


def test_an_answer_without_marks_is_no_entity_if_it_is_a_copy_and_unparsable_if_not() -> None:
    copied = extract(TEXT, TEXT)
    refused = extract(TEXT, "I'm sorry, but I can't help with this.")
    empty = extract(TEXT, "")

    assert (copied.mentions, copied.verdict) == ((), Verdict.OK)
    assert refused.verdict == empty.verdict == Verdict.UNPARSABLE
    assert refused.errors == (ErrorRecord("unparsable", "extractor", "I'm sorry, but I can't help with this."),)


def test_a_cut_copy_keeps_what_was_marked() -> None:
    reading = extract(TEXT, "##Rex## saw ##An", finish_reason="length")

    assert [mention.text for mention in reading.mentions] == ["Rex"]
    assert reading.verdict == Verdict.TRUNCATED


def test_every_sample_of_the_extractor_is_a_reading_of_its_own() -> None:
    samples = (Completion("##Rex## saw Ann; Ann saw Ghent."), Completion("Rex saw ##Ann##; Ann saw Ghent."))

    readings = extractor().read(StepInput(TEXT, ()), [Exchange(Prompt(""), samples)])

    assert [[mention.text for mention in reading.mentions] for reading in readings] == [["Rex"], ["Ann"]]


def test_the_extractors_score_is_the_probability_of_the_marked_span() -> None:
    completion = Completion("##Rex## ran", token_ends=(2, 5, 7, 11), logprobs=(-9.0, -0.3, -9.0, -9.0))

    (reading,) = extractor().read(StepInput("Rex ran", ()), [Exchange(Prompt(""), (completion,))])

    assert reading.mentions[0].score == pytest.approx(math.exp(-0.3))


@given(annotated())
def test_spans_come_back_from_their_marks(case: tuple[str, list[Entity]]) -> None:
    text, gold = case
    spans = [(entity.start, entity.end) for entity in gold if "#" not in entity.text]
    if "#" in text:
        spans = delimitable(text, spans)

    copy, found, clean = unmark(mark(text, spans), text)

    assert copy == text
    assert [(entity.start, entity.end) for entity in found] == spans
    assert clean


def test_each_surface_is_asked_about_once_and_level_by_level() -> None:
    step = classifier()
    first = step.ask(DEEP, ())
    answers = {"Rex": "being", "Ann": "being", "Ghent": "place"}
    transcript = [Exchange(prompt, (Completion(answers[prompt.subject]),)) for prompt in first]

    second = step.ask(DEEP, transcript)

    assert [prompt.subject for prompt in first] == ["Rex", "Ann", "Ghent"]
    assert [question(prompt) for prompt in first][1] == (
        f'The ##Ann## in the sentence: "{TEXT}" belong to which entity in the first list: being, place?'
    )
    assert [question(prompt) for prompt in second] == [
        f'The ##rex## in the sentence: "{TEXT}" belong to which entity in the second list: person, animal?',
        f'The ##ann## in the sentence: "{TEXT}" belong to which entity in the second list: person, animal?',
        f'The ##ghent## in the sentence: "{TEXT}" belong to which entity in the second list: city, other?',
    ]


@pytest.mark.parametrize(
    ("wording", "expected"),
    [
        ("infer", f'The ##Ann## in the sentence: "{TEXT}" belong to which entity in the first list: x, y?'),
        ("infer_lower", f'The ##ann## in the sentence: "{TEXT}" belong to which entity in the first list: x, y'),
        (
            "training",
            (
                'The ##Ann## in the sentence: "Rex saw ##Ann##; ##Ann## saw Ghent." belongs to which entity '
                "in the list: x, y?"
            ),
        ),
    ],
)
def test_the_published_wordings_are_options(wording: str, expected: str) -> None:
    passage = StepInput(TEXT, (Label("X"), Label("Y")), entities=FOUND)

    assert question(classifier(wording=wording).ask(passage, ())[1]) == expected


def test_the_answer_may_be_held_to_the_list() -> None:
    passage = StepInput(TEXT, (Label("Äpfel"), Label("B")), entities=FOUND)

    assert classifier().ask(passage, ())[0].choices == ("äpfel", "b")
    assert classifier(lower_labels=False).ask(passage, ())[0].choices == ("Äpfel", "B")
    assert classifier(constrained=False).ask(passage, ())[0].choices == ()


def test_an_answer_goes_to_every_repeat_of_its_surface() -> None:
    answers = {"Rex": ["being", "animal", "dog"], "Ann": ["being", "person"], "Ghent": ["place", "city"]}
    reading = classify(DEEP, answers)

    assert [(mention.text, mention.label, mention.start) for mention in reading.mentions] == [
        ("Rex", "dog", 0),
        ("Ann", "person", 8),
        ("Ann", "person", 13),
        ("Ghent", "city", 21),
    ]
    assert (reading.copy, reading.verdict) == (TEXT, Verdict.OK)


def test_a_name_that_two_leaves_share_comes_back_as_its_path() -> None:
    answers = {"Rex": ["being", "animal", "other"], "Ann": ["being", "person"], "Ghent": ["place", "other"]}

    assert named(classify(DEEP, answers))[0] == ("Rex", "being->animal->other")
    assert named(classify(DEEP, answers))[-1] == ("Ghent", "place->other")


def test_levels_beyond_the_published_three_go_on() -> None:
    label = Label("leaf")
    for number in range(11, -1, -1):
        label = Label(f"l{number}", children=(label,))
    passage = StepInput("Ann", (label,), entities=tuple(entities("Ann", ("Ann", ""))))
    step = classifier()
    transcript = converse(step, passage, {"Ann": [*(f"l{number}" for number in range(12)), "leaf"]})

    asked = [question(exchange.prompt).split(" in the ")[2].split(" list")[0] for exchange in transcript]

    assert [*asked[:4], *asked[-4:]] == ["first", "second", "third", "fourth", "tenth", "11th", "12th", "13th"]
    assert named(step.read(passage, transcript)[0]) == [("Ann", "leaf")]


@pytest.mark.parametrize(
    ("answer", "label"),
    [
        ("Person", "person"),
        (" person\n", "person"),
        ('"person".', "person"),
        ("- **person**", "person"),
        ("It belongs to: place", "place"),
        ("The answer is work of art.", "work of art"),
    ],
)
def test_an_answer_is_found_in_what_surrounds_it(answer: str, label: str) -> None:
    reading = classify(FLAT, {"Rex": [answer], "Ann": ["person"], "Ghent": ["place"]})

    assert named(reading)[0] == ("Rex", label)
    assert reading.verdict == (Verdict.OK if answer.strip().lower() == label else Verdict.RECOVERED)


@pytest.mark.parametrize("answer", ["dragon", "", "person or place", "personal"])
def test_an_unknown_answer_costs_that_entity_and_no_other(answer: str) -> None:
    reading = classify(FLAT, {"Rex": ["person"], "Ann": [answer], "Ghent": ["place"]})

    assert named(reading) == [("Rex", "person"), ("Ghent", "place")]
    assert [(mention.text, mention.start) for mention in reading.dropped] == [("Ann", 8), ("Ann", 13)]
    assert reading.errors == (ErrorRecord("unknown_label", "classifier", answer),)


def test_an_unknown_answer_on_a_lower_level_costs_that_entity_and_no_other() -> None:
    answers = {"Rex": ["being", "dragon"], "Ann": ["being", "person"], "Ghent": ["place", "city"]}
    reading = classify(DEEP, answers)

    assert [mention.text for mention in reading.mentions] == ["Ann", "Ann", "Ghent"]
    assert [mention.text for mention in reading.dropped] == ["Rex"]


@pytest.mark.parametrize(("policy", "label"), [("keep", "beings"), ("nearest", "person")])
def test_an_unknown_answer_follows_the_policy(policy: str, label: str) -> None:
    answers = {"Rex": ["beings", "persons"], "Ann": ["being", "person"], "Ghent": ["place", "city"]}
    reading = classify(DEEP, answers, outside_labels=policy)

    assert named(reading)[0] == ("Rex", label)
    assert reading.dropped == ()
    assert reading.verdict == Verdict.RECOVERED


def test_the_score_multiplies_the_entitys_and_those_of_all_levels() -> None:
    passage = StepInput("Ann", TREE, entities=(Entity(0, 3, "Ann", "", score=0.5),))
    step = classifier()
    transcript: list[Exchange] = []
    for answer, logprob in (("being", -0.1), ("person", -0.2)):
        (prompt,) = step.ask(passage, transcript)
        transcript.append(Exchange(prompt, (Completion(answer, "stop", (len(answer),), (logprob,)),)))

    (reading,) = step.read(passage, transcript)

    assert reading.mentions[0].score == pytest.approx(0.5 * math.exp(-0.3))


def test_tokens_that_the_list_forces_add_nothing_to_the_classifiers_score() -> None:
    passage = StepInput("Ann", LABELS, entities=(Entity(0, 3, "Ann", ""),))
    step = classifier()
    (prompt,) = step.ask(passage, ())
    forced = Completion("person", token_ends=(1, 3, 6, 6), logprobs=(math.log(0.4), 0.0, 0.0, 0.0))

    (reading,) = step.read(passage, [Exchange(prompt, (forced,))])

    assert reading.mentions[0].score == pytest.approx(0.4)


def test_of_several_answers_of_the_classifier_the_majority_decides_and_its_share_counts() -> None:
    passage = StepInput("Ann", LABELS, entities=(Entity(0, 3, "Ann", ""),))
    step = classifier()
    (prompt,) = step.ask(passage, ())
    samples = tuple(Completion(answer) for answer in ("place", "person", "?", "person"))

    (reading,) = step.read(passage, [Exchange(prompt, samples)])

    assert [(mention.label, mention.score) for mention in reading.mentions] == [("person", 0.5)]


def test_a_surface_that_no_engine_answered_for_is_dropped_with_a_problem() -> None:
    step = classifier()
    prompts = step.ask(FLAT, ())
    transcript = [Exchange(prompts[0], (Completion("person"),)), *(Exchange(prompt, ()) for prompt in prompts[1:])]

    (reading,) = step.read(FLAT, transcript)

    assert step.ask(FLAT, transcript) == []
    assert named(reading) == [("Rex", "person")]
    assert [problem.code for problem in reading.errors] == ["unanswered", "unanswered"]


def test_of_a_surface_with_two_labels_the_ideal_answer_says_the_first() -> None:
    gold = entities(TEXT, ("Ann", "person"), ("Ann", "place"))
    transcript = classifier().targets(StepInput(TEXT, LABELS), gold).exchanges

    assert [(exchange.prompt.subject, exchange.completions[0].text) for exchange in transcript] == [("Ann", "person")]


def test_an_entity_that_marks_cannot_delimit_is_left_out_of_the_ideal_answer() -> None:
    text = "C# and #tag in Bo "
    gold = entities(text, ("C", "x"), ("tag", "x"), ("Bo ", "x"))

    assert extractor().targets(StepInput(text, ()), gold).exchanges[0].completions[0].text == "C# and #tag in ##Bo## "


def test_a_question_may_hold_the_entitys_own_sentence_alone() -> None:
    text = "Rex saw Ann in St. Gallen.  Ann was late!\nGhent is far."
    passage = StepInput(text, LABELS, entities=tuple(entities(text, ("Ann", ""), ("Ann", ""), ("Ghent", ""))))

    ann, ghent = (question(prompt) for prompt in classifier(context="sentence").ask(passage, ()))
    marked = question(classifier(context="sentence", wording="training").ask(passage, ())[0])

    assert '"Rex saw Ann in St. Gallen."' in ann
    assert '"Ghent is far."' in ghent
    assert '"Rex saw ##Ann## in St. Gallen."' in marked


@given(annotated())
def test_whatever_the_sentences_are_a_question_holds_its_entity(case: tuple[str, list[Entity]]) -> None:
    text, found = case
    for prompt in classifier(context="sentence").ask(StepInput(text, LABELS, entities=tuple(found)), ()):
        sentence = question(prompt).split('in the sentence: "', 1)[1].rsplit('" belong to', 1)[0]
        assert prompt.subject in sentence
        assert sentence in text


@pytest.mark.parametrize("lower", [True, False])
@pytest.mark.parametrize(
    "names", [("job title", "job_title"), ("ORG", "org"), ("Job Title", "job title", "job_title"), ("a  b", "a b")]
)
def test_labels_that_differ_only_in_spelling_stay_apart(names: tuple[str, ...], *, lower: bool) -> None:
    labels = tuple(map(Label, names))
    for name in names:
        passage = StepInput("Ann left", labels, entities=tuple(entities("Ann left", ("Ann", ""))))
        (prompt,) = classifier(lower_labels=lower).ask(passage, ())
        shown = prompt.choices[names.index(name)]

        assert len(set(prompt.choices)) == len(names)
        assert [mention.label for mention in classify(passage, {"Ann": [shown]}, lower_labels=lower).mentions] == [name]
