"""Which labels the last wave found much more or less often than the waves before it.

A nightly run whose input has changed, or whose model has, goes on without an error; what changes first is how often a
label is found. A label is told where its rate has at least doubled or halved, and where at least a hundred entities
were found or expected: chance alone does not halve a hundred (Poisson: p < 1e-7).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ner_ray.store.run import Wave

_FACTOR = 2.0
_ENTITIES = 100


@dataclass(frozen=True, slots=True)
class Drift:
    """Entities of a label in a thousand documents: of all waves before the last one, and of that one."""

    before: float
    last: float


def drift(waves: Sequence[Wave], manifests: Sequence[Mapping[str, Any]]) -> dict[str, Drift]:
    """The labels whose rate has changed, those that are found most often first; empty with fewer than two waves.

    Waves that tried failed documents again tell nothing about the input and are passed over.
    """
    whole = {wave.number for wave in waves if all(shard.chosen is None for shard in wave.shards)}
    tallies = [_tally(manifest) for manifest in manifests if manifest["wave"] in whole]
    if len(tallies) < 2:
        return {}
    *former, (rows, last) = tallies
    rows_before = sum(count for count, _ in former)
    before = sum((labels for _, labels in former), Counter[str]())
    scale = rows / max(1, rows_before)
    changed = [label for label in before.keys() | last.keys() if _is_drift(before[label] * scale, last[label])]
    return {
        label: Drift(1000 * before[label] / max(1, rows_before), 1000 * last[label] / max(1, rows))
        for label in sorted(changed, key=lambda label: (-before[label] - last[label], label))
    }


def _is_drift(expected: float, found: int) -> bool:
    low, high = sorted((expected, found))
    return high >= _ENTITIES and high >= _FACTOR * low


def _tally(manifest: Mapping[str, Any]) -> tuple[int, Counter[str]]:
    """A wave's rows, and its entities by label."""
    labels = (Counter(file.get("labels", {})) for file in manifest["files"])
    return manifest["rows"], sum(labels, Counter())
