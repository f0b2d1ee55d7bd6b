"""Types that a passage does not have, for questions whose correct answer is an empty list.

Zhou et al., "UniversalNER", 2023: negative types drawn in proportion to their frequency gain 22 points of F1 over none,
and 6 over uniformly drawn ones. The number per passage follows Sky-NER's `4.gen_it_data.py`
(github.com/Emma1066/Retrieval-Augmented-IT-OpenNER, commit f4b177b): a coin toss for each type that the passage has.
"""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Collection, Mapping
from itertools import accumulate

from ner_ray.synth.config import NegativeOptions

_TRIES = 64  # failed draws before the remaining types are enumerated


class TypePool:
    """The types of a data set with their frequencies: built once, drawn from often."""

    def __init__(self, frequencies: Mapping[str, int]) -> None:
        self._names = sorted(name for name, count in frequencies.items() if count > 0)
        self._counts = [frequencies[name] for name in self._names]
        self._sums = {
            "frequency": list(accumulate(self._counts)),
            "uniform": list(range(1, len(self._names) + 1)),
        }

    @property
    def names(self) -> tuple[str, ...]:
        """All types, sorted."""
        return tuple(self._names)

    def negatives(self, positives: Collection[str], options: NegativeOptions, rng: random.Random) -> list[str]:
        """Distinct types that the passage does not have, in the order drawn.

        They are drawn without replacement, in proportion to the weights of the remaining types; there are fewer than
        wanted if the pool has no more.
        """
        present = set(positives)
        if options.draw == "none":
            return []
        wanted = _number(len(present), options, rng)
        if options.repeats:
            return self._mentions(present, wanted, options, rng)
        found: dict[str, None] = {}
        while len(found) < wanted:
            name = self._other(present | found.keys(), self._sums[options.draw], rng)
            if name is None:
                break
            found[name] = None
        return list(found)

    def _mentions(self, present: set[str], wanted: int, options: NegativeOptions, rng: random.Random) -> list[str]:
        """The published draw: mentions without replacement, several of which may share a type."""
        pool = [(name, count) for name, count in zip(self._names, self._counts, strict=True) if name not in present]
        names = [name for name, _ in pool]
        counts = [count if options.draw == "frequency" else 1 for _, count in pool]
        return list(dict.fromkeys(rng.sample(names, min(wanted, len(names)), counts=counts))) if names else []

    def _other(self, taken: Collection[str], sums: list[int], rng: random.Random) -> str | None:
        """A type that has not been taken yet, drawn by weight; None if there is none."""
        for _ in range(_TRIES):
            name = self._names[bisect_right(sums, rng.random() * sums[-1])] if sums else None
            if name is None or name not in taken:
                return name
        left = [number for number, name in enumerate(self._names) if name not in taken]
        weights = [sums[number] - (sums[number - 1] if number else 0) for number in left]
        return self._names[rng.choices(left, weights)[0]] if left else None


def _number(positives: int, options: NegativeOptions, rng: random.Random) -> int:
    if options.number == "rounded":
        return round(options.rate * positives)
    return sum(rng.random() < options.rate for _ in range(positives))
