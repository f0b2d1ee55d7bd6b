"""The model that ships: its size, its parts, and that what it says makes sense on news of our own."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path

import pytest

from ner_ray.data import AnnotatedText
from ner_ray.evaluate import spans
from ner_ray.train.config import JudgeConfig
from ner_ray.train.generation import answer_with
from ner_ray.train.judge import judge
from ner_ray.train.vocabulary import CHAT_TEMPLATE
from ner_ray.types import Entity, Label, Message, Prompt

LABELS = ("person", "organization", "location", "event", "product", "miscellaneous")
MARKED = (
    "[person:Helen Carter] was born in [location:Bristol] and studied law at the [organization:University of Leeds].",
    "[organization:Siemens] said on Tuesday that [person:Klaus Weber] would lead its office in [location:Madrid].",
    "The river flows through [location:Vienna] and [location:Budapest] before it reaches the sea.",
    "He played for [organization:Manchester United] and moved to [organization:Juventus] in 2003.",
    "[person:Maria Lopez] , a painter from [location:Mexico] , died in [location:Paris] in 1954 .",
    "The minister met [person:John Walker] in [location:Geneva] to speak about trade.",
    "It rained all week and the road was closed.",
    "[person:Anna Novak] is a Czech actress who lives in [location:London].",
)


def _gold(marked: str) -> AnnotatedText:
    text, entities = "", []
    for piece in marked.replace("]", "[").split("["):
        label, _, surface = piece.partition(":")
        if label in LABELS:
            entities.append(Entity(len(text), len(text) + len(surface), surface, label))
        text += surface if label in LABELS else piece
    return AnnotatedText("", text, tuple(entities), labels=tuple(map(Label, LABELS)))


@pytest.fixture(scope="module")
def folder() -> Path:
    return Path(str(resources.files("ner_ray") / "starter"))


@pytest.fixture(scope="module")
def answer(folder):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(folder, dtype="float32")
    return answer_with(model, AutoTokenizer.from_pretrained(folder), JudgeConfig(max_tokens=120))


def test_it_is_small_and_needs_no_code_of_its_own(folder):
    from safetensors import safe_open

    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    with safe_open(folder / "model.safetensors", framework="pt") as weights:
        parameters = sum(weights.get_tensor(name).numel() for name in weights.keys())  # noqa: SIM118

    assert config["architectures"] == ["Qwen2ForCausalLM"]
    assert "auto_map" not in config
    assert parameters <= 12_000_000
    assert sum(file.stat().st_size for file in folder.iterdir()) <= 25_000_000
    assert (folder / "chat_template.jinja").read_text(encoding="utf-8") == CHAT_TEMPLATE


def test_its_tokenizer_is_loaded_as_it_was_made(folder):
    from tokenizers import Tokenizer
    from transformers import AutoTokenizer

    text = "Ada\tLovelace's friend, (in\u00a0##New York##)."
    loaded = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)

    assert loaded.encode(text) == Tokenizer.from_file(str(folder / "tokenizer.json")).encode(text).ids


def test_its_card_says_what_it_was_made_of(folder):
    card = (folder / "README.md").read_text(encoding="utf-8")

    for said in ("WikiGold", "Broad Twitter", "CrossNER", "WNUT", "CC BY 4.0", "MIT", "F1"):
        assert said in card


def test_it_copies_what_it_reads(answer):
    texts = [_gold(marked).text for marked in MARKED]
    copies = [copy.replace("##", "") for copy in answer([Prompt((Message("user", text),)) for text in texts])]

    assert sum(copy == text for copy, text in zip(copies, texts, strict=True)) >= len(texts) - 2


def test_most_of_what_it_marks_is_right(answer):
    config = JudgeConfig(family={"name": "cascade"}, scored=["person", "organization", "location"])
    score = spans.micro(judge(config, [_gold(marked) for marked in MARKED], answer))["strict"]

    assert score.precision >= 0.6
    assert score.recall >= 0.6
