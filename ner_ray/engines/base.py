"""The contract of an engine.

An engine is a module of this package, or one that another distribution registers as an entry point in the group
`ner_ray.engines`. Its name is what `engine.name` says in a configuration. `EngineModule` lists what the module
defines; `Engine` is what its `create` returns. `ner_ray.models` has what engines that load checkpoints share.

A complete engine, which repeats each prompt's last words:

    class Options(EngineConfig):
        name: Literal["echo"] = "echo"
        words: int = Field(default=3, ge=1, description="How many words to repeat.")

    class Echo:
        def __init__(self, words: int) -> None:
            self.words = words
            self.is_closed = False

        async def generate(
            self, prompt: Prompt, sampling: SamplingConfig, adapter: str | None
        ) -> tuple[Completion, ...]:
            if self.is_closed:
                raise EngineError("the engine is closed")
            text = prompt.content if isinstance(prompt.content, str) else prompt.content[-1].content
            if not text:
                raise RequestError("the prompt is empty")
            answer = " ".join(text.split()[-self.words :])
            return (Completion(answer, prompt_tokens=len(text.split())),) * sampling.n

        def close(self) -> None:
            self.is_closed = True

    def check(options: Options) -> None:
        '''Nothing can be missing.'''

    def create(options: Options, adapters: Sequence[str] = (), tensor_parallel: int = 1) -> Engine:
        return Echo(options.words)

    def token_counter(options: Options) -> TokenCounter:
        return tokenizers.estimate

    def prompt_counter(options: Options) -> PromptCounter | None:
        return None

    def identity(options: Options) -> dict[str, str | None]:
        return {"model": options.model, "revision": None, "adapter": options.adapter}
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Protocol, runtime_checkable

from ner_ray import plugins
from ner_ray.config import EngineConfig, SamplingConfig
from ner_ray.errors import PromptTooLongError
from ner_ray.models.tokenizers import PromptCounter, TokenCounter
from ner_ray.types import Completion, Prompt

__all__ = ["Counting", "Engine", "EngineModule", "PromptTooLongError", "load"]


class Engine(Protocol):
    """Turns prompts into completions, many at once. It lives in one process and is used from one event loop."""

    async def generate(self, prompt: Prompt, sampling: SamplingConfig, adapter: str | None) -> tuple[Completion, ...]:
        """The completions of one prompt, one per sample.

        Args:
            prompt: what to answer; with `choices`, the answer is one of them.
            sampling: how to draw the samples.
            adapter: one of the adapters that `create` was given; None: the bare model.

        Raises:
            RequestError: this prompt cannot be answered (too long, empty, refused); others can.
            UnansweredError: there is no answer, and only other requests can tell whose fault that is; any other
                exception counts as this, too.
            UnavailableError: nobody gets an answer, and waiting does not help.
            EngineError: the engine has died or is closed; a new one is needed.
        """
        ...

    def close(self) -> None:
        """Releases what the engine holds and ends its threads and processes; further calls do nothing.

        Requests that are still waiting fail with `EngineError`.
        """
        ...


@runtime_checkable
class Counting(Protocol):
    """An engine that counts more than its completions tell; no engine has to."""

    def tally(self) -> Mapping[str, float]:
        """What has been counted since the last call, by name: `speculated_tokens` and `accepted_tokens`."""
        ...


class EngineModule(Protocol):
    """What the module of an engine defines. `options` is always an instance of its own `Options`."""

    Options: type[EngineConfig]
    """The settings it understands: those of `EngineConfig` and its own. All others are refused."""

    def check(self, options: Any) -> None:
        """Checks, without starting anything, that whatever the settings name is there.

        Raises:
            MissingExtraError: a package is not installed (see `ner_ray.extras.require`).
            ModelError: the model, its adapter or its server is missing.
            ConfigError: settings contradict each other.
        """
        ...

    def create(self, options: Any, adapters: Sequence[str] = (), tensor_parallel: int = 1) -> Engine:
        """A running engine.

        Args:
            options: the engine's settings.
            adapters: all adapters that requests may name; `options.adapter` is not used here.
            tensor_parallel: the number of GPUs to spread the model over.

        Raises:
            ModelError: the model cannot be loaded.
        """
        ...

    def token_counter(self, options: Any) -> TokenCounter:
        """A function that gives the number of the model's tokens in each of several texts, without special tokens.

        An estimate where the tokenizer is not at hand. It is called in every process that cuts texts into chunks.

        Raises:
            ModelError: the tokenizer cannot be loaded.
        """
        ...

    def prompt_counter(self, options: Any) -> PromptCounter | None:
        """A function that gives the exact number of tokens of a rendered prompt; None where only the server knows.

        Raises:
            ModelError: the tokenizer cannot be loaded.
        """
        ...

    def identity(self, options: Any) -> dict[str, str | None]:
        """What distinguishes the model from any other, for the record of a run: `model`, `revision`, `adapter`."""
        ...


CONTRACT: plugins.Contract[EngineModule] = plugins.Contract("engines", "engine", EngineModule)


@lru_cache
def load(name: str) -> EngineModule:
    """The module of an engine.

    Raises:
        ConfigError: there is no engine of that name; or its module lacks something that `EngineModule` lists.
    """
    return CONTRACT.load(name)
