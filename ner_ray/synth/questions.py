"""CascadeNER's training rows for the classifier: a question that lists types, and the correct one of them.

The wording is the family's (`cascade`, wording `training`). Only the list at the end of a question is read and changed
here, so rows from other sources can be varied, too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ner_ray.data.training import Lineage, TrainingRow
from ner_ray.errors import InputError
from ner_ray.families.base import Step
from ner_ray.types import Entity, Exchange, LabelSet, Message, StepInput

_LIST = "list: "
_END = "?"
_BETWEEN = ", "


@dataclass(frozen=True, slots=True)
class Question:
    """One level's question about one entity.

    Attributes:
        stem: the question up to the list.
        options: the types to choose from; none contains a comma followed by a space.
        answer: the correct type.
    """

    stem: str
    options: tuple[str, ...]
    answer: str

    @property
    def message(self) -> str:
        """The question as the model reads it."""
        return f"{self.stem}{_BETWEEN.join(self.options)}{_END}"


def read(message: str, answer: str) -> Question:
    """The question in the user's turn of a training row.

    >>> read('Ann in the sentence: "Ann came" belong to which entity in the list: person, place?', "person").options
    ('person', 'place')

    Raises:
        InputError: it contains no list.
    """
    stem, found, options = message.rpartition(_LIST)
    if not found:
        raise InputError(f"not a classifier's question: {message[:80]!r}", hint=f"expected a list after {_LIST!r}")
    names = tuple(option.strip() for option in options.removesuffix(_END).split(_BETWEEN.strip()))
    return Question(stem + found, names, answer)


def ask(
    text: str, entities: Sequence[Entity], labels: LabelSet, classifier: Step
) -> tuple[list[list[Question]], Counter[str]]:
    """For each distinct surface, the questions of all levels in order, with their correct answers.

    The second item is the number of entities that the classifier cannot be asked about, by reason.
    """
    levels: dict[str, list[Question]] = {}
    targets = classifier.targets(StepInput(text, labels), entities)
    for exchange in targets.exchanges:
        levels.setdefault(exchange.prompt.subject, []).append(_of(exchange))
    return list(levels.values()), Counter(entity.reason for entity in targets.left_out)


def to_rows(
    row_id: str, questions: Iterable[Question], system: str = "", lineage: Lineage | None = None
) -> list[TrainingRow]:
    """A training row for each question, numbered; with a system turn if one is given."""
    opening = (Message("system", system),) if system else ()
    return [
        TrainingRow.question(
            (*opening, Message("user", question.message)),
            question.answer,
            row_id=f"{row_id}.{number}",
            role="classifier",
            labels=question.options,
            lineage=lineage,
        )
        for number, question in enumerate(questions)
    ]


def _of(exchange: Exchange) -> Question:
    content = exchange.prompt.content
    message = content if isinstance(content, str) else content[-1].content
    return read(message, exchange.completions[0].text)
