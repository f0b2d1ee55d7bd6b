"""The contract of a published system's scorer.

A scorer is a module of this package, or one that another distribution registers as an entry point in the group
`ner_ray.evaluate.papers`. `Paper` lists what the module defines.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
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
        labels: the label set that was asked for, in the order of the prompt.
        gold: the annotated entities.
        predicted: the predicted entities; used where `answers` is None.
        answers: by role, the raw exchanges with the model that the scorer belongs to, for its own parser.
        words: the document's words where the corpus has them; else the scorer splits as its code does.
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

    `counts` are the scorer's further outputs, such as what it could not parse.
    """

    precision: float
    recall: float
    f1: float
    unit: Unit = "fraction"
    counts: Mapping[str, float] = field(default_factory=dict)


class PaperSums(Protocol):
    """What a scorer counts; the default value of every field makes the zero."""

    def __add__(self, other: Self) -> Self: ...

    # Plain data, as `json` writes it.
    def to_dict(self) -> dict[str, Any]: ...

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self: ...


class Paper(Protocol[S]):
    """The module of a scorer."""

    FAMILY: str
    """The model family whose raw answers its own parser reads."""
    FORGIVES: str
    """One line for reports: what this scorer does not count as an error."""
    Sums: type[S]
    """What it counts; sums add up, and convert to and from plain data."""

    def count(self, case: Case) -> S:
        """What one document adds."""
        ...

    def scores(self, sums: S) -> PaperScore:
        """The scorer's figures."""
        ...


CONTRACT: plugins.Contract[Paper[Any]] = plugins.Contract("evaluate.papers", "scorer", Paper)


def load(name: str) -> Paper[Any]:
    """The module of a scorer.

    Raises:
        ConfigError: there is no such scorer, or its module does not define what `Paper` lists.
    """
    return CONTRACT.load(name)
