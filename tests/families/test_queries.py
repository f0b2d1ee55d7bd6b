"""UniversalNER and RA-IT: conversations with one query a type, answered with lists."""

from __future__ import annotations

import math

import pytest

from ner_ray.types import Completion, Exchange, Label, Message, StepInput, Verdict
from tests.families.data import DEMONSTRATIONS, LABELS, TREE, entities, named, read, shown, tagger

PASSAGE = StepInput("Ann saw Ghent.", LABELS)
BOTH = pytest.mark.parametrize("name", ["universal_ner", "ra_it"])


def test_universal_ner_asks_in_the_released_conversation() -> None:
    person, place, _ = tagger("universal_ner").ask(PASSAGE, ())

    assert person.content == (
        "A virtual assistant answers questions from a user based on the provided text. "
        "USER: Text: Ann saw Ghent. ASSISTANT: I've read this text.</s>"
        "USER: What describes person in the text? ASSISTANT:"
    )
    assert place.content == str(person.content).replace("person", "place")


def test_universal_ner_has_the_training_codes_system_turn_too() -> None:
    (prompt, *_) = tagger("universal_ner", system="paragraph").ask(PASSAGE, ())

    assert shown(prompt).startswith(
        "A virtual assistant answers questions from a user based on the provided paragraph. USER:"
    )


def test_universal_ner_asks_with_definitions_where_there_are_some() -> None:
    prompts = tagger("universal_ner", definitions=True).ask(PASSAGE, ())

    assert ["describes a human being in" in shown(prompt) for prompt in prompts] == [True, False, False]
    assert [prompt.subject for prompt in prompts] == ["person", "place", "work of art"]


@pytest.mark.parametrize(
    ("name", "options", "turn"),
    [
        ("universal_ner", {}, "Dataset: toy\n Text: Ann saw Ghent."),
        ("ra_it", {}, "Dataset: toy\n Text: Ann saw Ghent."),
        ("ra_it", {"language": "zh"}, "数据集：toy\n 文本： Ann saw Ghent."),
    ],
)
def test_a_dataset_has_a_line_of_its_own(name: str, options: dict[str, str], turn: str) -> None:
    (prompt, *_) = tagger(name, dataset="toy", wrapper="chat", **options).ask(PASSAGE, ())

    assert prompt.content[1] == Message("user", turn)


def test_ra_it_asks_in_llama_3s_wrapper_without_a_system_turn() -> None:
    (prompt, *_) = tagger("ra_it").ask(PASSAGE, ())

    assert prompt.content == (
        "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nText: Ann saw Ghent.<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\nI've read this text.<|eot_id|>"
        "<|start_header_id|>user<|end_header_id|>\n\nWhat describes person in the text?<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n"
    )


def test_ra_it_shows_demonstrations_in_the_released_layout() -> None:
    passage = StepInput("小明在 \n", (Label("人名"),), DEMONSTRATIONS)
    (prompt,) = tagger("ra_it", language="zh", wrapper="qwen").ask(passage, ())

    assert prompt.content == (
        "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
        "<|im_start|>user\n以下是一些命名实体识别的例子：\n"
        "文本：Ida's dog sleeps in Ghent.\n实体：[{\"Ida's dog\": 'animal'}, {'Ghent': 'place'}]\n"
        "文本：Nobody came.\n实体：[]<|im_end|>\n"
        "<|im_start|>assistant\n我已读完这些例子。<|im_end|>\n"
        "<|im_start|>user\n文本： 小明在 \n<|im_end|>\n"
        "<|im_start|>assistant\n我已读完这段文本。<|im_end|>\n"
        '<|im_start|>user\n文本中属于"人名"的实体有哪些？<|im_end|>\n'
        "<|im_start|>assistant\n"
    )


def test_llama_3s_wrapper_strips_every_turn_and_qwens_does_not() -> None:
    passage = StepInput(" Ann \n", LABELS[:1])
    (llama,) = tagger("ra_it").ask(passage, ())
    (qwen,) = tagger("ra_it", wrapper="qwen").ask(passage, ())

    assert "\n\nText:  Ann<|eot_id|>" in shown(llama)
    assert "\nText:  Ann \n<|im_end|>" in shown(qwen)


@pytest.mark.parametrize(
    ("options", "turns"),
    [
        ({"wording": "generator"}, ["Text: x", "I’ve read this text", 'What describes "person" in the text?']),
        ({"wording": "serve"}, ["Text: x", "I've read this text.", "What describes person in the text?"]),
        (
            {"wording": "serve", "language": "zh"},
            ["文本：x", "我已读完这段文本。", '文本中属于"person"的实体有哪些？'],
        ),
    ],
)
def test_the_published_wordings_that_differ_are_options(options: dict[str, str], turns: list[str]) -> None:
    (prompt,) = tagger("ra_it", wrapper="chat", system="", **options).ask(StepInput("x", LABELS[:1]), ())

    assert [turn.content for turn in prompt.content] == turns


def test_the_system_turn_is_the_released_one_unless_set() -> None:
    def system(**options: str) -> str:
        (prompt, *_) = tagger("ra_it", **options).ask(PASSAGE, ())
        return shown(prompt)

    assert "based on the provided text.<|eot_id|>" in system(wording="serve")
    assert "system\nBe brief.<|im_end|>" in system(wrapper="qwen", system="Be brief.")
    assert "system" not in system(wrapper="qwen", system="")


@BOTH
def test_a_texts_prompts_differ_only_behind_the_text(name: str) -> None:
    """So that an engine with a prefix cache reads the text once."""
    text = "A long text about Ann. " * 20
    first, second, _ = (shown(prompt) for prompt in tagger(name).ask(StepInput(text, LABELS), ()))
    shared = next(number for number, (one, other) in enumerate(zip(first, second, strict=False)) if one != other)

    assert shared > first.index(text.strip()) + len(text.strip())


@BOTH
def test_a_label_tree_is_asked_for_by_its_leaves(name: str) -> None:
    subjects = [prompt.subject for prompt in tagger(name).ask(StepInput("x", TREE), ())]

    assert subjects == ["person", "dog", "being->animal->other", "city", "place->other"]


@BOTH
def test_every_list_has_the_type_that_was_asked_for(name: str) -> None:
    reading = read(tagger(name), PASSAGE, '["Ann"]', '["Ghent", "Ann"]', "[]")

    assert named(reading) == [("Ann", "person"), ("Ghent", "place"), ("Ann", "place")]
    assert reading.copy is None
    assert reading.verdict == Verdict.OK


@BOTH
@pytest.mark.parametrize(
    ("answers", "verdict"),
    [
        (['["Ann"]', "[]", "['x']"], Verdict.RECOVERED),
        (['["Ann"]', "[]", "None"], Verdict.RECOVERED),
        (["['Ann']", "[]", '["x", "y'], Verdict.TRUNCATED),
        (['["Ann", "b', "?", "[]"], Verdict.UNPARSABLE),
        (['["Ann"]', "", "[]"], Verdict.UNPARSABLE),
    ],
)
def test_the_verdict_is_that_of_the_worst_answer_and_the_others_are_kept(
    name: str, answers: list[str], verdict: Verdict
) -> None:
    reading = read(tagger(name), PASSAGE, *answers)

    assert reading.verdict == verdict
    assert ("Ann", "person") in named(reading)
    assert [problem.message for problem in reading.errors] == [answer for answer in answers if answer in ("?", "")]


@BOTH
def test_an_answer_that_ran_out_of_tokens_is_truncated(name: str) -> None:
    reading = read(tagger(name), PASSAGE, '["Ann", "Bo', "[]", "[]", finish_reason="length")

    assert named(reading) == [("Ann", "person")]
    assert reading.verdict == Verdict.TRUNCATED


@BOTH
def test_the_score_is_the_probability_of_the_string(name: str) -> None:
    step = tagger(name)
    passage = StepInput("x", LABELS[:1])
    completion = Completion('["Ann", "Bo"]', token_ends=(1, 6, 8, 13), logprobs=(-9.0, -0.1, -9.0, -0.7))

    (reading,) = step.read(passage, [Exchange(step.ask(passage, ())[0], (completion,))])

    assert [mention.score for mention in reading.mentions] == pytest.approx([math.exp(-0.1), math.exp(-0.7)])


@BOTH
def test_the_ideal_answers_list_every_mention_in_the_order_of_the_text(name: str) -> None:
    passage = StepInput('Ann met "Al" \\ and Ann', LABELS[:2])
    gold = entities(passage.text, ("Ann", "person"), ('"Al" \\', "person"), ("and", "verb"), ("Ann", "person"))

    said = [exchange.completions[0].text for exchange in tagger(name).targets(passage, reversed(gold)).exchanges]

    assert said == ['["Ann", "\\"Al\\" \\\\", "Ann"]', "[]"]
