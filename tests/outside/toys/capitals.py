"""An engine of another distribution: repeats the last line of a prompt and marks capitalised words as persons."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from ner_ray.config import EngineConfig, SamplingConfig
from ner_ray.errors import EngineError, RequestError
from ner_ray.models import tokenizers
from ner_ray.types import Completion, Prompt


class Options(EngineConfig):
    """The label for all that is found."""

    name: Literal["toy_capitals"] = "toy_capitals"
    label: str = Field(default="person", description="Of every capitalised word.")


class Capitals:
    def __init__(self, label: str) -> None:
        self._closed = False
        self._mark = rf"<{label}>\g<0></{label}>"

    async def generate(self, prompt: Prompt, sampling: SamplingConfig, adapter: str | None) -> tuple[Completion, ...]:
        if self._closed:
            raise EngineError("the engine is closed")
        asked = prompt.content if isinstance(prompt.content, str) else prompt.content[-1].content
        if not asked:
            raise RequestError("the prompt is empty")
        answer = re.sub(r"\b[A-Z]\w+", self._mark, asked.rpartition(": ")[2])
        return (Completion(answer, prompt_tokens=len(asked)),) * sampling.n

    def close(self) -> None:
        self._closed = True


def check(options: Options) -> None:
    """Nothing can be missing."""


def create(options: Options, adapters: Sequence[str] = (), tensor_parallel: int = 1) -> Capitals:
    return Capitals(options.label)


def token_counter(options: Options) -> tokenizers.TokenCounter:
    return tokenizers.estimate


def prompt_counter(options: Options) -> tokenizers.PromptCounter | None:
    return None


def identity(options: Options) -> dict[str, str | None]:
    return {"model": options.model, "revision": None, "adapter": options.adapter}
