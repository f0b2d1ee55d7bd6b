"""Drives conversations without an event loop: all of them a round at a time, from answers that are simply computed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ner_ray.annotator.document import Conversation, Dialogue, Round
from ner_ray.types import Exchange

AnswerRounds = Callable[[Sequence[Round]], Sequence[Sequence[Exchange]]]
"""The exchanges of some rounds, parallel to them; each in the order of its prompts."""


def converse_in_rounds(dialogues: Sequence[Dialogue], answer: AnswerRounds) -> list[Conversation]:
    """The conversations of dialogues that are led side by side, for models that are fastest with large batches.

    Args:
        dialogues: fresh ones, from `document.converse`.
        answer: is given the next round of every dialogue that is not over yet.
    """
    results: dict[int, Conversation] = {}
    waiting: dict[int, Sequence[Exchange] | None] = dict.fromkeys(range(len(dialogues)))
    while waiting:
        rounds: dict[int, Round] = {}
        for number, exchanges in waiting.items():
            try:
                rounds[number] = dialogues[number].send(exchanges)  # type: ignore[arg-type]  # None starts a generator
            except StopIteration as finished:
                results[number] = finished.value
        answered = answer(list(rounds.values())) if rounds else []
        waiting = dict(zip(rounds, answered, strict=True))
    return [results[number] for number in range(len(dialogues))]


def converse_alone(dialogue: Dialogue, answer: Callable[[Round], Sequence[Exchange]]) -> Conversation:
    """The conversation of one dialogue."""
    (conversation,) = converse_in_rounds([dialogue], lambda rounds: [answer(asked) for asked in rounds])
    return conversation
