"""Decoding a batch row by row, within Hugging Face's `generate`: each row has its own limit, stops and sampling.

`generate` asks `Decoder.choose` for the next tokens' scores and then `Decoder.finished` which rows are done. It
always takes the highest score, so a row that is to be sampled gets scores of which the highest is the sample: a race
of exponential clocks, each as fast as its token is likely, has every token win with just its probability. A row's
draws come from a generator of its own, so what a seed gives does not depend on the batch around it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

_TOKENS_A_CHARACTER = 4  # at most: a token is at least one byte


@dataclass(frozen=True, slots=True)
class Rule:
    """How one row is decoded; `limit` is in tokens, a temperature of 0 takes the likeliest token."""

    limit: int
    temperature: float = 0.0
    top_p: float = 1.0
    stop: tuple[str, ...] = ()
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class Decoded:
    """A row's answer: its tokens with the one that ended it, and their log-probabilities before any temperature."""

    tokens: tuple[int, ...]
    logprobs: tuple[float, ...]
    finish_reason: Literal["stop", "length"]


class Decoder:
    """Follows one batch from its first token to its last.

    Args:
        rules: one a row.
        ends: the tokens that end an answer.
        decode: the text of some tokens, for stop strings.
    """

    def __init__(self, rules: Sequence[Rule], ends: frozenset[int], decode: Callable[[list[int]], str]) -> None:
        self._rules = rules
        self._ends = ends
        self._decode = decode
        self._tokens: list[list[int]] = [[] for _ in rules]
        self._reasons: list[Literal["stop", "length"] | None] = [None for _ in rules]
        self._logprobs: list[Any] = []  # a tensor a step, a number a row
        self._scores: Any = None
        self._generators: list[Any] | None = None

    def choose(self, tokens: Any, scores: Any) -> Any:  # noqa: ARG002  # what a logits processor is given
        """A logits processor; both are tensors, `scores` [row, token of the vocabulary]."""
        self._scores = scores
        sampled = [row for row, rule in enumerate(self._rules) if rule.temperature > 0 and not self._reasons[row]]
        if not sampled:
            return scores
        races = scores.clone()
        races[sampled] = self._race(scores[sampled], sampled)
        return races

    def finished(self, tokens: Any, scores: Any) -> Any:  # noqa: ARG002  # what a stopping criterion is given
        """A stopping criterion; which rows are done, as a tensor of truth values."""
        import torch

        new = tokens[:, -1]
        self._logprobs.append(self._scores.log_softmax(-1).gather(1, new[:, None])[:, 0])
        for row, token in enumerate(new.tolist()):
            if not self._reasons[row]:
                self._tokens[row].append(token)
                self._reasons[row] = self._reason(row)
        return torch.tensor([reason is not None for reason in self._reasons], device=tokens.device)

    def decoded(self) -> list[Decoded]:
        """Every row's answer, when all is done."""
        import torch

        steps = torch.stack(self._logprobs, dim=1).tolist()
        return [
            Decoded(tuple(tokens), tuple(logprobs[: len(tokens)]), reason or "length")
            for tokens, logprobs, reason in zip(self._tokens, steps, self._reasons, strict=True)
        ]

    def _reason(self, row: int) -> Literal["stop", "length"] | None:
        rule, tokens = self._rules[row], self._tokens[row]
        if tokens[-1] in self._ends:
            return "stop"
        if rule.stop:
            tail = self._decode(tokens[-_TOKENS_A_CHARACTER * (max(map(len, rule.stop)) + 1) :])
            if any(stop in tail for stop in rule.stop):
                return "stop"
        return "length" if len(tokens) >= rule.limit else None

    def _race(self, scores: Any, rows: Sequence[int]) -> Any:
        import torch

        temperatures = torch.tensor([self._rules[row].temperature for row in rows], device=scores.device)
        chances = (scores / temperatures[:, None]).softmax(-1)
        least = torch.tensor([self._rules[row].top_p for row in rows], device=scores.device)
        clocks = torch.stack([self._clocks(row, scores[0]) for row in rows])
        return nucleus(chances, least) / clocks

    def _clocks(self, row: int, like: Any) -> Any:
        import torch

        if self._generators is None:
            self._generators = [_generator(rule.seed, like.device) for rule in self._rules]
        return torch.empty_like(like).exponential_(generator=self._generators[row])


def nucleus(chances: Any, least: Any) -> Any:
    """Keeps the fewest likeliest tokens that have the probability `least` together; the others' becomes 0.

    Args:
        chances: a tensor of probabilities [row, token].
        least: a tensor of one number a row.
    """
    import torch

    ordered, order = chances.sort(-1, descending=True)
    before = ordered.cumsum(-1) - ordered
    kept = torch.zeros_like(chances).scatter(-1, order, ordered.where(before < least[:, None], 0))
    return torch.where(least[:, None] < 1, kept, chances)


def _generator(seed: int | None, device: Any) -> Any:
    import torch

    generator = torch.Generator(device)
    if seed is None:
        generator.seed()
    else:
        generator.manual_seed(seed)
    return generator
