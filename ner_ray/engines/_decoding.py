"""Per-row decoding inside Hugging Face's `generate`: each row has its own length limit, stop strings and sampling.

At each step, `generate` asks `Decoder.choose` for the scores of the next tokens, and then `Decoder.finished` which
rows are done. It always takes the token with the highest score. For a row that samples, `choose` therefore returns
scores whose maximum is the sample: probabilities divided by independent Exp(1) variables (the exponential race, a
form of the Gumbel-max trick). Each row draws from its own random generator, so the result of a seed does not depend on
the rest of the batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

_MAX_TOKENS_PER_CHARACTER = 4  # a token is at least one byte, a character at most four


@dataclass(frozen=True, slots=True)
class Rule:
    """How one row is decoded: `limit` is in tokens; a temperature of 0 means greedy decoding.

    Any of the strings in `stop` ends it, and so does any of the tokens in `ends`.
    """

    limit: int
    temperature: float = 0.0
    top_p: float = 1.0
    stop: tuple[str, ...] = ()
    ends: frozenset[int] = frozenset()
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class Decoded:
    """A row's answer: its tokens, including the end token, and their log-probabilities at temperature 1."""

    tokens: tuple[int, ...]
    logprobs: tuple[float, ...]
    finish_reason: Literal["stop", "length"]


class Decoder:
    """Decodes one batch, from the first token to the last.

    Args:
        rules: one per row.
        ends: the ids of tokens that end any answer.
        decode: turns token ids into text, to look for stop strings.
    """

    def __init__(self, rules: Sequence[Rule], ends: frozenset[int], decode: Callable[[list[int]], str]) -> None:
        self._rules = rules
        self._ends = ends
        self._decode = decode
        self._tokens: list[list[int]] = [[] for _ in rules]
        self._reasons: list[Literal["stop", "length"] | None] = [None for _ in rules]
        self._logprobs: list[Any] = []  # one tensor [row] per step
        self._scores: Any = None
        self._generators: list[Any] | None = None

    def choose(self, tokens: Any, scores: Any) -> Any:  # noqa: ARG002  # a logits processor's signature
        """A logits processor: the scores [row, vocabulary] whose maximum is each row's next token."""
        self._scores = scores
        sampled = [row for row, rule in enumerate(self._rules) if rule.temperature > 0 and not self._reasons[row]]
        if not sampled:
            return scores
        races = scores.clone()
        races[sampled] = self._race(scores[sampled], sampled)
        return races

    def finished(self, tokens: Any, scores: Any) -> Any:  # noqa: ARG002  # a stopping criterion's signature
        """A stopping criterion: which rows are done, as a tensor of booleans [row]."""
        import torch

        new = tokens[:, -1]
        self._logprobs.append(self._scores.log_softmax(-1).gather(1, new[:, None])[:, 0])
        for row, token in enumerate(new.tolist()):
            if not self._reasons[row]:
                self._tokens[row].append(token)
                self._reasons[row] = self._reason(row)
        return torch.tensor([reason is not None for reason in self._reasons], device=tokens.device)

    def decoded(self) -> list[Decoded]:
        """Every row's answer, once all rows are done."""
        import torch

        steps = torch.stack(self._logprobs, dim=1).tolist()
        return [
            Decoded(tuple(tokens), tuple(logprobs[: len(tokens)]), reason or "length")
            for tokens, logprobs, reason in zip(self._tokens, steps, self._reasons, strict=True)
        ]

    def _reason(self, row: int) -> Literal["stop", "length"] | None:
        rule, tokens = self._rules[row], self._tokens[row]
        if tokens[-1] in self._ends or tokens[-1] in rule.ends:
            return "stop"
        if rule.stop:
            tail = self._decode(tokens[-_MAX_TOKENS_PER_CHARACTER * (max(map(len, rule.stop)) + 1) :])
            if any(stop in tail for stop in rule.stop):
                return "stop"
        return "length" if len(tokens) >= rule.limit else None

    def _race(self, scores: Any, rows: Sequence[int]) -> Any:
        import torch

        temperatures = torch.tensor([self._rules[row].temperature for row in rows], device=scores.device)
        probabilities = (scores / temperatures[:, None]).softmax(-1)  # [row, vocabulary]
        top_p = torch.tensor([self._rules[row].top_p for row in rows], device=scores.device)
        exponentials = torch.stack([self._exponentials(row, scores[0]) for row in rows])
        return nucleus(probabilities, top_p) / exponentials

    def _exponentials(self, row: int, like: Any) -> Any:
        import torch

        if self._generators is None:
            self._generators = [_generator(rule.seed, like.device) for rule in self._rules]
        return torch.empty_like(like).exponential_(generator=self._generators[row])


def nucleus(probabilities: Any, top_p: Any) -> Any:
    """Keeps the smallest set of most likely tokens whose total probability reaches `top_p`; the others become 0.

    Args:
        probabilities: a tensor [row, token].
        top_p: a tensor [row]; 1 or more keeps all tokens.
    """
    import torch

    ordered, order = probabilities.sort(-1, descending=True)
    before = ordered.cumsum(-1) - ordered  # total probability of all tokens that are more likely
    kept = torch.zeros_like(probabilities).scatter(-1, order, ordered.where(before < top_p[:, None], 0))
    return torch.where(top_p[:, None] < 1, kept, probabilities)


def _generator(seed: int | None, device: Any) -> Any:
    import torch

    generator = torch.Generator(device)
    if seed is None:
        generator.seed()
    else:
        generator.manual_seed(seed)
    return generator
