"""The counts of four of the five scorers, and the string normalisation that three of them share."""

from __future__ import annotations

import json
import re
import string
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

# The released scorers add this to every denominator, so that 0 / 0 gives 0.
_EPSILON = 1e-10
_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ARTICLES = re.compile(r"\b(a|an|the)\b")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class MatchSums:
    """Matches of de-duplicated strings; instances can be added.

    Attributes:
        correct: predicted strings that are gold strings of the same document or query.
        gold: gold strings.
        predicted: predicted strings.
        unparsed_gold: gold lists that the scorer's own parser could not read.
        unparsed_predicted: answers that the scorer's own parser could not read.
    """

    correct: int = 0
    gold: int = 0
    predicted: int = 0
    unparsed_gold: int = 0
    unparsed_predicted: int = 0

    def __add__(self, other: MatchSums) -> MatchSums:
        return MatchSums(
            self.correct + other.correct,
            self.gold + other.gold,
            self.predicted + other.predicted,
            self.unparsed_gold + other.unparsed_gold,
            self.unparsed_predicted + other.unparsed_predicted,
        )

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> MatchSums:
        return cls(**data)


def matches(predicted: Iterable[T], gold: Iterable[T]) -> MatchSums:
    """The sums for two lists, each counted without duplicates."""
    wanted, named = set(gold), set(predicted)
    return MatchSums(correct=len(wanted & named), gold=len(wanted), predicted=len(named))


def precision_recall_f1(sums: MatchSums) -> tuple[float, float, float]:
    """The scores as the code of GNER and UniversalNER computes them, to the last bit."""
    precision = sums.correct / (sums.predicted + _EPSILON)
    recall = sums.correct / (sums.gold + _EPSILON)
    return precision, recall, 2 * precision * recall / (precision + recall + _EPSILON)


def normalize(mention: str) -> str:
    """Lower case, without ASCII punctuation and English articles, single spaces (SQuAD's `normalize_answer`)."""
    bare = mention.lower().translate(_PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", bare).split())


def unique(items: Iterable[T]) -> list[T]:
    """The items without duplicates, in order."""
    return list(dict.fromkeys(items))


def read_json_list(text: str) -> list[str | tuple[str, ...]]:
    """The normalised, de-duplicated items of a JSON list of strings.

    Raises:
        ValueError: the text is not such a list (`json.JSONDecodeError` is a ValueError).
    """
    return unique(_item(item) for item in json.loads(text))


def _item(item: object) -> str | tuple[str, ...]:
    if isinstance(item, str):
        return normalize(item)
    if isinstance(item, list) and all(isinstance(part, str) for part in item):
        return tuple(normalize(part) for part in item)
    raise ValueError(f"an item of a list of mentions is {item!r}, not a string")
