"""GNER: prompts, and what its parser reads and repairs."""

from __future__ import annotations

import math

import pytest

from ner_ray.align import align
from ner_ray.config import AlignConfig
from ner_ray.types import Completion, Demonstration, Exchange, Label, Message, StepInput, Verdict
from tests.families.data import TREE, entities, named, read, shown, tagger

LABELS = (Label("person"), Label("place"), Label("person (player)"))
PASSAGE = StepInput("Ann Lee left (old) Ghent, H(O) and C-4 in 東京都.", LABELS)


def test_the_prompt_is_the_released_one() -> None:
    (prompt,) = tagger("gner").ask(StepInput("Ann left Ghent.", LABELS[:2]), ())

    assert prompt.content == (
        "[INST] Please analyze the sentence provided, identifying the type of entity for each word on a "
        "token-by-token basis.\n"
        "Output format is: word_1(label_1), word_2(label_2), ...\n"
        "We'll use the BIO-format to label the entities, where:\n"
        "1. B- (Begin) indicates the start of a named entity.\n"
        "2. I- (Inside) is used for words within a named entity but are not the first word.\n"
        "3. O (Outside) denotes words that are not part of a named entity.\n"
        "\n"
        "Use the specific entity tags: person, place and O.\n"
        "Sentence: Ann left Ghent . [/INST]"
    )


def test_the_wrapper_is_an_option() -> None:
    passage = StepInput("Ann left.", LABELS[:1])
    (llama,) = tagger("gner").ask(passage, ())
    (bare,) = tagger("gner", wrapper="t5").ask(passage, ())
    (chat,) = tagger("gner", wrapper="chat").ask(passage, ())

    assert llama.content == f"[INST] {bare.content} [/INST]"
    assert chat.content == (Message("user", str(bare.content)),)


def test_a_dataset_has_a_line_of_its_own() -> None:
    (prompt,) = tagger("gner", dataset="toy").ask(StepInput("Ann left.", LABELS[:1]), ())

    assert "person and O.\nDataset: toy.\nSentence: Ann left ." in shown(prompt)


def test_a_label_tree_is_offered_by_its_leaves() -> None:
    (prompt,) = tagger("gner").ask(StepInput("Ann left.", TREE), ())

    assert "tags: person, dog, being->animal->other, city, place->other and O." in shown(prompt)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("hybrid", "Mr. O'Neil-Smith 在 東 京 へ 서 울 에 x_1 ."),
        ("released", "Mr . O ' Neil-Smith 在東京へ서울에 x_1 ."),
    ],
)
def test_words_are_split_as_configured(words: str, sentence: str) -> None:
    (prompt,) = tagger("gner", words=words).ask(StepInput("Mr. O'Neil-Smith 在東京へ서울에 x_1.", LABELS), ())
    expected = sentence.replace("Mr. O'Neil-Smith", "Mr . O ' Neil-Smith")

    assert shown(prompt).endswith(f"Sentence: {expected} [/INST]")


def test_demonstrations_have_no_place_in_the_prompt() -> None:
    with_demonstration = StepInput("Ann left.", LABELS, (Demonstration("x", ()),))

    assert tagger("gner").ask(with_demonstration, ()) == tagger("gner").ask(StepInput("Ann left.", LABELS), ())


def test_a_clean_answer_is_read_with_places_in_its_copy() -> None:
    reading = read(tagger("gner"), PASSAGE, "Ann(B-person) Lee(I-person) left(O) Ghent(B-place) .(O)")

    assert reading.verdict == Verdict.OK
    assert reading.copy == "Ann Lee left Ghent ."
    assert [(mention.text, mention.label, mention.start, mention.end) for mention in reading.mentions] == [
        ("Ann Lee", "person", 0, 7),
        ("Ghent", "place", 13, 18),
    ]


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ("Ann(B-person), Lee(I-person), left(O), Ghent(B-place)", ["Ann Lee person", "Ghent place"]),
        ("Ann(B-Person) left(o)", ["Ann person"]),
        ("Ann（B-person） left（O）", ["Ann person"]),
        ("Ann(person) Lee(person) left(O) Ghent(place)", ["Ann Lee person", "Ghent place"]),
        ("left(O) Ann(I-person) Lee(I-person)", ["Ann Lee person"]),
        ("Ann(B-place) Lee(I-person)", ["Ann place", "Lee person"]),
        ("Ann(B-place) Lee(I-person) left(I-person)", ["Ann place", "Lee left person"]),
        ("Ann(B-person) Lee(I-Person) left(O)", ["Ann Lee person"]),
        ("Ann Lee(B-person) left(O)", ["Ann Lee person"]),
        ("[Ann](B-person) left(O)", ["Ann person"]),
        ("Sure! Here it is: Ann Lee(B-person) left(O)", ["Ann Lee person"]),
        ("Ann(B-person) left(O)\n\nI hope this helps", ["Ann person"]),
        ("```\nAnn(B-person)\n```", ["Ann person"]),
    ],
)
def test_what_can_be_recovered_is_and_says_so(answer: str, found: list[str]) -> None:
    reading = read(tagger("gner"), PASSAGE, answer)

    assert [" ".join(mention) for mention in named(reading)] == found
    assert reading.verdict == Verdict.RECOVERED


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ("Ann(B-person (player)) left(O)", [("Ann", "person (player)")]),
        ("H(O)(B-place) and(O)", [("H(O)", "place")]),
        ("(B-52)(B-place) and(O)", [("(B-52)", "place")]),
        ("((O) Ann(B-person) )(O)", [("Ann", "person")]),
        ("Ann(B-person) ,(O) Lee(B-person)", [("Ann", "person"), ("Lee", "person")]),
        ("Ghent(B-place).(O)", [("Ghent", "place")]),
        ("Ann(B-person)\nLee(B-person)", [("Ann", "person"), ("Lee", "person")]),
    ],
)
def test_parentheses_of_the_text_and_of_labels_are_told_from_tags(answer: str, found: list[tuple[str, str]]) -> None:
    reading = read(tagger("gner"), PASSAGE, answer)

    assert named(reading) == found
    assert reading.verdict == Verdict.OK


@pytest.mark.parametrize("answer", ["", " \n", "None", "I cannot do that.", "Ann Lee left Ghent"])
def test_an_answer_without_tags_is_unparsable_and_kept(answer: str) -> None:
    reading = read(tagger("gner"), PASSAGE, answer)

    assert (reading.mentions, reading.verdict) == ((), Verdict.UNPARSABLE)
    assert [(problem.code, problem.stage, problem.message) for problem in reading.errors] == [
        ("unparsable", "tagger", answer)
    ]


def test_a_cut_answer_keeps_its_complete_words() -> None:
    cut_in_tag = read(tagger("gner"), PASSAGE, "Ann(B-person) left(O) Ghent(B-pl")
    out_of_tokens = read(tagger("gner"), PASSAGE, "Ann(B-person) left(O)", finish_reason="length")

    assert named(cut_in_tag) == named(out_of_tokens) == [("Ann", "person")]
    assert cut_in_tag.verdict == out_of_tokens.verdict == Verdict.TRUNCATED


@pytest.mark.parametrize(
    ("policy", "kept", "dropped"),
    [
        ("drop", [], [("Ann", "persona")]),
        ("keep", [("Ann", "persona")], []),
        ("nearest", [("Ann", "person")], []),
    ],
)
def test_a_label_outside_the_set_follows_the_policy(
    policy: str, kept: list[tuple[str, str]], dropped: list[tuple[str, str]]
) -> None:
    reading = read(tagger("gner", outside_labels=policy), PASSAGE, "Ann(B-persona) left(O)")

    assert named(reading) == kept
    assert [(mention.text, mention.label) for mention in reading.dropped] == dropped


def test_the_score_is_the_probability_of_the_mentions_words_and_tags() -> None:
    answer = "Ann(B-person) left(O)"
    completion = Completion(answer, token_ends=(13, len(answer)), logprobs=(-0.5, -3.0))
    step = tagger("gner")
    (prompt,) = step.ask(PASSAGE, ())

    (reading,) = step.read(PASSAGE, [Exchange(prompt, (completion,))])

    assert reading.mentions[0].score == pytest.approx(math.exp(-0.5))


def test_gold_that_ends_inside_a_word_cuts_the_word() -> None:
    passage = StepInput("The Ghent-based team", LABELS)
    (exchange,) = tagger("gner").targets(passage, entities(passage.text, ("Ghent", "place"))).exchanges

    assert exchange.completions[0].text == "The(O) Ghent(B-place) -based(O) team(O)"
    assert shown(exchange.prompt).endswith("Sentence: The Ghent -based team [/INST]")


def test_gold_is_placed_where_it_stands() -> None:
    text = "Paris loves Paris; 北京大学在北京, e\u0301tude (H(O)) by Bo-Lee."
    passage = StepInput(text, LABELS)
    gold = entities(text, ("Paris", "place"), ("北京", "place"), ("H(O)", "person"), ("Lee", "person"))
    step = tagger("gner")

    (reading,) = step.read(passage, step.targets(passage, gold).exchanges)
    found = align(text, reading, AlignConfig()).entities

    assert [(entity.start, entity.end, entity.label) for entity in found] == [
        (entity.start, entity.end, entity.label) for entity in gold
    ]


def test_of_overlapping_gold_the_outermost_is_the_target() -> None:
    passage = StepInput("University of Ghent", LABELS)
    gold = [*entities(passage.text, ("Ghent", "place")), *entities(passage.text, ("University of Ghent", "person"))]
    step = tagger("gner")

    (reading,) = step.read(passage, step.targets(passage, gold).exchanges)

    assert named(reading) == [("University of Ghent", "person")]
