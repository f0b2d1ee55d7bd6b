"""Merge a LoRA adapter into its base model, as one checkpoint.

For example:

    ner-ray train merge models/adapter models/merged
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from ner_ray.commands.base import argument, option
from ner_ray.config import Section
from ner_ray.errors import EXIT_DONE


class Config(Section):
    """Which adapter, and where the checkpoint goes."""

    adapter: str = argument(description="The adapter's folder.")
    output: str = argument(description="The folder to write; it must not contain a model.")
    base: str | None = option(None, description="The base model. Default: the one that the adapter names.")
    dtype: Literal["float32", "bfloat16", "float16"] = option("bfloat16", description="Type of the weights to write.")


@dataclass(frozen=True, slots=True)
class Result:
    """The checkpoint's folder."""

    model: str
    exit_status: int = EXIT_DONE

    def to_dict(self) -> dict[str, Any]:
        return {"model": self.model}


def run(config: Config) -> Result:
    """Writes the checkpoint.

    Raises:
        ModelError: the adapter or its base is not there, or the output folder is taken.
    """
    from ner_ray.train import merge

    return Result(str(merge(config.adapter, config.output, config.base, config.dtype)))


def show(result: Result) -> str:
    """The folder."""
    return f"{result.model}\n"
