"""Any server with an OpenAI-compatible API: a commercial model, or a vLLM server on another machine.

    engine: {name: openai, url: "https://host/v1", model: its-name-there, api_key_env: TEACHER_KEY}

The API key is read from the environment and is sent only to the server. Requests that exceed the rate limit (429), that
fail on the server's side or whose reply is none are repeated with exponential back-off and jitter, or when the server
says (`Retry-After`).
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from ner_ray.config import EngineConfig, SamplingConfig, operational
from ner_ray.engines import _refusals, _replies
from ner_ray.engines._refusals import Refusal
from ner_ray.engines._requests import OpenRequests
from ner_ray.engines._served import served
from ner_ray.errors import ModelError, RequestError
from ner_ray.extras import require
from ner_ray.models import tokenizers
from ner_ray.models.tokenizers import TokenCounter
from ner_ray.types import Completion, Prompt

if TYPE_CHECKING:
    from openai import APIError, AsyncOpenAI

_CLOSE_SECONDS = 10.0
_DEFAULT_KEY = "OPENAI_API_KEY"
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 8.0  # seconds before a request is repeated
_LONGEST_WAIT = 60.0  # seconds that a server may ask for


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
    retries: int = operational(
        8,
        ge=0,
        description="How often to repeat a request that fails; 8 take about 45 s, and 40 about five minutes. A server "
        "that answers nothing for so long stops the run.",
    )
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

    @field_validator("model")
    @classmethod
    def _named_as_on_the_server(cls, model: str) -> str:
        """A preset may name a model of the hub, which servers call by its id."""
        return model.removeprefix("hub:")


def check(options: Options) -> None:
    """See `EngineModule.check`; asks the server for its models, and takes at most two seconds."""
    require("openai", extra="openai", purpose="the engine openai")
    served(options.url, options.adapter or options.model, _key(options))


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
        models = served(options.url, options.adapter or options.model, _key(options))
        self._is_vllm = "vllm" in models.values()
        self._model = options.model
        self._options = options
        self._client = _client(options)
        self._slots = asyncio.Semaphore(options.seats)
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
        return await self._requests.run(self._answer(prompt, request))

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

    async def _answer(self, prompt: Prompt, request: dict[str, Any]) -> tuple[Completion, ...]:
        """The answer to a request, which is repeated as long as that may help."""
        async with self._slots:
            repeated = 0
            while isinstance(answer := await self._send(prompt, request), Refusal):
                if not answer.may_pass or repeated == self._options.retries:
                    raise answer.error()
                await asyncio.sleep(_pause(repeated) if answer.wait is None else answer.wait)
                repeated += 1
            return answer

    async def _send(self, prompt: Prompt, request: dict[str, Any]) -> tuple[Completion, ...] | Refusal:
        """The answer, or the server's refusal."""
        import openai

        key = self._client.api_key
        try:
            content = await self._post(prompt, request)
            return _replies.read(content)
        except openai.APIStatusError as error:
            refusal = _refusals.of_body(error.response.text, error.status_code, key)
            return replace(refusal, wait=_asked_to_wait(error.response.headers))
        except openai.APIError as error:
            return Refusal(_refusals.masked(_chain(error), key))
        except _replies.NoReplyError:
            return _refusals.of_body(content, None, key)

    async def _post(self, prompt: Prompt, request: dict[str, Any]) -> str:
        """The body of the server's reply, if it has the status 200."""
        if isinstance(prompt.content, str):
            endpoint: Any = self._client.completions
            asked: dict[str, Any] = {"prompt": prompt.content}
        else:
            endpoint = self._client.chat.completions
            asked = {"messages": [{"role": turn.role, "content": turn.content} for turn in prompt.content]}
        reply = await endpoint.with_raw_response.create(**asked, **request)
        content: str = reply.http_response.text
        return content


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


def _pause(repeated: int) -> float:
    """Seconds before a request that was repeated so often is repeated once more."""
    longest: float = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2**repeated)
    return longest * random.uniform(0.75, 1)  # noqa: S311  # spreads load


def _asked_to_wait(headers: Any) -> float | None:
    """The seconds after which a server wants a request repeated, if it says so and they are few."""
    try:
        seconds = float(headers.get("retry-after", ""))
    except ValueError:  # a date, or nothing
        return None
    return seconds if 0 < seconds <= _LONGEST_WAIT else None


def _chain(error: APIError) -> str:
    """What the client says, and the cause, which says more."""
    cause = str(error.__cause__ or "")
    return f"{error.message} {cause}" if cause and cause not in error.message else error.message


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
        max_retries=0,  # requests are repeated here: a reply with the status 200 may be none
        http_client=openai.DefaultAsyncHttpxClient(event_hooks=hooks),
    )


def _length(prompt: Prompt) -> int:
    """The prompt's length in characters, an upper estimate of its tokens: only the server can count those."""
    if isinstance(prompt.content, str):
        return len(prompt.content)
    return sum(len(turn.content) for turn in prompt.content)
