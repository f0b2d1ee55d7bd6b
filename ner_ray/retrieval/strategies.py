"""The strategies that RA-IT published for choosing demonstrations among a text's neighbours.

Each strategy first proposes examples, then may keep fewer by their BM25 scores. Rejected examples are not replaced,
so a text may be left with fewer than k examples, or none. Random draws use `random.sample`, as in the original, but
with a generator per text: the same text gets the same examples whatever comes before it.

Source: `get_adaptive_examples` in github.com/Emma1066/Retrieval-Augmented-IT-OpenNER, which was run with k = 2, 128
candidates and a threshold of 20. It has no code for `mixed` (`mix_0.8` in the names of its data).
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from ner_ray.config import DemonstrationsConfig


@dataclass(frozen=True, slots=True)
class View:
    """What a strategy sees of the pool for one text; examples are given as positions in the pool.

    Attributes:
        neighbours: nearest first, without those held back.
        size: number of examples in the pool.
        held_back: examples that must not be shown.
    """

    neighbours: Sequence[int]
    size: int
    held_back: AbstractSet[int] = frozenset()


Propose = Callable[[View, DemonstrationsConfig, random.Random], list[int]]
Settle = Callable[[Sequence[int], Sequence[float], DemonstrationsConfig], list[int]]


@dataclass(frozen=True, slots=True)
class Strategy:
    """How examples are chosen.

    Attributes:
        propose: proposes examples, in order.
        depth: the number of neighbours that it considers.
        settle: given the proposed examples and their BM25 scores, returns those to keep, in order.
    """

    propose: Propose
    depth: Callable[[DemonstrationsConfig], int]
    settle: Settle | None = None


def generator(seed: int, text: str) -> random.Random:
    """The random generator of a text, seeded by the run's seed and the text, not by the order of documents."""
    content = f"{seed}\n{text}".encode("utf-8", "surrogatepass")
    return random.Random(int.from_bytes(hashlib.blake2b(content, digest_size=16).digest()))  # noqa: S311 - to be repeatable, not secret


def _nearest(view: View, config: DemonstrationsConfig, _: random.Random) -> list[int]:
    return list(view.neighbours[: config.k])


def _diverse(view: View, config: DemonstrationsConfig, chance: random.Random) -> list[int]:
    candidates = list(view.neighbours[: config.candidates])
    return chance.sample(candidates, min(config.k, len(candidates)))


def _candidates(view: View, config: DemonstrationsConfig, _: random.Random) -> list[int]:
    return list(view.neighbours[: config.candidates])


def _random(view: View, config: DemonstrationsConfig, chance: random.Random) -> list[int]:
    """Draws as many extra examples as are held back, so that these can be left out; without any, as published."""
    drawn = chance.sample(range(view.size), min(config.k + len(view.held_back), view.size))
    return [position for position in drawn if position not in view.held_back][: config.k]


def _mixed(view: View, config: DemonstrationsConfig, chance: random.Random) -> list[int]:
    near = chance.random() < config.nearest_share
    return (_nearest if near else _random)(view, config, chance)


def _reject(picks: Sequence[int], bm25: Sequence[float], config: DemonstrationsConfig) -> list[int]:
    return [pick for pick, score in zip(picks, bm25, strict=True) if score >= config.bm25_threshold]


def _rank(picks: Sequence[int], bm25: Sequence[float], config: DemonstrationsConfig) -> list[int]:
    order = sorted(range(len(picks)), key=lambda number: -bm25[number])[: config.k]
    return _reject([picks[number] for number in order], [bm25[number] for number in order], config)


STRATEGIES: Mapping[str, Strategy] = {
    "nn": Strategy(_nearest, lambda config: config.k),
    "nn_bm25_rejection": Strategy(_nearest, lambda config: config.k, _reject),
    "diverse_nn": Strategy(_diverse, lambda config: config.candidates),
    "diverse_nn_bm25_rejection": Strategy(_diverse, lambda config: config.candidates, _reject),
    "bm25_rank": Strategy(_candidates, lambda config: config.candidates, _rank),
    "random": Strategy(_random, lambda _: 0),
    "mixed": Strategy(_mixed, lambda config: config.k),
}
