"""Confidence intervals from a bootstrap over documents whose sums can be added across shards.

Each document is drawn Poisson(1) times into each replicate, which makes a bootstrap possible without knowing the
number of documents (Chamandy et al., "Estimating uncertainty for massive data streams", 2012). A document's draws
depend only on its id, the replicate and the seed, so the sums of shards, in any order and of any size, add up to the
sums of the whole.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

COUNTS = ("correct", "gold", "predicted")
LEVEL = 0.95

_Floats = npt.NDArray[np.float64]
_Words = npt.NDArray[np.uint64]
# P(Poisson(1) <= k); the probability of more than 19 is below double precision.
_CUMULATIVE = np.cumsum([math.exp(-1) / math.factorial(k) for k in range(20)])


@dataclass(frozen=True, slots=True)
class Interval:
    """The range that holds the middle `LEVEL` of the replicates."""

    low: float
    high: float


@dataclass(frozen=True, slots=True, eq=False)
class Replicates:
    """For each replicate, the number of documents drawn and the sums of each score's counts; can be added.

    Attributes:
        names: the scores.
        documents: shape (samples,).
        sums: shape (samples, scores, 3), in the order of `COUNTS`.
    """

    names: tuple[str, ...]
    documents: _Floats
    sums: _Floats

    def __add__(self, other: Replicates) -> Replicates:
        return Replicates(self.names, self.documents + other.documents, self.sums + other.sums)

    def to_dict(self) -> dict[str, Any]:
        return {
            "names": list(self.names),
            "documents": self.documents.tolist(),
            "sums": self.sums.ravel().tolist(),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Replicates:
        names = tuple(data["names"])
        documents = np.array(data["documents"], dtype=np.float64)
        shape = (len(documents), len(names), len(COUNTS))
        return cls(names, documents, np.array(data["sums"], dtype=np.float64).reshape(shape))


def zero(names: Sequence[str], samples: int) -> Replicates:
    """Replicates without documents."""
    return Replicates(tuple(names), np.zeros(samples), np.zeros((samples, len(names), len(COUNTS))))


def draw(
    names: Sequence[str],
    ids: Sequence[str],
    counts: Sequence[Sequence[Sequence[float]]],
    *,
    samples: int,
    seed: int,
) -> Replicates:
    """The replicates for several documents.

    Args:
        names: the scores.
        ids: shape (documents,); identify the documents.
        counts: for each document and each score, the values of `COUNTS`; shape (documents, scores, 3).
        samples: the number of replicates.
        seed: a different seed draws different documents.
    """
    if not ids or not samples:
        return zero(names, samples)
    times = weights(ids, samples=samples, seed=seed).astype(np.float64)
    flat = np.asarray(counts, dtype=np.float64).reshape(len(ids), -1)
    # (samples, documents) @ (documents, scores * 3): the weighted sums of all counts, for each replicate.
    sums = (times.T @ flat).reshape(samples, len(names), len(COUNTS))
    return Replicates(tuple(names), times.sum(axis=0), sums)


def weights(ids: Sequence[str], *, samples: int, seed: int) -> npt.NDArray[np.int64]:
    """How often each document is drawn into each replicate, Poisson(1)-distributed; shape (documents, samples)."""
    prefix = seed.to_bytes(8, "little", signed=True)
    digests = b"".join(hashlib.blake2b(prefix + i.encode(errors="surrogatepass"), digest_size=8).digest() for i in ids)
    # One 64-bit key per document, shape (documents, 1), plus a multiple of the golden ratio per replicate.
    keys = np.frombuffer(digests, dtype="<u8")[:, None]
    uniform = _mix(keys + np.arange(1, samples + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15))
    return np.searchsorted(_CUMULATIVE, uniform, side="right")


def intervals(replicates: Replicates) -> dict[str, dict[str, Interval]]:
    """Score -> the intervals of its precision, recall and F1; empty if no replicate drew a document."""
    sums = replicates.sums[replicates.documents > 0]
    if not len(sums):
        return {}
    correct, gold, predicted = (sums[:, :, column] for column in range(len(COUNTS)))
    precision, recall = _ratio(correct, predicted), _ratio(correct, gold)
    figures = {"precision": precision, "recall": recall, "f1": _ratio(2 * correct, gold + predicted)}
    tail = (1 - LEVEL) / 2
    bounds = {name: np.quantile(values, [tail, 1 - tail], axis=0) for name, values in figures.items()}
    return {
        score: {name: Interval(*map(float, bound[:, column])) for name, bound in bounds.items()}
        for column, score in enumerate(replicates.names)
    }


def _ratio(part: _Floats, whole: _Floats) -> _Floats:
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)


def _mix(state: _Words) -> _Floats:
    """Uniform numbers in [0, 1), by the finaliser of splitmix64 (Steele, Lea and Flood, 2014)."""
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    state ^= state >> np.uint64(31)
    return (state >> np.uint64(11)).astype(np.float64) * 2.0**-53
