"""The classifier's training rows of CascadeNER: a question with a list of types, and the right one of them.

The wording is the family's (`cascade`, wording `training`); here only the list at its end is read and changed, so rows
that others have written can be changed too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ner_ray.errors import InputError
from ner_ray.families import cascade
from ner_ray.synth.instances import Instance
from ner_ray.types import Entity, Exchange, LabelSet, Message, StepInput

_LIST = "list: "
_END = "?"
_BETWEEN = ", "


@dataclass(frozen=True, slots=True)
class Question:
    """One level's question about one entity.

    Attributes:
        stem: the question up to the list.
        options: the types to choose from; none holds a comma with a blank behind it.
        answer: the right one.
    """

    stem: str
    options: tuple[str, ...]
    answer: str

    @property
    def message(self) -> str:
        """The question as the model reads it."""
        return f"{self.stem}{_BETWEEN.join(self.options)}{_END}"


def read(message: str, answer: str) -> Question:
    """The question that a row of training data holds.

    Raises:
        InputError: there is no list in it.
    """
    stem, found, options = message.rpartition(_LIST)
    if not found:
        raise InputError(f"no classifier question: {message[:80]!r}", hint=f"a list behind {_LIST!r} is expected")
    names = tuple(option.strip() for option in options.removesuffix(_END).split(_BETWEEN.strip()))
    return Question(stem + found, names, answer)


def ask(
    text: str,
    entities: Sequence[Entity],
    labels: LabelSet,
    options: cascade.Options,
    left_out: Counter[str] | None = None,
) -> list[list[Question]]:
    """For each distinct surface the questions of all levels, in order, with their right answers.

    `left_out`, where given, counts by reason the entities that no question is about.
    """
    _, classifier = cascade.steps(options)
    levels: dict[str, list[Question]] = {}
    targets = classifier.targets(StepInput(text, labels), entities)
    if left_out is not None:
        left_out.update(entity.reason for entity in targets.left_out)
    for exchange in targets.exchanges:
        levels.setdefault(exchange.prompt.subject, []).append(_of(exchange))
    return list(levels.values())


def to_instances(passage_id: str, questions: Iterable[Question], system: str = "") -> list[Instance]:
    """A training row for each question, numbered; with a system turn where there is one."""
    opening = (Message("system", system),) if system else ()
    return [
        Instance(
            f"{passage_id}.{number}",
            (*opening, Message("user", one.message), Message("assistant", one.answer)),
            "classifier",
            one.options,
        )
        for number, one in enumerate(questions)
    ]


def _of(exchange: Exchange) -> Question:
    content = exchange.prompt.content
    message = content if isinstance(content, str) else content[-1].content
    return read(message, exchange.completions[0].text)
