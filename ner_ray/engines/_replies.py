"""Reads the replies of servers with an OpenAI-compatible API, and tells which of them are none.

Servers report failures in many shapes, some of them with the status 200: an object with an `error`, a page of a proxy,
no choices, a choice without a text. Nothing of a reply is used unless it has the documented shape.
"""

from __future__ import annotations

from codecs import getincrementaldecoder
from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ner_ray.errors import CutOffError, FilteredError, NoTextError
from ner_ray.types import Completion

_CUT = ("length", "max_tokens", "max_output_tokens")
_FILTERS = ("content_filter", "safety", "refusal", "recitation", "blocklist", "prohibited_content")
_BROKEN_OFF = ("abort", "aborted", "error")  # by the server, whatever the text so far


class NoReplyError(Exception):
    """A server has answered with the status 200, but what it sent is no reply."""


class _Shape(BaseModel):
    """Part of a reply; fields that are not read may hold anything."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class _Part(_Shape):
    type: str = ""
    text: Any = None


class _Message(_Shape):
    content: str | list[_Part] | None = None
    reasoning: Any = None
    reasoning_content: Any = None
    refusal: str | None = None
    tool_calls: list[Any] | None = None


class _Choice(_Shape):
    index: int | None = None
    text: str | None = None
    message: _Message | None = None
    finish_reason: str | None = None
    logprobs: Any = None
    error: Any = None


class _Usage(_Shape):
    prompt_tokens: int = 0
    completion_tokens: int = 0
    prompt_tokens_details: dict[str, Any] | None = None


class _Reply(_Shape):
    choices: list[_Choice] = Field(min_length=1)
    usage: Any = None
    error: Any = None


class _ChatToken(_Shape):
    token: str
    logprob: float
    bytes: list[int] | None = None


class _ChatLogprobs(_Shape):
    content: list[_ChatToken]


class _TextLogprobs(_Shape):
    tokens: list[str | None]
    token_logprobs: list[float | None]


def read(content: str) -> tuple[Completion, ...]:
    """The samples in the body of a reply.

    Raises:
        NoReplyError: it is not the reply of a model.
        NoTextError: no sample has a text; the message says why.
    """
    try:
        reply = _Reply.model_validate_json(content)
    except ValidationError:
        raise NoReplyError from None
    choices = sorted(reply.choices, key=lambda choice: choice.index or 0)
    if reply.error or any(map(_is_none, choices)):
        raise NoReplyError
    if all(_text(choice) is None for choice in choices):
        raise _without_text(choices[0])
    return _with_usage(tuple(map(_completion, choices)), reply.usage)


def _is_none(choice: _Choice) -> bool:
    """Whether a sample is none: it was broken off, or has neither a message nor a reason for that."""
    reason = _ended(choice)
    return bool(choice.error) or reason in _BROKEN_OFF or not (choice.message or choice.text is not None or reason)


def _ended(choice: _Choice) -> str:
    """Why a sample ended, in lower case; empty if that is not known."""
    return (choice.finish_reason or "").lower()


def _text(choice: _Choice) -> str | None:
    """A sample's text, of either endpoint."""
    said = choice.message.content if choice.message else choice.text
    if isinstance(said, list):
        said = "".join(part.text for part in said if isinstance(part.text, str)) or None
    nothing = not said and (_is_filtered(choice) or _ended(choice) in _CUT or _has_other(choice))
    return None if nothing else said


def _is_filtered(choice: _Choice) -> bool:
    refused = choice.message is not None and choice.message.refusal
    return bool(refused) or _ended(choice) in _FILTERS


def _has_other(choice: _Choice) -> bool:
    """Whether a message holds something else in place of a text."""
    message = choice.message
    return bool(message and (message.tool_calls or message.reasoning or message.reasoning_content))


def _without_text(choice: _Choice) -> NoTextError:
    """Why a sample has no text."""
    message = choice.message or _Message()
    ended = f"finish_reason {choice.finish_reason or 'null'}"
    if _is_filtered(choice):
        reason = f"the model refuses: {message.refusal}" if message.refusal else "a filter withholds the answer"
        return FilteredError(f"{reason} ({ended})")
    reasoned = message.reasoning or message.reasoning_content
    if _ended(choice) in _CUT:
        meanwhile = ", while the model was reasoning" if reasoned else ""
        return CutOffError(f"the token limit came before the answer{meanwhile} ({ended})")
    if message.tool_calls:
        return NoTextError(f"the model calls a tool instead of answering ({ended})")
    return NoTextError(f"the model has {'only reasoned' if reasoned else 'said nothing'} ({ended})")


def _completion(choice: _Choice) -> Completion:
    """One sample of either endpoint's reply."""
    text = _text(choice) or ""
    pieces, values = _logprobs(choice.logprobs)
    return Completion(
        text=text,
        finish_reason="length" if _ended(choice) in (*_CUT, *_FILTERS) else "stop",
        token_ends=tuple(min(end, len(text)) for end in accumulate(map(len, pieces))),
        logprobs=tuple(values),
    )


def _logprobs(given: Any) -> tuple[list[str], list[float]]:
    """The text that each token adds, and its log-probability; none of a shape that is not documented."""
    try:
        if not isinstance(given, dict):
            return [], []
        if "tokens" in given:
            plain = _TextLogprobs.model_validate(given)
            pieces = [(token or "").replace("\ufffd", "") for token in plain.tokens]
            return pieces, [value or 0.0 for value in plain.token_logprobs]
        tokens = _ChatLogprobs.model_validate(given).content
        return _pieces(tokens), [token.logprob for token in tokens]
    except ValidationError:
        return [], []


def _pieces(tokens: Sequence[_ChatToken]) -> list[str]:
    """The text that each token adds; a character split over several tokens comes with the last of them."""
    decoder = getincrementaldecoder("utf-8")(errors="replace")
    encoded = (bytes(token.bytes) if token.bytes is not None else token.token.encode() for token in tokens)
    pieces = map(decoder.decode, encoded)
    return [piece.replace("\ufffd", "") for piece in pieces]


def _with_usage(completions: tuple[Completion, ...], given: Any) -> tuple[Completion, ...]:
    """The samples with their token counts, all assigned to the first: the server only reports the total."""
    try:
        usage = _Usage.model_validate(given)
    except ValidationError:
        return completions
    cached = (usage.prompt_tokens_details or {}).get("cached_tokens")
    first = replace(
        completions[0],
        prompt_tokens=usage.prompt_tokens,
        cached_tokens=cached if isinstance(cached, int) else 0,
        output_tokens=usage.completion_tokens,
    )
    return first, *completions[1:]
