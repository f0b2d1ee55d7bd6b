"""Answers as models and people write them, each for a kind: what is read, with which verdict, and why."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ner_ray.families import instruct
from ner_ray.families.toolkit import lines
from ner_ray.families.toolkit.answers import list_entities
from ner_ray.families.toolkit.guide import Guide
from ner_ray.families.toolkit.lines import read_lines
from ner_ray.synth import teacher
from ner_ray.types import Completion, Exchange, Label, Prompt, StepInput, Verdict
from tests.families.data import family_steps, named, read, tagger

TEXT = "Mia Berg of Nord Bank flew to Oslo with Tom. The name of the start-up is Kiwi."
PASSAGE = StepInput(TEXT, tuple(map(Label, ("person", "place", "organization"))))
LINES = [
    f"{lead}{words}{tail}"
    for lead in ("", "- ", "2. ")
    for words in (
        "Ida",
        "Mia Berg",
        "Mia",
        "none",
        "type",
        "Q 1",
        "Answer",
        "people",
        "art and Tom",
        "No man",
        "label 2",
    )
    for tail in ("", ": person", " (work of art)", ": none", ": dog", ":")
]
MIA, OSLO, TOM = ("Mia Berg", "person"), ("Oslo", "place"), ("Tom", "person")


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ('{"Mia Berg": "person"}\n{"Oslo": "place"}', [MIA, OSLO]),
        ('```json\n[{"Mia Berg": "person"}]\n```\nand\n```json\n[{"Oslo": "place"}]\n```', [MIA, OSLO]),
        ('Format: [{"name": "type"}]. Answer: [{"Mia Berg": "person"}]', [MIA]),
        ('Types: ["person", "place"]. Entities: [["Oslo", "place"]]', [OSLO]),
        ('First try: [{"Tom": "place"}]\nWait, he is a person.\nFinal: [{"Tom": "person"}]', [TOM]),
        ('[{"val": 1, "value": "Mia Berg", "type": "person", "start": 0, "end": 8}]', [MIA]),
        ('{"person": [{"name": "Mia Berg", "start": 0}], "place": null}', [MIA]),
        ('[{"type": "person", "entities": ["Mia Berg", "Tom"]}]', [MIA, TOM]),
        ('[{"label": ["person"], "text": "Tom"}]', [TOM]),
        ('{"person": "Tom"}', [TOM]),
        ('[["Oslo", "place", 6, 6], ["Tom", "person", 8, 8]]', [OSLO, TOM]),
        ('[("Mia", "B-person"), ("Berg", "I-person"), ("flew", "O"), ("Oslo", "B-place")]', [MIA, OSLO]),
        ("**Person**: Mia Berg\n**Place**: Oslo\n**Organization**: none", [MIA, OSLO]),
        ('person: ["Mia Berg", "Tom"]\nplace: Oslo', [MIA, TOM, OSLO]),
        ("People:\n- Mia Berg\n- Tom\n\nPlaces:\n1. Oslo", [MIA, TOM, OSLO]),
        ("1. Mia Berg (person)\n2. Oslo (place)", [MIA, OSLO]),
        ("The entities are Mia Berg (person), Oslo (place) and Tom (person).", [MIA, OSLO, TOM]),
        ("1. Entity: Tom\n   Type: person\n2. Entity: Oslo\n   Type: place", [TOM, OSLO]),
        ("1. Tom | True | person | a man\n2. flew | False | ==NONE== | a verb", [TOM]),
        ('("entity"<|>Oslo<|>place<|>a city)##\n("entity"<|>Tom<|>person<|>a man)<|COMPLETE|>', [OSLO, TOM]),
        ('("entity"<|>"Oslo"<|>"place"<|>"a city (big)")("entity"<|>"Tom"<|>"person"<|>"x")', [OSLO, TOM]),
        ("entity<|#|>Oslo<|#|>place<|#|>not a <|> b\nentity<|#|>Tom<|#|>person<|#|>x", [OSLO, TOM]),
        ('("entity"‡Oslo‡place‡city)‡‡("entity"‡Tom‡person‡man)', [OSLO, TOM]),
        ('{"function": "add", "params": {"entity": "Tom", "type": "person"}}', [TOM]),
        ("Tom: person\n\nText: Ida bought a red car.\nLabel: Ida: person", [TOM]),
        ("<person>Tom</person> went to <place>Oslo</place>", [TOM, OSLO]),
        ('{"extractions": [{"person": "Tom", "person_attributes": {"role": "guest"}}]}', [TOM]),
        ('{"entities": [{"id": "Tom", "type": "person"}]}', [TOM]),
    ],
)
def test_a_chat_models_answer_is_read_whole(answer: str, found: list[tuple[str, str]]) -> None:
    reading = read(tagger("instruct"), PASSAGE, answer)

    assert (named(reading), reading.dropped) == (found, ())


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ('[{"name": "Mia Berg"}]', ["Mia Berg"]),
        ('{"person": ["Mia Berg", "Tom"]}', ["Mia Berg", "Tom"]),
        ('[["Mia Berg", "Tom"]]', ["Mia Berg", "Tom"]),
        ('["Mia Berg"]\n["Tom"]', ["Mia Berg", "Tom"]),
        ('Types: ["person"]. Answer: ["Tom"]', ["Tom"]),
        ('<think>["Oslo"] is none</think>["Tom"]', ["Tom"]),
    ],
)
def test_an_answer_about_one_label_names_entities_and_never_keys(answer: str, found: list[str]) -> None:
    reading = read(tagger("universal_ner", wrapper="chat"), StepInput(TEXT, (Label("person"),)), answer)

    assert [mention.text for mention in reading.mentions] == found


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ("Mia Berg is a person. Oslo is a place.", [MIA, OSLO]),
        ("The people mentioned are Mia Berg and Tom; the place is Oslo.", [MIA, TOM, OSLO]),
        ("Q: Which persons are there?\nA: Mia Berg, Tom\nQ: Which place?\nA: Oslo", [MIA, TOM, OSLO]),
        ("Q: Is Tom a person?\nA: Yes.\nQ: Is Oslo a person?\nA: No.", [TOM]),
        ("[Mia Berg | person], [Oslo | place]", [MIA, OSLO]),
        ("(person, Tom)\n(Oslo, place)", [TOM, OSLO]),
        ('{"result": "[{\\"entity\\": \\"Tom\\", \\"type\\": \\"person\\"}]"}', [TOM]),
        ("<plan>Oslo: person?</plan><step>Tom is a person</step>\nTom: person", [TOM]),
        ('[{"Tom": "person"}]\n\nText: Ida lives in Bergen.\nEntities: [{"Oslo": "place"}]', [TOM]),
        ('[{"Tom": "person"}]<|im_end|>\n<|im_start|>user\n["Oslo", "place"]', [TOM]),
    ],
)
def test_sentences_questions_and_what_stands_around_answers_are_told_apart(
    answer: str, found: list[tuple[str, str]]
) -> None:
    reading = read(tagger("instruct"), PASSAGE, answer)

    assert (named(reading), reading.dropped) == (found, ())


@pytest.mark.parametrize(
    "answer",
    [
        "Tom may be a person.",
        "Tom is not a person.",
        "Is Tom a person?",
        "This is a person.",
        "There is no person; Oslo could be a place.",
        "Answer:\nI cannot help with that.",
    ],
)
def test_a_sentence_that_states_no_label_names_no_entity(answer: str) -> None:
    assert read(tagger("instruct"), PASSAGE, answer).mentions == ()


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ("@@Mia Berg## of Nord Bank flew to Oslo with @@Tom##.", ["Mia Berg", "Tom"]),
        (TEXT.replace("Tom", "**Tom**"), ["Tom"]),
        ("A: Mia Berg, Tom", ["Mia Berg", "Tom"]),
        ("[Mia Berg | Tom]", ["Mia Berg", "Tom"]),
        ("The persons in the text are Mia Berg and Tom.", ["Mia Berg", "Tom"]),
    ],
)
def test_one_label_is_answered_with_marks_and_sentences_too(answer: str, found: list[str]) -> None:
    reading = read(tagger("universal_ner", wrapper="chat"), StepInput(TEXT, (Label("person"),)), answer)

    assert [mention.text for mention in reading.mentions] == found


def test_a_dash_for_nothing_is_no_entity_of_a_passage_with_a_hyphen_in_a_word() -> None:
    reading = read(tagger("instruct"), PASSAGE, "person: Tom\nplace: -\norganization: -")

    assert (named(reading), reading.dropped) == ([TOM], ())


def test_a_full_stop_that_the_passage_abbreviates_with_belongs_to_the_entity() -> None:
    passage = StepInput("The U.S. team met in Oslo.", PASSAGE.labels)

    reading = read(tagger("instruct"), passage, "- [place] U.S.\n- [place] Oslo.")

    assert [mention.text for mention in reading.mentions] == ["U.S.", "Oslo"]


def test_an_answer_that_ran_on_to_the_limit_is_whole() -> None:
    answer = "Tom: person\n\nText: Ida lives in a small village.\nEntities: Ida"

    reading = read(tagger("instruct"), PASSAGE, answer, finish_reason="length")

    assert (named(reading), reading.verdict) == ([TOM], Verdict.RECOVERED)
    assert "continuation" in reading.repairs


@pytest.mark.parametrize("subject", ["", "person"])
@given(st.lists(st.sampled_from(LINES), min_size=1, max_size=5).map("\n".join))
def test_lines_of_words_are_read_as_any_other_lines(subject: str, answer: str) -> None:
    guide = Guide(("person", "place", "work of art"), TEXT, subject)
    quick = read_lines(answer, guide)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(lines, "_PLAIN", re.compile(r"(?!)"))
        slow = read_lines(answer, guide)

    assert quick == slow


def test_an_entity_that_is_given_another_label_than_the_one_asked_for_is_dropped() -> None:
    passage = StepInput(TEXT, (Label("person"), Label("place")))
    reading = read(tagger("ra_it"), passage, '[{"Tom": "person"}, {"Oslo": "place"}]', "[]")

    assert named(reading) == [TOM]
    assert [(mention.text, mention.label) for mention in reading.dropped] == [OSLO]


def test_without_a_label_set_the_passage_tells_the_sides_or_the_reading_says_that_nothing_does() -> None:
    step = tagger("instruct", prompt="annotation")

    told = read(step, StepInput(TEXT, ()), '{"traveller": "Mia Berg"}')
    untold = read(step, StepInput(TEXT, ()), '{"Mia": "Berg"}')

    assert (named(told), told.repairs) == ([("Mia Berg", "traveller")], ("sides",))
    assert (untold.verdict, untold.repairs) == (Verdict.RECOVERED, ("unclear",))


def test_a_mention_without_a_label_is_dropped_and_the_verdict_is_not_ok() -> None:
    reading = read(tagger("instruct"), PASSAGE, '[{"entity": "Tom"}, {"Oslo": "place"}]')

    assert (named(reading), [mention.text for mention in reading.dropped]) == ([OSLO], ["Tom"])
    assert (reading.verdict, reading.repairs) == (Verdict.RECOVERED, ("untyped",))


@pytest.mark.parametrize("name", ["instruct", "b2ner", "universal_ner", "ra_it", "gner", "cascade"])
def test_no_answer_at_the_limit_is_truncated_and_the_error_is_not_empty(name: str) -> None:
    options = {} if name in {"instruct", "cascade", "gner"} else {"wrapper": "chat"}
    step = family_steps(name, **options)[0]
    passage = StepInput(TEXT, (Label("person"),))

    reading = read(step, passage, "", finish_reason="length")

    assert reading.verdict is Verdict.TRUNCATED
    assert reading.errors[0].message.strip()


def test_a_teachers_negatives_are_empty_answers() -> None:
    said = Exchange(Prompt(()), (Completion("There are no entities in this passage."),))

    answer = teacher.read("It rained.", [said], instruct.Options(prompt="annotation"))

    assert (answer.mentions, answer.verdicts, answer.errors) == ((), (Verdict.RECOVERED,), ())


@pytest.mark.parametrize("name", ["gner", "cascade"])
def test_a_copy_of_the_text_is_read_behind_thoughts(name: str) -> None:
    answers = {
        "gner": "<think>Oslo(B-person)?</think>Tom(B-person) left(O)",
        "cascade": "<think>##Oslo##?</think>##Tom## left",
    }
    step = family_steps(name)[0]

    reading = read(step, StepInput("Tom left", (Label("person"),)), answers[name])

    assert [mention.text for mention in reading.mentions] == ["Tom"]


def test_a_mark_of_thought_that_the_passage_holds_is_text() -> None:
    text = "The model wrote </think> before Oslo."
    reading = read(tagger("instruct"), StepInput(text, (Label("place"), Label("tag"))), '[{"</think>": "tag"}]')

    assert named(reading) == [("</think>", "tag")]


def test_a_score_is_that_of_the_answers_own_tokens() -> None:
    answer = '<think>Oslo?</think>[{"Tom": "person"}]'
    completion = Completion(answer, token_ends=(answer.index("["), len(answer)), logprobs=(-9.0, 0.0))
    step = tagger("instruct")

    (reading,) = step.read(PASSAGE, [Exchange(step.ask(PASSAGE, ())[0], (completion,))])

    assert reading.mentions[0].score == pytest.approx(1.0)


def test_an_open_answer_has_its_entities_on_one_side() -> None:
    """A surface that the passage spells otherwise, beside a label that the passage contains, is still the entity."""
    text = "The company holds the certificate ISO9001：2008, and Ann Lee runs it."
    rows = [{"ISO9001:2008": "certificate"}, {"Ann Lee": "person"}, {"The company": "organization"}]
    turned = [{"certificate": "ISO9001:2008"}, {"person": "Ann Lee"}, {"organization": "The company"}]

    for written in (rows, turned):
        found = list_entities(json.dumps(written), Guide((), text)).items
        assert [(item.entity.value, item.label.value) for item in found] == [
            ("ISO9001:2008", "certificate"),
            ("Ann Lee", "person"),
            ("The company", "organization"),
        ]


@pytest.mark.parametrize(
    "unit",
    ['["Ann"]\n', '{"Ann": "person"}\n', '[["Ann", "person"]] ', "- Ann (person)\n", "Ann: person\n"],
)
def test_what_an_answer_repeats_is_read_again_with_its_own_offsets(unit: str) -> None:
    guide = Guide(("person", "place"), "Ann met Bo.")
    once = list_entities(unit, guide).items

    found = list_entities(unit * 3, guide).items

    assert found == tuple(item.moved(number * len(unit)) for number in range(3) for item in once)


def test_repeated_lines_belong_to_the_heading_above_them() -> None:
    answer = "### person\n- Ann\n- Ann\n### place\n- Ann\n"

    found = list_entities(answer, Guide(("person", "place"), "Ann met Ann in Ann."))

    assert [(item.entity.start, item.label and item.label.value) for item in found.items] == [
        (13, "person"),
        (19, "person"),
        (35, "place"),
    ]
