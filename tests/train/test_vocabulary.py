"""The starter's tokenizer: nothing is lost, and a copy has the tokens of its original."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ner_ray.train.vocabulary import build_tokenizer

TEXTS = [
    "Ada Lovelace met Charles Babbage in London , and they spoke of the engine .",
    "The engine was built by Messrs. Clement ; it's in the museum , isn't it ?",
    "In 1842 Luigi Menabrea of Turin wrote about the engine in French .",
] * 30


@pytest.fixture(scope="module")
def tokenizer():
    return build_tokenizer(TEXTS, size=600, spaced=80, positions=512)


@given(st.text(st.characters(exclude_characters="\t\n\r\u00a0", exclude_categories=["Cs"]), max_size=60))
def test_every_text_comes_back(tokenizer, text):
    assert tokenizer.decode(tokenizer.encode(text, add_special_tokens=False)) == text


def test_tabs_and_line_ends_are_read_as_blanks(tokenizer):
    assert tokenizer.tokenize("in\tTurin\nand\u00a0London") == tokenizer.tokenize("in Turin and London")


@given(st.lists(st.sampled_from(["Ada Lovelace", "Turin", "O'Brien", "X", "ÉCOLE 7", "McX"]), min_size=1, max_size=4))
def test_a_marked_copy_has_the_tokens_of_its_original_and_the_marks(tokenizer, names):
    plain = " and ".join(names) + " came ."
    marked = " and ".join(f"##{name}##" for name in names) + " came ."

    tokens = tokenizer.tokenize(marked)
    assert [token for token in tokens if token != "##"] == tokenizer.tokenize(plain)
    assert tokens.count("##") == 2 * len(names)


def test_frequent_lower_case_words_hold_their_blank(tokenizer):
    assert tokenizer.tokenize("in the engine")[1:] == ["Ġthe", "Ġengine"]


def test_question_and_answer_are_rendered_alike_and_system_turns_are_not_read(tokenizer):
    turns = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": " Ada came"}]

    assert tokenizer.apply_chat_template(turns, tokenize=False) == "<|start|> Ada came<|end|>"
    asked = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    assert asked == "<|start|> Ada came<|end|><|start|>"
    assert tokenizer.eos_token == "<|end|>"


def test_the_same_texts_give_the_same_tokenizer(tokenizer):
    again = build_tokenizer(TEXTS, size=600, spaced=80, positions=512)

    assert again.backend_tokenizer.to_str() == tokenizer.backend_tokenizer.to_str()


def test_a_phrase_is_one_token_wherever_it_stands():
    phrase = '" belong to which entity'
    tokenizer = build_tokenizer(TEXTS, size=600, spaced=80, positions=512, phrases=[phrase])
    text = f"in Turin{phrase} in the engine"

    assert tokenizer.tokenize(text).count(phrase) == 1
    assert tokenizer.decode(tokenizer.encode(text, add_special_tokens=False)) == text
    assert len(tokenizer) <= 600
