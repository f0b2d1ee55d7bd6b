"""A training row: a chat, and which of its answers are to be learnt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ner_ray.types import Message, Prompt

Turns = tuple[Message, ...]

SHAREGPT = {"user": "human", "assistant": "gpt", "system": "system"}
"""What ShareGPT calls the speakers of a chat."""


@dataclass(frozen=True, slots=True)
class Lineage:
    """Where a row comes from.

    Attributes:
        document: id of the source document.
        start: offset of the passage in it, in characters.
        end: where the passage ends, exclusive.
        teacher: the model that annotated it.
        prompt_hash: of the question that the teacher was asked.
        filters: that its mentions have passed, in order.
        seed: of the draws that made the row.
    """

    document: str
    start: int
    end: int
    teacher: str
    prompt_hash: str
    filters: tuple[str, ...]
    seed: int


@dataclass(frozen=True, slots=True)
class TrainingRow:
    """A chat and the answers in it that are to be learnt.

    Attributes:
        turns: in order.
        learnt: numbers of the assistant's turns that count in the loss, ascending; never the first turn of all.
        row_id: unique within a data set; empty where nobody gave one.
        role: the step of a model family that the row teaches (`tagger`, `extractor`, `classifier`); empty if unknown.
        labels: those that were asked for, in their order.
        weight: how often the row counts in the loss.
        rendered: the first turn is the whole prompt as the model reads it, so no chat template is applied.
        lineage: where the row comes from.
    """

    turns: Turns
    learnt: tuple[int, ...]
    row_id: str = ""
    role: str = ""
    labels: tuple[str, ...] = ()
    weight: float = 1.0
    rendered: bool = False
    lineage: Lineage | None = None

    @classmethod
    def question(cls, prompt: str | Turns, answer: str, **more: Any) -> TrainingRow:
        """A prompt, rendered or as turns of a chat, whose one answer is learnt."""
        rendered = isinstance(prompt, str)
        turns = (Message("user", prompt),) if isinstance(prompt, str) else tuple(prompt)
        return cls((*turns, Message("assistant", answer)), (len(turns),), rendered=rendered, **more)

    @classmethod
    def conversation(cls, turns: Turns, **more: Any) -> TrainingRow:
        """A chat in which every turn of the assistant is learnt."""
        return cls(turns, answers_of(turns), **more)

    def examples(self) -> tuple[tuple[Prompt, str], ...]:
        """Every answer that is learnt, with the prompt that comes before it."""
        if self.rendered:
            return ((Prompt(self.turns[0].content), self.turns[1].content),)
        return tuple((Prompt(self.turns[:number]), self.turns[number].content) for number in self.learnt)


def answers_of(turns: Turns) -> tuple[int, ...]:
    """The turns that can be learnt: the assistant's, unless nothing comes before."""
    return tuple(number for number, turn in enumerate(turns) if turn.role == "assistant" and number)
