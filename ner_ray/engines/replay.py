"""No engine at all: the answers of an earlier run, kept with `output.completions=true`, are read again.

    ner-ray annotate annotate/again input.path=runs/first engine.name=replay output.path=runs/second

Another parser option, another alignment threshold, another vote: seconds instead of GPU hours.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from ner_ray.config import EngineConfig
from ner_ray.engines.base import Engine
from ner_ray.errors import ModelError
from ner_ray.models import tokenizers
from ner_ray.models.tokenizers import TokenCounter
from ner_ray.schema import CHUNKS, EXCHANGES

COLUMNS = (CHUNKS, EXCHANGES)  # with the text, what a row must bring along


class Options(EngineConfig):
    """What stands for an engine's settings."""

    name: Literal["replay"] = "replay"


def check(options: Options) -> None:  # the contract's signature
    """Nothing to check: that the rows bring their answers along is seen from the input's columns."""


def create(
    options: Options,  # noqa: ARG001  # the contract's signature
    adapters: Sequence[str] = (),  # noqa: ARG001
    tensor_parallel: int = 1,  # noqa: ARG001
) -> Engine:
    """Raises `ModelError`: the pipeline reads replayed answers without an engine."""
    raise ModelError("the answers to replay come with the input's rows; there is no engine to start")


def token_counter(options: Options) -> TokenCounter:  # noqa: ARG001  # the contract's signature
    """See `EngineModule.token_counter`; an estimate."""
    return tokenizers.estimate


def prompt_counter(options: Options) -> None:
    """See `EngineModule.prompt_counter`; nothing is asked."""


def identity(options: Options) -> dict[str, str | None]:
    """See `EngineModule.identity`."""
    return {"model": options.model, "revision": None, "adapter": options.adapter}
