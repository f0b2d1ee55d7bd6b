"""Demonstrations for a batch of texts: retrieve, hold back, choose, order, fit.

`select` is what the stage before generation calls, with a batch of texts.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import regex

from ner_ray.config import DemonstrationsConfig
from ner_ray.errors import ConfigError
from ner_ray.retrieval import leakage
from ner_ray.retrieval.base import Integers, Neighbours, Retriever, Scorer
from ner_ray.retrieval.index import Index, load_retriever, open_index
from ner_ray.retrieval.leakage import Guard
from ner_ray.retrieval.strategies import STRATEGIES, Strategy, View, generator
from ner_ray.text.tokens import UNSPACED
from ner_ray.types import Demonstration

Measure = Callable[[Demonstration], int]

BM25 = "bm25"
"""The retriever by whose scores strategies settle."""

_SPARE = 16
"""Neighbours asked for beyond those needed, where some are held back; with more, a text is asked again."""

_NONE: Integers = np.zeros(0, np.int64)
_NOBODY = Neighbours(_NONE, np.zeros(0))
_UNSPACED = regex.compile(rf"(?V1)[{UNSPACED}]")


@dataclass(frozen=True, slots=True)
class Counts:
    """What was given and what was not; adds.

    Attributes:
        documents: texts asked for.
        served: of these, how many got an example.
        demonstrations: examples given.
        held_back: examples that the strategy would have looked at, if they were not the text or repeated it.
        rejected: examples dropped for their BM25 score.
        unrelated: texts that got none, as their best example scored under `min_score`.
        over_budget: examples dropped for want of tokens.
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
    """All that choosing needs, opened once a process.

    Attributes:
        retriever: None where nothing near is asked for.
        bm25: None where the strategy does not ask for it.
        guard: None where it is switched off.
    """

    config: DemonstrationsConfig
    index: Index
    strategy: Strategy
    retriever: Retriever | None
    bm25: Scorer | None
    guard: Guard | None

    @property
    def depth(self) -> int:
        """How many neighbours of a text are looked at."""
        return max(self.strategy.depth(self.config), int(self.config.min_score is not None))


def open_selector(config: DemonstrationsConfig) -> Selector:
    """Opens the index and what of it the strategy needs.

    Raises:
        ConfigError: the index was built without what the configuration asks for.
        InputError: no index, a damaged one, or one made with another tokenizer or model.
    """
    strategy = STRATEGIES[config.strategy]
    index = open_index(config.index, cache=config.cache)
    loaded: dict[str, Retriever] = {}
    retriever: Retriever | None = None
    bm25: Scorer | None = None
    if strategy.depth(config) or config.min_score is not None:
        retriever = load_retriever(index, config.retriever, config.options, loaded)
    if strategy.settle is not None:
        bm25 = _as_scorer(load_retriever(index, BM25, config.options, loaded))
    guard = leakage.load(index.folder / "guard", index.manifest["guard"]) if config.guard else None
    return Selector(config, index, strategy, retriever, bm25, guard)


def _as_scorer(retriever: Retriever) -> Scorer:
    if not isinstance(retriever, Scorer):
        raise ConfigError(f"{BM25} cannot score what another retriever found")
    return retriever


def estimate_tokens(demonstration: Demonstration) -> int:
    """About the tokens an example takes in a prompt, rather too many; for want of a model's tokenizer.

    One a character of scripts without spaces, else one every three bytes; its entities with their labels, and
    four a mention and the example for what stands around them.
    """
    pieces = [demonstration.text, *(piece for m in demonstration.mentions for piece in (m.text, m.label))]
    return sum(map(_tokens, pieces)) + 4 * (1 + len(demonstration.mentions))


def select(
    selector: Selector, texts: Sequence[str], measure: Measure = estimate_tokens
) -> tuple[list[tuple[Demonstration, ...]], Counts]:
    """What each text is given, and the counts of it all.

    What a text gets depends on the text, the index and the configuration, never on the other texts.

    Args:
        selector: what was opened.
        texts: of documents or chunks.
        measure: the tokens that an example takes, for the budget.
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
    """The nearest examples that may be given, and how many that may not stood before the last of them."""
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
    # What `dataclasses.replace` does, at a third of its time: there are eight of them a document.
    return Demonstration(example.text, example.mentions, score, example.example_id)


def _fitting(shown: list[Demonstration], budget: int | None, measure: Measure) -> list[Demonstration]:
    """The examples up to the first that no longer fits."""
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
    # Such a character is three bytes in UTF-8, or four, which counts it a little more.
    return unspaced + max(0, -(-(len(text.encode("utf-8", "surrogatepass")) - 3 * unspaced) // 3))
