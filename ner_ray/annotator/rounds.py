"""Drives conversations without an event loop: all of them one round at a time, with a function that answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ner_ray.annotator.document import Conversation, Dialogue, Round
from ner_ray.types import Exchange

AnswerRounds = Callable[[Sequence[Round]], Sequence[Sequence[Exchange]]]
"""Returns the exchanges of some rounds, parallel to them; each in the order of its prompts."""


def converse_in_rounds(dialogues: Sequence[Dialogue], answer: AnswerRounds) -> list[Conversation]:
    """Runs dialogues in lock-step, for models that are fastest with large batches; returns their conversations.

    Args:
        dialogues: from `document.converse`, not yet started.
        answer: called with the next round of every dialogue that has not ended yet.
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
    """Runs a single dialogue; returns its conversation."""
    (conversation,) = converse_in_rounds([dialogue], lambda rounds: [answer(asked) for asked in rounds])
    return conversation
