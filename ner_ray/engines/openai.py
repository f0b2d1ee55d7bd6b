"""Any server with an OpenAI-compatible API: a commercial model, or a vLLM server on another machine.

    engine: {name: openai, url: "https://host/v1", model: its-name-there, api_key_env: TEACHER_KEY}

The API key is read from the environment and is sent only to the server. Requests that exceed the rate limit (429) or
fail on the server's side are retried with exponential back-off and jitter, or when the server says (`Retry-After`).
"""

from __future__ import annotations

import asyncio
import os
import time
from codecs import getincrementaldecoder
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field

from ner_ray.config import EngineConfig, SamplingConfig, operational
from ner_ray.engines._requests import OpenRequests
from ner_ray.engines.base import PromptTooLongError
from ner_ray.errors import EngineError, ModelError, RequestError
from ner_ray.extras import require
from ner_ray.models import tokenizers
from ner_ray.models.tokenizers import TokenCounter
from ner_ray.types import Completion, Prompt

if TYPE_CHECKING:
    from openai import AsyncOpenAI

_CHECK_SECONDS = 2.0
_CLOSE_SECONDS = 10.0
_DEFAULT_KEY = "OPENAI_API_KEY"
_TOO_LONG = ("context_length_exceeded", "context length", "context window", "too long", "too many tokens")
_KEY_REFUSED = (401, 403)


class Options(EngineConfig):
    """The settings of a server, and of requests to it."""

    name: Literal["openai"] = "openai"
    url: str = operational(description="Base URL of the server, such as http://localhost:8000/v1.")
    api_key_env: str | None = operational(
        None, description=f"Environment variable that holds the API key; default: {_DEFAULT_KEY}, if it is set."
    )
    requests_per_minute: float | None = operational(
        None, gt=0, description="Rate limit; requests are evenly spaced, retries included."
    )
    retries: int = operational(8, ge=0, description="How often to repeat a request that fails; 8 take about 45 s.")
    timeout_seconds: float = operational(300, gt=0, description="How long to wait for one answer.")
    limit_field: Literal["max_tokens", "max_completion_tokens"] = operational(
        "max_tokens",
        description="The server's name for the limit of a chat answer; recent OpenAI models take the second.",
    )
    body: dict[str, Any] = Field(default_factory=dict, description="Further fields of every request, sent unchanged.")
    journal: bool = operational(
        True,
        description="Write each answer to disk as it arrives, until its wave is committed, so that an interrupted run "
        "never pays for it again.",
    )


def check(options: Options) -> None:
    """See `EngineModule.check`; asks the server for its models, and takes at most two seconds."""
    require("openai", extra="openai", purpose="the engine openai")
    _served(options)


def token_counter(options: Options) -> TokenCounter:  # noqa: ARG001  # the contract's signature
    """See `EngineModule.token_counter`; an estimate, since the server has the tokenizer."""
    return tokenizers.estimate


def prompt_counter(options: Options) -> None:
    """See `EngineModule.prompt_counter`; only the server knows."""


def identity(options: Options) -> dict[str, str | None]:
    """See `EngineModule.identity`; servers do not say which revision they serve."""
    return {"model": options.model, "revision": None, "adapter": options.adapter}


def create(options: Options, adapters: Sequence[str] = (), tensor_parallel: int = 1) -> OpenAIEngine:  # noqa: ARG001  # the contract's signature
    """See `EngineModule.create`; an adapter is a model of that name on the server, as it is with vLLM's."""
    return OpenAIEngine(options)


class OpenAIEngine:
    """See `ner_ray.engines.base.Engine`."""

    def __init__(self, options: Options) -> None:
        self._is_vllm = "vllm" in _served(options).values()
        self._model = options.model
        self._options = options
        self._client = _client(options)
        self._slots = asyncio.Semaphore(options.max_num_seqs)
        self._answered = 0.0  # when the server last answered any request
        self._requests = OpenRequests()
        self._loop: asyncio.AbstractEventLoop | None = None

    async def generate(
        self, prompt: Prompt, sampling: SamplingConfig, adapter: str | None = None
    ) -> tuple[Completion, ...]:
        """See `Engine.generate`."""
        if not prompt.content:
            raise RequestError("the prompt is empty")
        self._loop = asyncio.get_running_loop()
        request = self._request(prompt, sampling, adapter)
        reply = await self._requests.run(self._send(prompt, request))
        completions = tuple(_completion(choice) for choice in sorted(reply.choices, key=lambda choice: choice.index))
        return _with_usage(completions, reply.usage)

    def close(self) -> None:
        """See `Engine.close`; on the engine's own event loop, it returns before the connections are closed."""
        self._requests.close()
        loop, self._loop = self._loop, None
        if loop is None or loop.is_closed():  # a closed loop has closed its connections
            return
        if loop.is_running():
            closing = asyncio.run_coroutine_threadsafe(self._client.close(), loop)
            if not _is_current(loop):
                with suppress(TimeoutError):  # the loop is blocked; it closes them when it continues
                    closing.result(_CLOSE_SECONDS)
        else:  # in a thread of its own, since another loop may be running in this one
            with ThreadPoolExecutor(max_workers=1) as executor:
                executor.submit(loop.run_until_complete, self._client.close()).result()

    def _request(self, prompt: Prompt, sampling: SamplingConfig, adapter: str | None) -> dict[str, Any]:
        chat = not isinstance(prompt.content, str)
        request: dict[str, Any] = {
            "model": adapter or self._model,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "n": sampling.n,
            "stop": list(sampling.stop) or None,
            "seed": sampling.seed,
            "extra_body": dict(self._options.body),
        }
        wanted = prompt.max_tokens or sampling.max_tokens
        limit = sampling.longest_answer(_length(prompt), wanted, wanted)
        request["extra_body"][self._options.limit_field if chat else "max_tokens"] = limit
        if sampling.logprobs:
            request |= {"logprobs": True} if chat else {"logprobs": 0}
        if prompt.choices and self._is_vllm:
            request["extra_body"]["structured_outputs"] = {"choice": list(prompt.choices)}
        return {name: value for name, value in request.items() if value is not None}

    async def _send(self, prompt: Prompt, request: dict[str, Any]) -> Any:  # the reply of either endpoint
        async with self._slots:
            return await self._send_now(prompt, request)

    async def _send_now(self, prompt: Prompt, request: dict[str, Any]) -> Any:  # as above
        import openai

        began = time.monotonic()
        try:
            if isinstance(prompt.content, str):
                reply: Any = await self._client.completions.create(prompt=prompt.content, **request)
            else:
                turns: list[Any] = [{"role": turn.role, "content": turn.content} for turn in prompt.content]
                reply = await self._client.chat.completions.create(messages=turns, **request)
        except openai.APIStatusError as error:
            raise self._refusal(error, error.status_code, began) from error
        except openai.APIError as error:
            raise self._refusal(error, None, began) from error
        self._answered = time.monotonic()
        return reply

    def _refusal(self, error: Exception, status: int | None, began: float) -> EngineError | RequestError:
        """The request is at fault if the server answered others in the meantime; otherwise the server is."""
        reason = str(error)
        if status in _KEY_REFUSED:
            return EngineError(f"the server refuses the API key (status {status})")
        client_side = status is not None and 400 <= status < 500 and status not in (408, 409, 429)
        if client_side and any(word in reason.lower() for word in _TOO_LONG):
            return PromptTooLongError(f"the server refuses the prompt: {reason}")
        if client_side or self._answered > began:
            return RequestError(f"the server refuses the request: {reason}")
        return EngineError(f"the server does not answer: {reason}")


def _is_current(loop: asyncio.AbstractEventLoop) -> bool:
    """Whether the caller runs on this event loop."""
    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:  # not on any
        return False


class _Pace:
    """Spaces events evenly, for a rate limit per minute."""

    def __init__(self, per_minute: float) -> None:
        self._interval = 60 / per_minute
        self._next = 0.0

    async def wait(self, _: object) -> None:
        now = time.monotonic()
        turn = max(now, self._next)
        self._next = turn + self._interval
        await asyncio.sleep(turn - now)


def _served(options: Options) -> dict[str, str]:
    """The ids of the models that the server lists, each with its owner; empty if it has no such list."""
    import openai

    key = _key(options)
    try:
        with openai.OpenAI(base_url=options.url, api_key=key, timeout=_CHECK_SECONDS, max_retries=0) as client:
            models = {model.id: model.owned_by for model in client.models.list().data}
    except openai.APIStatusError as error:
        if error.status_code in _KEY_REFUSED:
            raise ModelError(
                f"{options.url} refuses the API key (status {error.status_code})",
                hint="engine.api_key_env names the environment variable that holds it",
            ) from None
        return {}
    except openai.APIConnectionError as error:
        raise ModelError(
            f"nothing answers at {options.url}: {error}", hint="start the server, or correct engine.url"
        ) from None
    wanted = options.adapter or options.model
    if models and wanted not in models:
        raise ModelError(f"{options.url} does not serve {wanted!r}; it serves: {', '.join(sorted(models))}")
    return models


def _key(options: Options) -> str:
    """The API key.

    Raises:
        ModelError: the URL or the model is empty, the URL contains a password, or `api_key_env` is not set.
    """
    if not options.url:
        raise ModelError("the engine openai needs a server", hint="engine.url=http://HOST:PORT/v1")
    if "@" in urlsplit(options.url).netloc:
        raise ModelError(
            "engine.url contains a password",
            hint="put it into an environment variable, and name that in engine.api_key_env",
        )
    if not options.model:
        raise ModelError("the engine openai needs a model", hint="engine.model=NAME, as the server calls it")
    name = options.api_key_env
    if name and name not in os.environ:
        raise ModelError(f"the environment variable {name} (engine.api_key_env) is not set")
    return os.environ.get(name or _DEFAULT_KEY) or "none"


def _client(options: Options) -> AsyncOpenAI:
    import openai

    hooks = {"request": [_Pace(options.requests_per_minute).wait]} if options.requests_per_minute else {}
    return openai.AsyncOpenAI(
        base_url=options.url,
        api_key=_key(options),
        timeout=options.timeout_seconds,
        max_retries=options.retries,
        http_client=openai.DefaultAsyncHttpxClient(event_hooks=hooks),
    )


def _length(prompt: Prompt) -> int:
    """The prompt's length in characters, an upper estimate of its tokens: only the server can count those."""
    if isinstance(prompt.content, str):
        return len(prompt.content)
    return sum(len(turn.content) for turn in prompt.content)


def _completion(choice: Any) -> Completion:
    """One sample of either endpoint's reply."""
    chat = hasattr(choice, "message")
    text: str = (choice.message.content if chat else choice.text) or ""
    logprobs = choice.logprobs
    pieces, values = [], []
    if logprobs and chat:
        pieces = _pieces(logprobs.content or [])
        values = [token.logprob for token in logprobs.content or []]
    elif logprobs:
        pieces = [(token or "").replace("\ufffd", "") for token in logprobs.tokens or []]
        values = [value or 0.0 for value in logprobs.token_logprobs or []]
    return Completion(
        text=text,
        finish_reason="length" if choice.finish_reason == "length" else "stop",
        token_ends=tuple(min(end, len(text)) for end in accumulate(map(len, pieces))),
        logprobs=tuple(values),
    )


def _pieces(tokens: Sequence[Any]) -> list[str]:
    """The text that each token adds; a character split over several tokens comes with the last of them."""
    decoder = getincrementaldecoder("utf-8")(errors="replace")
    encoded = (bytes(token.bytes if token.bytes is not None else token.token.encode()) for token in tokens)
    pieces = map(decoder.decode, encoded)
    return [piece.replace("\ufffd", "") for piece in pieces]


def _with_usage(completions: tuple[Completion, ...], usage: Any) -> tuple[Completion, ...]:
    """The samples with their token counts, all assigned to the first: the server only reports the total."""
    if not completions or usage is None:
        return completions
    details = getattr(usage, "prompt_tokens_details", None)
    first = replace(
        completions[0],
        prompt_tokens=usage.prompt_tokens,
        cached_tokens=(details and details.cached_tokens) or 0,
        output_tokens=usage.completion_tokens,
    )
    return first, *completions[1:]
