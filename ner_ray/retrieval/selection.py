"""Select demonstrations for a batch of texts: retrieve, hold back leaks, choose, order, fit the budget.

The stage before generation calls `select` with each batch of texts.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import regex

from ner_ray.config import DemonstrationsConfig
from ner_ray.errors import ConfigError
from ner_ray.retrieval import base, leakage
from ner_ray.retrieval.base import Integers, Neighbours, Retriever, Scorer
from ner_ray.retrieval.index import Index, load_retriever, open_index
from ner_ray.retrieval.leakage import Guard
from ner_ray.retrieval.strategies import STRATEGIES, Strategy, View, generator
from ner_ray.text.tokens import UNSPACED
from ner_ray.types import Demonstration

Measure = Callable[[Demonstration], int]

BM25 = "bm25"
"""The retriever whose scores strategies filter and rank by."""

_SPARE = 16
"""Extra neighbours to retrieve to make up for those held back. A text with more leaks than this is searched again."""

_NONE: Integers = np.zeros(0, np.int64)
_NOBODY = Neighbours(_NONE, np.zeros(0))
_UNSPACED = regex.compile(rf"(?V1)[{UNSPACED}]")


@dataclass(frozen=True, slots=True)
class Counts:
    """How many demonstrations were given and why others were not; counts add up.

    Attributes:
        documents: number of texts.
        served: texts with at least one example.
        demonstrations: examples given.
        held_back: examples that the strategy would have considered, had they not equalled or repeated the text.
        rejected: examples dropped because of their BM25 score.
        unrelated: texts without examples because the best one scored below `min_score`.
        over_budget: examples dropped because they exceeded the token budget.
    """

    documents: int = 0
    served: int = 0
    demonstrations: int = 0
    held_back: int = 0
    rejected: int = 0
    unrelated: int = 0
    over_budget: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(Counts)))


@dataclass(frozen=True, slots=True)
class Selector:
    """Everything needed to select demonstrations; opened once per process.

    Attributes:
        retriever: None if the strategy needs no neighbours.
        bm25: None if the strategy does not use BM25 scores.
        guard: None if it is switched off.
    """

    config: DemonstrationsConfig
    index: Index
    strategy: Strategy
    retriever: Retriever | None
    bm25: Scorer | None
    guard: Guard | None

    @property
    def depth(self) -> int:
        """The number of neighbours to consider for each text."""
        return max(self.strategy.depth(self.config), int(self.config.min_score is not None))


def check(config: DemonstrationsConfig) -> None:
    """Makes sure that the retrievers of a strategy can work here; opens nothing.

    Raises:
        ConfigError: there is no such retriever.
        MissingExtraError: a package is missing.
    """
    for name in _retrievers(config):
        base.check(name)


def _retrievers(config: DemonstrationsConfig) -> list[str]:
    """The names of the retrievers that a strategy uses."""
    searching = [config.retriever] if _searches(config) else []
    return searching + ([BM25] if STRATEGIES[config.strategy].settle else [])


def _searches(config: DemonstrationsConfig) -> bool:
    """Whether the nearest examples of each text are needed."""
    return bool(STRATEGIES[config.strategy].depth(config)) or config.min_score is not None


def open_selector(config: DemonstrationsConfig) -> Selector:
    """Opens the index, and those of its parts that the strategy needs.

    Raises:
        ConfigError: the index was built without something that the configuration asks for.
        InputError: there is no index, it is damaged, or it was built with another tokenizer or model.
    """
    strategy = STRATEGIES[config.strategy]
    index = open_index(config.index, cache=config.cache)
    loaded: dict[str, Retriever] = {}
    retriever = load_retriever(index, config.retriever, config.options, loaded) if _searches(config) else None
    bm25 = _as_scorer(load_retriever(index, BM25, config.options, loaded)) if strategy.settle else None
    guard = leakage.load(index.folder / "guard", index.manifest["guard"]) if config.guard else None
    return Selector(config, index, strategy, retriever, bm25, guard)


def _as_scorer(retriever: Retriever) -> Scorer:
    if not isinstance(retriever, Scorer):
        raise ConfigError(f"{BM25} cannot score what another retriever found")
    return retriever


def estimate_tokens(demonstration: Demonstration) -> int:
    """A deliberate overestimate of an example's prompt tokens, used when no tokenizer is available.

    One token per character in scripts without spaces, otherwise one per three bytes, for the text, its mentions and
    their labels; plus four tokens of markup for the example and for each mention.
    """
    pieces = [demonstration.text, *(piece for m in demonstration.mentions for piece in (m.text, m.label))]
    return sum(map(_tokens, pieces)) + 4 * (1 + len(demonstration.mentions))


def select(
    selector: Selector, texts: Sequence[str], measure: Measure = estimate_tokens
) -> tuple[list[tuple[Demonstration, ...]], Counts]:
    """The demonstrations of each text, and counts.

    The demonstrations of a text depend on the text, the index and the configuration, never on the other texts.

    Args:
        selector: as `open_selector` returns it.
        texts: documents or chunks.
        measure: counts the tokens of an example, for the budget.
    """
    config = selector.config
    held = selector.guard.leaks(texts, config.guard_overlap) if selector.guard else [_NONE] * len(texts)
    near, skipped = _neighbours(selector, texts, held)
    proposed = [
        _propose(selector, text, neighbours, leaks) for text, neighbours, leaks in zip(texts, near, held, strict=True)
    ]
    kept = _settle(selector, texts, near, proposed)
    related = [_is_related(neighbours, config) for neighbours in near]
    chosen = [picks if keep else [] for picks, keep in zip(kept, related, strict=True)]
    counts = Counts(
        documents=len(texts),
        held_back=skipped,
        rejected=sum(min(config.k, len(picks)) - len(some) for picks, some in zip(proposed, kept, strict=True)),
        unrelated=len(related) - sum(related),
    )
    return _hand_out(selector, near, chosen, measure, counts)


def _neighbours(selector: Selector, texts: Sequence[str], held: Sequence[Integers]) -> tuple[list[Neighbours], int]:
    """The nearest examples that may be shown, and how many nearer ones may not."""
    depth, retriever = selector.depth, selector.retriever
    if retriever is None or not depth:
        return [_NOBODY] * len(texts), sum(leaks.size for leaks in held)
    spare = max((leaks.size for leaks in held if leaks.size <= _SPARE), default=0)
    near = retriever.neighbours(texts, depth + spare)
    skipped = 0
    for number, leaks in enumerate(held):
        if leaks.size > spare:
            near[number] = retriever.neighbours([texts[number]], depth + leaks.size)[0]
        near[number], without = _without(near[number], leaks, depth)
        skipped += without
    return near, skipped


def _without(neighbours: Neighbours, leaks: Integers, depth: int) -> tuple[Neighbours, int]:
    positions, scores = neighbours.positions, neighbours.scores
    if not leaks.size:
        return Neighbours(positions[:depth], scores[:depth]), 0
    may = np.flatnonzero(~np.isin(positions, leaks))[:depth]
    looked_at = positions.size if may.size < depth else int(may[-1]) + 1
    return Neighbours(positions[may], scores[may]), looked_at - may.size


def _propose(selector: Selector, text: str, near: Neighbours, leaks: Integers) -> list[int]:
    view = View(near.positions.tolist(), selector.index.size, frozenset(leaks.tolist()))
    return selector.strategy.propose(view, selector.config, generator(selector.config.seed, text))


def _settle(
    selector: Selector, texts: Sequence[str], near: Sequence[Neighbours], proposed: Sequence[list[int]]
) -> list[list[int]]:
    settle, bm25 = selector.strategy.settle, selector.bm25
    if settle is None or bm25 is None:
        return list(proposed)
    if selector.config.retriever == BM25:
        known = [_by_position(neighbours) for neighbours in near]
        scores = [[table[pick] for pick in picks] for table, picks in zip(known, proposed, strict=True)]
    else:
        asked = [np.array(picks, dtype=np.int64) for picks in proposed]
        scores = [row.tolist() for row in bm25.scores(texts, asked)]
    return [settle(picks, row, selector.config) for picks, row in zip(proposed, scores, strict=True)]


def _is_related(near: Neighbours, config: DemonstrationsConfig) -> bool:
    if config.min_score is None:
        return True
    return near.scores.size > 0 and bool(near.scores[0] >= config.min_score)


def _hand_out(
    selector: Selector,
    near: Sequence[Neighbours],
    chosen: Sequence[list[int]],
    measure: Measure,
    counts: Counts,
) -> tuple[list[tuple[Demonstration, ...]], Counts]:
    wanted = sorted({position for picks in chosen for position in picks})
    examples = dict(zip(wanted, selector.index.examples(wanted), strict=True))
    given: list[tuple[Demonstration, ...]] = []
    for neighbours, picks in zip(near, chosen, strict=True):
        scores = _by_position(neighbours)
        shown = [_scored(examples[pick], scores.get(pick, 0.0)) for pick in picks]
        fitting = _fitting(shown, selector.config.token_budget, measure)
        given.append(tuple(_ordered(fitting, selector.config.order)))
    demonstrations = sum(map(len, given))
    return given, replace(
        counts,
        served=sum(1 for shown in given if shown),
        demonstrations=demonstrations,
        over_budget=sum(map(len, chosen)) - demonstrations,
    )


def _scored(example: Demonstration, score: float) -> Demonstration:
    # The same as `dataclasses.replace` in a third of the time: there are eight of these per document.
    return Demonstration(example.text, example.mentions, score, example.example_id)


def _fitting(shown: list[Demonstration], budget: int | None, measure: Measure) -> list[Demonstration]:
    """The examples before the first that exceeds the budget."""
    if budget is None:
        return shown
    totals = itertools.accumulate(map(measure, shown))
    return [demonstration for demonstration, total in zip(shown, totals, strict=True) if total <= budget]


def _ordered(shown: list[Demonstration], order: str) -> list[Demonstration]:
    if order == "as_chosen":
        return shown
    ranked = sorted(shown, key=lambda demonstration: -demonstration.score)
    return ranked if order == "nearest_first" else ranked[::-1]


def _by_position(neighbours: Neighbours) -> dict[int, float]:
    return dict(zip(neighbours.positions.tolist(), neighbours.scores.tolist(), strict=True))


def _tokens(text: str) -> int:
    if text.isascii():
        return -(-len(text) // 3)
    unspaced = len(_UNSPACED.findall(text))
    # Such a character has three bytes in UTF-8; a few have four, which overestimates them slightly.
    return unspaced + max(0, -(-(len(text.encode("utf-8", "surrogatepass")) - 3 * unspaced) // 3))
