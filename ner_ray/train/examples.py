"""Training files: what a line says, and the tokens and labels that are made of it.

A line of JSON is one of

    {"prompt": "text as the model reads it", "answer": "..."}
    {"prompt": [{"role": "user", "content": "..."}], "answer": "..."}
    {"conversations": [{"from": "human", "value": "..."}, {"from": "gpt", "value": "..."}, ...]}

and may carry more keys. One of them counts: `"weight": 3` makes the line's answers count three times in the loss. Chat
turns are rendered with the model's own chat template, exactly as the engine renders them when the model is served. The
loss is on answers alone: on the one answer, or on every turn of the assistant.
"""

from __future__ import annotations

import json
import math
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ner_ray.errors import InputError
from ner_ray.models.tokenizers import render
from ner_ray.types import Exchange, Message, Prompt

IGNORED = -100
"""The label of tokens that are no part of an answer, as PyTorch's cross entropy wants it."""

_SPEAKERS = {"human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant", "system": "system"}


@dataclass(frozen=True, slots=True)
class Example:
    """A prompt and the right answer to it; `turns` in a conversation whose assistant turns are all learnt."""

    prompt: Prompt
    answer: str
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Encoded:
    """Tokens, and of each token its label: itself in an answer, else `IGNORED`; how much the answers count.

    Every worker holds all of its files' tokens: in 4 bytes each, since tuples take 36.
    """

    tokens: array[int]
    labels: array[int]
    weight: float = 1.0

    @classmethod
    def of(cls, tokens: Iterable[int], labels: Iterable[int], weight: float = 1.0) -> Encoded:
        return cls(array("i", tokens), array("i", labels), weight)


def to_line(exchange: Exchange, **extra: Any) -> str:
    """The line of a training file that teaches an exchange."""
    content = exchange.prompt.content
    prompt = content if isinstance(content, str) else [{"role": turn.role, "content": turn.content} for turn in content]
    return json.dumps({"prompt": prompt, "answer": exchange.completions[0].text, **extra}, ensure_ascii=False)


def read_examples(paths: Iterable[str | Path]) -> Iterator[tuple[Example, ...]]:
    """The examples of training files, a line at a time; a conversation gives one for each turn of the assistant.

    Raises:
        InputError: a file is missing, or a line is none of the forms above.
    """
    for path in map(Path, paths):
        if not path.is_file():
            raise InputError(f"no such training file: {path}", hint="`ner-ray train prepare` makes them")
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield _parse(line, f"{path}:{number}")


def _parse(line: str, place: str) -> tuple[Example, ...]:
    try:
        row = json.loads(line)
        weight = _weight(row)
        if "conversations" in row:
            turns = tuple(Message(_SPEAKERS[turn["from"]], str(turn["value"])) for turn in row["conversations"])
            return _answers(turns, weight)
        return (Example(Prompt(_content(row["prompt"])), str(row["answer"]), weight),)
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{place}: no training example: {error!r}", hint="prompt and answer, or conversations"
        ) from error


def _content(prompt: Any) -> str | tuple[Message, ...]:
    if isinstance(prompt, str):
        return prompt
    return tuple(Message(turn["role"], turn["content"]) for turn in prompt)


def _weight(row: Mapping[str, Any]) -> float:
    weight = float(row["weight"]) if "weight" in row else 1.0
    if not 0 < weight < math.inf:
        raise ValueError(f"weight is {weight}; it must be above 0")
    return weight


def _answers(turns: Sequence[Message], weight: float) -> tuple[Example, ...]:
    return tuple(
        Example(Prompt(tuple(turns[:at])), turn.content, weight)
        for at, turn in enumerate(turns)
        if turn.role == "assistant" and at > 0
    )


def encode(line: Sequence[Example], tokenizer: Any) -> list[Encoded]:
    """The tokens of one line's examples; the answers of a conversation share one sequence where the template allows.

    A template may render earlier turns otherwise than it did when they were the last ones (it drops their thoughts,
    say). Then each answer gets a sequence of its own, which is always right and only costs more.

    Args:
        line: what `read_examples` gives for a line.
        tokenizer: transformers' tokenizer of the model.
    """
    done: list[Encoded] = []
    for example in line:
        prompt = render(tokenizer, example.prompt)
        answer = [*tokenizer.encode(example.answer, add_special_tokens=False), tokenizer.eos_token_id]
        before = done[-1] if done else Encoded.of((), ())
        shared = len(before.tokens)
        if done and prompt[:shared] == before.tokens.tolist():
            done.pop()
        else:
            before, shared = Encoded.of((), ()), 0
        labels = (*before.labels, *[IGNORED] * (len(prompt) - shared), *answer)
        done.append(Encoded.of((*prompt, *answer), labels, example.weight))
    return done


def encode_pair(line: Sequence[Example], tokenizer: Any) -> list[Encoded]:
    """For encoder-decoder models: `tokens` is the prompt that the encoder reads, `labels` the answer."""
    return [
        Encoded.of(
            render(tokenizer, example.prompt),
            (*tokenizer.encode(example.answer, add_special_tokens=False), tokenizer.eos_token_id),
            example.weight,
        )
        for example in line
    ]


def pack(examples: Sequence[Encoded], length: int) -> list[tuple[Encoded, ...]]:
    """Examples in rows of at most `length` tokens, by first fit of the longest (none may be longer)."""
    rows: list[list[Encoded]] = []
    room: list[int] = []
    for example in sorted(examples, key=lambda one: -len(one.tokens)):
        size = len(example.tokens)
        # Only the last rows are looked at: the earlier ones are as good as full, and the search stays linear.
        at = next((row for row in range(max(0, len(rows) - 200), len(rows)) if room[row] >= size), None)
        if at is None:
            rows.append([])
            room.append(length)
            at = len(rows) - 1
        rows[at].append(example)
        room[at] -= size
    return [tuple(row) for row in rows]
