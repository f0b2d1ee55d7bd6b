"""Labels that the last wave found much more or much less often than the waves before it.

A nightly run whose input or model has changed reports no error; the first visible sign is how often a label is found. A
label is reported if its rate has at least doubled or halved and at least 100 of its entities were found or expected:
chance alone does not halve a hundred (Poisson: p < 1e-7).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ner_ray.store.tally import Tally

_FACTOR = 2.0
_ENTITIES = 100


@dataclass(frozen=True, slots=True)
class Drift:
    """Entities of a label per thousand documents: in all waves before the last one, and in the last one."""

    before: float
    last: float


def drift(tallies: Iterable[Tally]) -> dict[str, Drift]:
    """The labels whose rate has changed, most frequent first; empty with fewer than two waves.

    Args:
        tallies: of the committed waves, in order, without those that retry failed documents: they say nothing about the
            input.
    """
    *earlier, last = list(tallies) or [Tally()]
    before = sum(earlier, Tally())
    if not before.documents or not last.documents:
        return {}
    scale = last.documents / before.documents
    labels = before.labels + last.labels
    return {
        label: Drift(1000 * before.labels[label] / before.documents, 1000 * last.labels[label] / last.documents)
        for label, _ in labels.most_common()
        if _is_drift(before.labels[label] * scale, last.labels[label])
    }


def _is_drift(expected: float, found: int) -> bool:
    low, high = sorted((expected, found))
    return high >= _ENTITIES and high >= _FACTOR * low
