"""Training rows as tokens: what is masked, what is learnt, packing."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ner_ray.data.training import TrainingRow, json_line, read_rows
from ner_ray.errors import InputError
from ner_ray.models.tokenizers import render
from ner_ray.train.encoding import IGNORED, Encoded, encode, encode_pair, pack
from ner_ray.types import Message, Prompt


@pytest.fixture(scope="module")
def tokenizer(base):
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(base)


def _read(tmp_path, *lines: str):
    file = tmp_path / "train.jsonl"
    file.write_text("\n".join(lines), encoding="utf-8")
    return list(read_rows([file]))


def _answers(tokenizer, encoded: Encoded) -> list[str]:
    """The stretches of tokens that are learnt, as text."""
    learnt = [label if label != IGNORED else None for label in encoded.labels]
    assert all(label in (None, token) for label, token in zip(learnt, encoded.tokens, strict=True))
    text, part = [], []
    for label in [*learnt, None]:
        if label is None and part:
            text.append(tokenizer.decode(part))
            part = []
        elif label is not None:
            part.append(label)
    return text


def test_a_text_prompt_is_masked_and_its_answer_with_the_end_is_learnt(tmp_path, tokenizer):
    [line] = _read(tmp_path, json.dumps({"prompt": "Text: ä\nAnswer:", "answer": " person: Bob"}))
    [encoded] = encode(line, tokenizer)

    assert _answers(tokenizer, encoded) == [" person: Bob<|im_end|>"]
    assert tokenizer.decode(encoded.tokens) == "Text: ä\nAnswer: person: Bob<|im_end|>"


def test_chat_turns_get_the_very_tokens_that_the_engine_sends(tmp_path, tokenizer):
    turns = (Message("system", "Be brief."), Message("user", "Bob came."))
    [line] = _read(tmp_path, json_line(TrainingRow.question(turns, "##Bob## came.", role="extractor")))
    [encoded] = encode(line, tokenizer)
    served = render(tokenizer, Prompt(turns))

    assert list(encoded.tokens[: len(served)]) == served
    assert _answers(tokenizer, encoded) == ["##Bob## came.<|im_end|>"]


def test_a_line_may_weigh_more(tmp_path, tokenizer):
    heavy, plain = _read(
        tmp_path, '{"prompt": "a", "answer": "b", "weight": 2.5}\n{"prompt": "a", "answer": "b", "role": "tagger"}'
    )

    assert [encode(line, tokenizer)[0].weight for line in (heavy, plain)] == [2.5, 1.0]
    assert encode_pair(heavy, tokenizer)[0].weight == 2.5


@pytest.mark.parametrize("weight", ["0", "-1", "NaN", '"much"'])
def test_a_weight_that_is_none_is_refused(tmp_path, weight):
    with pytest.raises(InputError, match=":1: not a training row: `weight`"):
        _read(tmp_path, f'{{"prompt": "a", "answer": "b", "weight": {weight}}}')


def test_every_turn_of_the_assistant_is_learnt_in_one_sequence_where_the_template_allows(tmp_path, tokenizer):
    # A template that puts nothing between an answer's end and the next turn, as FastChat's does.
    tokenizer.chat_template = (
        "{% for m in messages %}{{ m['content'] }}{% if m['role'] == 'assistant' %}<|im_end|>{% endif %}{% endfor %}"
    )
    talk = [("human", "Text: Bob."), ("gpt", "I've read it."), ("human", "Who?"), ("gpt", '["Bob"]')]
    [line] = _read(tmp_path, json.dumps({"conversations": [{"from": who, "value": said} for who, said in talk]}))
    [encoded] = encode(line, tokenizer)

    assert _answers(tokenizer, encoded) == ["I've read it.<|im_end|>", '["Bob"]<|im_end|>']


def test_a_template_that_changes_earlier_turns_gives_each_answer_its_own_sequence(tmp_path, tokenizer):
    tokenizer.chat_template = (
        "{% for m in messages %}{% if m['role'] == 'user' or loop.last %}<{{ m['content'] }}>{% endif %}{% endfor %}"
    )
    talk = [("human", "a"), ("gpt", "b"), ("human", "c"), ("gpt", "d")]
    [line] = _read(tmp_path, json.dumps({"conversations": [{"from": who, "value": said} for who, said in talk]}))
    encoded = encode(line, tokenizer)

    assert [_answers(tokenizer, example) for example in encoded] == [["b<|im_end|>"], ["d<|im_end|>"]]
    assert tokenizer.decode(encoded[1].tokens) == "<a><c>d<|im_end|>"


def test_an_encoder_reads_the_prompt_alone(tmp_path, tokenizer):
    [line] = _read(tmp_path, json.dumps({"prompt": "Sentence: Bob", "answer": "Bob(B-person)"}))
    [encoded] = encode_pair(line, tokenizer)

    assert tokenizer.decode(encoded.tokens) == "Sentence: Bob"
    assert tokenizer.decode(encoded.labels) == "Bob(B-person)<|im_end|>"


@pytest.mark.parametrize(
    "line",
    [
        "no json",
        "[]",
        '{"prompt": "a"}',
        '{"prompt": 3, "answer": "b"}',
        '{"conversations": [{"from": "dog", "value": ""}]}',
    ],
)
def test_a_line_of_no_known_form_is_refused_with_its_place(tmp_path, line):
    with pytest.raises(InputError, match=r"train\.jsonl:2"):
        _read(tmp_path, '{"prompt": "a", "answer": "b"}', line)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(InputError, match="no such training file"):
        list(read_rows([tmp_path / "none.jsonl"]))


@given(st.lists(st.integers(1, 30), max_size=60))
def test_packing_keeps_every_example_once_and_fills_no_row_beyond_its_length(lengths):
    examples = [Encoded.of(tuple([at] * size), tuple([at] * size)) for at, size in enumerate(lengths)]
    rows = pack(examples, 30)

    assert sorted(example.tokens for row in rows for example in row) == sorted(example.tokens for example in examples)
    assert all(sum(len(example.tokens) for example in row) <= 30 for row in rows)
    loads = [sum(len(example.tokens) for example in row) for row in rows]
    assert all(load + other > 30 for load, other in pairwise(loads))
