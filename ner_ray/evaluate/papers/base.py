"""The contract of a published system's scorer.

A scorer is a module of this package, or one that another distribution registers as an entry point in the group
`ner_ray.evaluate.papers`. `Paper` lists what the module defines.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal, Protocol, Self, TypeVar

from ner_ray import plugins
from ner_ray.types import Entity, Exchange

Unit = Literal["fraction", "percent"]
S = TypeVar("S", bound="PaperSums")


@dataclass(frozen=True, slots=True)
class Case:
    """One document as the published scorers see it.

    Attributes:
        text: the document.
        labels: the label set of the prompt, in its order.
        gold: the annotated entities.
        predicted: the predicted entities; used where `answers` is None.
        answers: role -> the raw exchanges with the model that the scorer belongs to, for the scorer's own parser.
        words: the document's words if the corpus has them; otherwise the scorer splits the text as its code does.
    """

    text: str
    labels: tuple[str, ...]
    gold: Sequence[Entity]
    predicted: Sequence[Entity] = ()
    answers: Mapping[str, Sequence[Exchange]] | None = None
    words: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class PaperScore:
    """Precision, recall and F1 in the unit in which the released code prints them.

    `counts` are further outputs of the scorer, such as the number of answers that could not be parsed.
    """

    precision: float
    recall: float
    f1: float
    unit: Unit = "fraction"
    counts: Mapping[str, float] = field(default_factory=dict)


class PaperSums(Protocol):
    """The counts of a scorer; the instance with the default value of every field is the zero."""

    def __add__(self, other: Self) -> Self: ...

    # Plain data, as `json` writes it.
    def to_dict(self) -> dict[str, Any]: ...

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self: ...


class Paper(Protocol[S]):
    """The module of a scorer."""

    FAMILY: str
    """The model family whose raw answers the scorer's own parser reads."""
    FORGIVES: str
    """One line for reports: what this scorer does not count as an error."""
    Sums: type[S]
    """The scorer's counts; they can be added, and converted to and from plain data."""

    def count(self, case: Case) -> S:
        """The counts for one document."""
        ...

    def scores(self, sums: S) -> PaperScore:
        """The scores that follow from the counts."""
        ...


CONTRACT: plugins.Contract[Paper[Any]] = plugins.Contract("evaluate.papers", "scorer", Paper)


@cache
def load(name: str) -> Paper[Any]:
    """The module of a scorer.

    Raises:
        ConfigError: there is no such scorer, or its module does not define what `Paper` lists.
    """
    return CONTRACT.load(name)
