"""What engines that load checkpoints themselves have in common: settings, and the parts of their contract that follow.

An engine imports the three functions as its own; see `ner_ray.engines.base.EngineModule`.
"""

from __future__ import annotations

from typing import Any

from pydantic import Field

from ner_ray.config import EngineConfig, operational
from ner_ray.models import checkpoints, tokenizers
from ner_ray.models.checkpoints import Checkpoint
from ner_ray.models.tokenizers import PromptCounter, TokenCounter


class CheckpointOptions(EngineConfig):
    """What to load, how precisely to compute, and what to hand on to the library that loads it."""

    revision: str | None = Field(default=None, description="The model's branch, tag or commit on the hub.")
    trust_remote_code: bool = Field(
        default=False, description="Allow Python code that comes with the model to run. Off by default."
    )
    dtype: str = Field(
        default="auto",
        description="float32, bfloat16, float16, or auto: on a GPU the checkpoint's type, on a CPU the fastest.",
    )
    extra: dict[str, Any] = Field(
        default_factory=dict, description="Further arguments for the library that loads the model, passed on unchanged."
    )
    tuning: dict[str, Any] = operational(
        default_factory=dict,
        description="Like `extra`, for arguments that do not change answers, such as memory limits; they may differ "
        "each time a run continues.",
    )

    @property
    def checkpoint(self) -> Checkpoint:
        """The model."""
        return Checkpoint(self.model, self.revision, self.trust_remote_code)

    @property
    def passed_on(self) -> dict[str, Any]:
        """`extra` and `tuning` together."""
        return {**self.extra, **self.tuning}


def token_counter(options: CheckpointOptions) -> TokenCounter:
    """Counts with the checkpoint's tokenizer."""
    return tokenizers.counter(options.checkpoint)


def prompt_counter(options: CheckpointOptions) -> PromptCounter:
    """Counts what the checkpoint's chat template makes of a prompt."""
    return tokenizers.prompt_counter(options.checkpoint)


def identity(options: CheckpointOptions) -> dict[str, str | None]:
    """The checkpoint, with the revision or the checksum of what is there."""
    revision = checkpoints.identity(options.checkpoint)
    return {"model": options.model, "revision": revision, "adapter": options.adapter}
