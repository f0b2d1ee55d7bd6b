"""Whether scores are probabilities: how often entities with a score of s are right.

Predicted entities are counted in bins of their scores, which are narrower towards 1, where most scores are. An entity
is right if span and label are (`strict`). The expected calibration error is the mean distance between the score and the
share that is right, over ten equal bins weighted by their entities (Naeini et al., "Obtaining Well Calibrated
Probabilities Using Bayesian Binning", 2015).
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ner_ray.annotator.calibration import Calibration
from ner_ray.evaluate.spans import Pair

_EDGES = (
    *(at / 50 for at in range(46)),
    *(0.9 + at / 100 for at in range(1, 10)),
    *(0.99 + at / 1000 for at in range(10)),
)
_EQUAL_BINS = 10


@dataclass(frozen=True, slots=True)
class Bin:
    """Entities with similar scores.

    Attributes:
        entities: how many there are.
        right: how many of them are right.
        total: the sum of their scores.
    """

    entities: int = 0
    right: int = 0
    total: float = 0.0

    def __add__(self, other: Bin) -> Bin:
        return Bin(self.entities + other.entities, self.right + other.right, self.total + other.total)

    @property
    def score(self) -> float:
        """The mean score."""
        return self.total / self.entities

    @property
    def share(self) -> float:
        """The share that is right."""
        return self.right / self.entities


@dataclass(frozen=True, slots=True)
class Reliability:
    """Predicted entities by their scores; instances can be added.

    Attributes:
        bins: by number, those that have entities.
    """

    bins: Mapping[int, Bin] = field(default_factory=dict)

    def __add__(self, other: Reliability) -> Reliability:
        numbers = sorted({*self.bins, *other.bins})
        return Reliability({at: self.bins.get(at, Bin()) + other.bins.get(at, Bin()) for at in numbers})

    def to_dict(self) -> dict[str, Any]:
        return {str(at): [one.entities, one.right, one.total] for at, one in self.bins.items()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Reliability:
        return cls({int(at): Bin(*values) for at, values in data.items()})


def count(pairs: Iterable[Pair]) -> Reliability:
    """The predicted entities of some documents that have scores."""
    bins: dict[int, Bin] = defaultdict(Bin)
    for pair in pairs:
        if pair.predicted is None or pair.predicted.score is None:
            continue
        right = pair.same_span and pair.gold is not None and pair.gold.label == pair.predicted.label
        score = min(max(pair.predicted.score, 0.0), 1.0)
        bins[bisect_right(_EDGES, score) - 1] += Bin(1, int(right), score)
    return Reliability(dict(bins))


def diagram(reliability: Reliability) -> list[Bin]:
    """Ten equal bins, by score; those without entities have none."""
    bins = [Bin() for _ in range(_EQUAL_BINS)]
    for at, one in reliability.bins.items():
        bins[min(_EQUAL_BINS - 1, int(_EDGES[at] * _EQUAL_BINS + 1e-9))] += one
    return bins


def expected_calibration_error(reliability: Reliability) -> float | None:
    """From 0 (scores are probabilities) to 1; None where no entity has a score."""
    bins = [one for one in diagram(reliability) if one.entities]
    entities = sum(one.entities for one in bins)
    return sum(one.entities * abs(one.score - one.share) for one in bins) / entities if entities else None


def fit(reliability: Reliability) -> Calibration | None:
    """The calibration under which these scores would have been right most often; None without scores.

    Example:
        >>> fit(Reliability({10: Bin(10, 2, 2.0), 40: Bin(10, 5, 8.0), 45: Bin(10, 4, 9.0)}))
        Calibration(scores=(0.2, 0.85), probabilities=(0.2, 0.45))
    """
    pooled = list(_pooled(one for _, one in sorted(reliability.bins.items()) if one.entities))
    if not pooled:
        return None
    return Calibration(tuple(round(one.score, 6) for one in pooled), tuple(round(one.share, 6) for one in pooled))


def _pooled(bins: Iterable[Bin]) -> Iterator[Bin]:
    """Neighbouring bins joined until the share that is right never falls."""
    done: list[Bin] = []
    for one in bins:
        done.append(one)
        while len(done) > 1 and done[-2].share >= done[-1].share:
            last = done.pop()
            done[-1] += last
    return iter(done)
