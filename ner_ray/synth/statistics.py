"""Statistics of a set of training data: types by frequency, mentions by type, the long tail."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from ner_ray.types import Mention


@dataclass(frozen=True, slots=True)
class Statistics:
    """Counts of passages and of (type, surface) pairs, as written; instances can be added.

    Attributes:
        passages: number of passages.
        empty: passages in which nothing was found.
        pairs: (type, surface) -> number of passages that list it.
    """

    passages: int = 0
    empty: int = 0
    pairs: Counter[tuple[str, str]] = field(default_factory=Counter)

    def __add__(self, other: Statistics) -> Statistics:
        return Statistics(self.passages + other.passages, self.empty + other.empty, self.pairs + other.pairs)

    def lowered(self) -> Statistics:
        """The same with types and surfaces in lower case, as the published statistics count."""
        pairs: Counter[tuple[str, str]] = Counter()
        for (label, surface), count in self.pairs.items():
            pairs[label.lower(), surface.lower()] += count
        return Statistics(self.passages, self.empty, pairs)

    def frequencies(self) -> dict[str, int]:
        """Type -> number of its mentions, most frequent first, ties by name."""
        counts: Counter[str] = Counter()
        for (label, _), count in self.pairs.items():
            counts[label] += count
        return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))

    def summary(self) -> dict[str, int | float]:
        """Totals under their published names; `avg_pair_per_sample` is distinct pairs per passage, as published."""
        lowered = self.lowered()
        return {
            "total_entity_num": lowered.pairs.total(),
            "total_type_num": len({label for label, _ in lowered.pairs}),
            "total_ent_type_pair_num": len(lowered.pairs),
            "avg_pair_per_sample": len(lowered.pairs) / self.passages if self.passages else 0.0,
        }

    def tail(self) -> dict[str, float]:
        """The shares of all mentions that go to the most frequent 1 % of types, to the next 9 %, and to the rest."""
        counts = list(self.frequencies().values())
        total = sum(counts) or 1
        head, middle = -(-len(counts) // 100), -(-len(counts) // 10)
        parts = {"top 1 %": counts[:head], "next 9 %": counts[head:middle], "rest": counts[middle:]}
        return {name: sum(part) / total for name, part in parts.items()}


def count(mentions: Iterable[Mention]) -> Statistics:
    """The statistics of one passage."""
    pairs = Counter((mention.label, mention.text) for mention in mentions)
    return Statistics(1, 0 if pairs else 1, pairs)
