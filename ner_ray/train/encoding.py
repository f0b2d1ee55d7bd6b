"""Training rows as tokens: what the model reads, and which tokens count in the loss.

Chat turns are rendered with the model's own chat template, exactly as the engine renders them when the model is served.
The loss is on learnt answers alone.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ner_ray.data.training import TrainingRow
from ner_ray.models.tokenizers import render

IGNORED = -100
"""The label of tokens that are not part of an answer, as PyTorch's cross entropy expects it."""

_OPEN_ROWS = 200  # packed rows that are searched for room


@dataclass(frozen=True, slots=True)
class Encoded:
    """Tokens, and for each token its label: the token itself in an answer, else `IGNORED`.

    Every worker holds the tokens of all files in memory: 4 bytes each as arrays, where tuples would take 36.

    Attributes:
        tokens: what the model reads.
        labels: of the same length as `tokens` for a decoder; the answer alone for an encoder-decoder model.
        weight: how often the answers count in the loss.
    """

    tokens: array[int]
    labels: array[int]
    weight: float = 1.0

    @classmethod
    def of(cls, tokens: Iterable[int], labels: Iterable[int], weight: float = 1.0) -> Encoded:
        """The same from any integers."""
        return cls(array("i", tokens), array("i", labels), weight)


def encode(row: TrainingRow, tokenizer: Any) -> list[Encoded]:
    """A row for a decoder; all its answers share one sequence where the chat template allows it.

    A template may render earlier turns differently once they are no longer the last ones: some drop a turn's thoughts.
    Each answer then gets a sequence of its own, which is always right and only costs more.

    Args:
        row: with at least one learnt answer.
        tokenizer: transformers' tokenizer of the model.
    """
    done: list[Encoded] = []
    for prompt, text in row.examples():
        tokens = render(tokenizer, prompt)
        answer = _answer(tokenizer, text)
        before = done[-1] if done else Encoded.of((), ())
        shared = len(before.tokens)
        if done and tokens[:shared] == before.tokens.tolist():
            done.pop()
        else:
            before, shared = Encoded.of((), ()), 0
        labels = (*before.labels, *[IGNORED] * (len(tokens) - shared), *answer)
        done.append(Encoded.of((*tokens, *answer), labels, row.weight))
    return done


def encode_pair(row: TrainingRow, tokenizer: Any) -> list[Encoded]:
    """A row for an encoder-decoder model: the encoder reads `tokens`, the decoder learns `labels`."""
    return [
        Encoded.of(render(tokenizer, prompt), _answer(tokenizer, answer), row.weight)
        for prompt, answer in row.examples()
    ]


def pack(examples: Sequence[Encoded], length: int) -> list[tuple[Encoded, ...]]:
    """Examples joined into rows of at most `length` tokens: the longest first, each into the first row with room.

    Args:
        examples: none longer than `length`.
        length: of a row, in tokens.
    """
    rows: list[list[Encoded]] = []
    room: list[int] = []
    for example in sorted(examples, key=lambda example: -len(example.tokens)):
        size = len(example.tokens)
        # Only the last rows are searched: the earlier ones are nearly full, and the search stays linear.
        number = next((row for row in range(max(0, len(rows) - _OPEN_ROWS), len(rows)) if room[row] >= size), None)
        if number is None:
            rows.append([])
            room.append(length)
            number = len(rows) - 1
        rows[number].append(example)
        room[number] -= size
    return [tuple(row) for row in rows]


def _answer(tokenizer: Any, text: str) -> list[int]:
    """An answer's tokens, and the one that ends it."""
    return [*tokenizer.encode(text, add_special_tokens=False), tokenizer.eos_token_id]
