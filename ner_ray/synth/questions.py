"""A classifier's training rows: questions that list types, and the correct one of them.

The wording and the notation of the list are the family's. Only the list at the end of a question is read and changed
here, so rows from other sources can be varied, too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ner_ray.data.training import Lineage, TrainingRow
from ner_ray.families.base import ChoiceList, ChoiceQuestions
from ner_ray.types import Entity, Exchange, LabelSet, Message, StepInput


@dataclass(frozen=True, slots=True)
class Question:
    """One level's question about one entity.

    Attributes:
        stem: the question up to the list.
        options: the types to choose from.
        answer: the correct type.
    """

    stem: str
    options: tuple[str, ...]
    answer: str


def read(message: str, answer: str, notation: ChoiceList) -> Question:
    """The question in the user's turn of a training row.

    Raises:
        InputError: it contains no list.
    """
    stem, options = notation.split(message)
    return Question(stem, options, answer)


def ask(
    text: str, entities: Sequence[Entity], labels: LabelSet, asking: ChoiceQuestions
) -> tuple[list[list[Question]], Counter[str]]:
    """For each distinct surface, the questions of all levels in order, with their correct answers.

    The second item is the number of entities that the classifier cannot be asked about, by reason.
    """
    levels: dict[str, list[Question]] = {}
    targets = asking.classifier.targets(StepInput(text, labels), entities)
    for exchange in targets.exchanges:
        levels.setdefault(exchange.prompt.subject, []).append(_of(exchange, asking.notation))
    return list(levels.values()), Counter(entity.reason for entity in targets.left_out)


def to_rows(
    row_id: str, questions: Iterable[Question], asking: ChoiceQuestions, lineage: Lineage | None = None
) -> list[TrainingRow]:
    """A training row for each question, numbered."""
    opening = (Message("system", asking.system),) if asking.system else ()
    return [
        TrainingRow.question(
            (*opening, Message("user", asking.notation.join(question.stem, question.options))),
            question.answer,
            row_id=f"{row_id}.{number}",
            role=asking.classifier.role,
            labels=question.options,
            lineage=lineage,
        )
        for number, question in enumerate(questions)
    ]


def _of(exchange: Exchange, notation: ChoiceList) -> Question:
    content = exchange.prompt.content
    message = content if isinstance(content, str) else content[-1].content
    return read(message, exchange.completions[0].text, notation)
