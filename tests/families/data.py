"""Passages, gold and strategies that the tests of the families share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

from ner_ray import plugins
from ner_ray.families.base import Step
from ner_ray.types import Completion, Demonstration, Entity, Exchange, Label, Mention, Prompt, Reading, StepInput

LABELS = (Label("person", description="a human being"), Label("place"), Label("work of art"))
TREE = (
    Label("being", children=(Label("person"), Label("animal", children=(Label("dog"), Label("other"))))),
    Label("place", children=(Label("city"), Label("other"))),
)
_WORDS = ["Ann", "Lee", "saw", "Rome", "Zoë", "東京", "서울", "well-known", "1984", "O'Neil", "AT&T", "İzmir", "Łódź"]
DEMONSTRATIONS = (
    Demonstration("Ida's dog sleeps in Ghent.", (Mention("Ida's dog", "animal"), Mention("Ghent", "place"))),
    Demonstration("Nobody came.", ()),
)
# What answers are made of: pieces of all formats, of text, and of trouble.
PIECES = [
    *["(O)", "(B-person)", "(I-person)", "(B-place)", "(I-x)", "（O）", "(o)", "(", ")", "((O)", "(person)"],
    *["##", "#", "####", "###", '"', "'", "“", "”", "[", "]", "{", "}", ",", "，", ":", "：", ";", "；", "->"],
    *["person", "Person", "place", "None", "null", "Answer:", "答案:", "- ", "1. ", "```json\n", "```", "</think>"],
    *["\n", " ", "\t", "\\", "\\u00e9", "\\ud83d", "\\", "{text}", "{0}", "{labels}", "</s>", "<|im_end|>"],
    *["Ann", "Lee", "北京", "大学", "e\u0301", "😀", "\u200b", "İ", "C#", "saw", ".", "I've", "10:30"],
]


def family_steps(name: str, **options: Any) -> tuple[Step, ...]:
    """The steps of a family with some options."""
    module = plugins.load("families", name)
    steps: tuple[Step, ...] = module.steps(module.Options(**options))
    return steps


def tagger(name: str, **options: Any) -> Step:
    """The only step of a single-pass family."""
    (step,) = family_steps(name, **options)
    return step


def read(step: Step, passage: StepInput, *answers: str, finish_reason: str = "stop") -> Reading:
    """What a step reads in one sample's answers to all that it asks."""
    prompts = step.ask(passage, ()) or [Prompt("")]
    exchanges = [
        Exchange(prompt, (Completion(answer, finish_reason),)) for prompt, answer in zip(prompts, answers, strict=True)
    ]
    (reading,) = step.read(passage, exchanges)
    return reading


def named(reading: Reading) -> list[tuple[str, str]]:
    """Text and label of the mentions."""
    return [(mention.text, mention.label) for mention in reading.mentions]


def entities(text: str, *found: tuple[str, str]) -> list[Entity]:
    """Entities of a text from left to right: each surface is the first behind the one before."""
    placed: list[Entity] = []
    for surface, label in found:
        start = text.index(surface, placed[-1].end if placed else 0)
        placed.append(Entity(start, start + len(surface), surface, label))
    return placed


def shown(prompt: Prompt) -> str:
    """All that a prompt says, as one text."""
    if isinstance(prompt.content, str):
        return prompt.content
    return "\n".join(f"<{turn.role}>{turn.content}" for turn in prompt.content)


answers = st.lists(st.sampled_from(PIECES) | st.text(max_size=5), max_size=30).map("".join)

texts = st.lists(
    st.sampled_from([*PIECES, "Rome", " ", " ", "東京", "서울에서", "well-known"]) | st.text(max_size=4), max_size=25
).map("".join)


@st.composite
def distorted(draw: st.DrawFn, whole: Sequence[str]) -> str:
    """One of some answers with something left out, put in, and cut off."""
    answer = draw(st.sampled_from(list(whole)))
    start, end = sorted(draw(st.tuples(*[st.integers(0, len(answer))] * 2)))
    stop = draw(st.integers(0, len(answer)) | st.none())
    return (answer[:start] + draw(st.sampled_from(["", *PIECES])) + answer[end:])[:stop]


@st.composite
def annotated(
    draw: st.DrawFn, labels: Sequence[str] = ("person", "place", "work of art"), *, nested: bool = False
) -> tuple[str, list[Entity]]:
    """A text and gold in it: flat, in order, without white space at its ends; or, `nested`, of any shape.

    Nothing is empty, or gold twice, white space aside.
    """
    text = draw(texts)
    cuts = draw(st.lists(st.integers(0, len(text)), max_size=8))
    cuts = cuts if nested else sorted(cuts)
    gold = {}
    for start, end in map(sorted, zip(cuts[::2], cuts[1::2], strict=False)):
        surface = text[start:end]
        trimmed = start + len(surface) - len(surface.lstrip()), surface.strip()
        if surface and (nested or surface == surface.strip()):
            gold[trimmed] = Entity(start, end, surface, draw(st.sampled_from(list(labels))))
    return text, list(gold.values())


@st.composite
def plain(draw: st.DrawFn, labels: Sequence[str]) -> tuple[str, list[Entity]]:
    """A text of distinct words, and some of them as gold, in order."""
    words = draw(st.lists(st.sampled_from(_WORDS), max_size=8, unique=True))
    text = " ".join(words)
    gold = entities(text, *((word, draw(st.sampled_from(list(labels)))) for word in words if draw(st.booleans())))
    return text, gold
