"""The contract of an engine.

An engine is a module of this package (or an entry point in the group `ner_ray.engines`) with

    check   says before anything is started whether what the configuration names is there
    create  a function from the configuration to a running `Engine`

It lives inside one actor, on one event loop; what it computes with is its own affair.
"""

from __future__ import annotations

from typing import Protocol

from ner_ray.config import SamplingConfig
from ner_ray.errors import PromptTooLongError
from ner_ray.types import Completion, Prompt

__all__ = ["Engine", "PromptTooLongError"]


class Engine(Protocol):
    """Turns prompts into completions, many at once."""

    async def generate(self, prompt: Prompt, sampling: SamplingConfig, adapter: str | None) -> tuple[Completion, ...]:
        """The answers to one prompt, one a sample.

        Raises:
            RequestError: this prompt cannot be answered (too long, empty, refused); others can.
            EngineError: the engine is dead; a new one is needed.
        """
        ...

    def close(self) -> None:
        """Gives back what the engine holds."""
        ...
