"""Turn annotated text into training files in the format of a model family.

For example:

    ner-ray train prepare input=gold.parquet family=gner output=gner.jsonl
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ner_ray.errors import EXIT_DONE
from ner_ray.train.config import PrepareConfig

if TYPE_CHECKING:
    from ner_ray.train import Prepared

Config = PrepareConfig


@dataclass(frozen=True, slots=True)
class Result:
    """What was written."""

    prepared: Prepared
    exit_status: int = EXIT_DONE

    def to_dict(self) -> dict[str, Any]:
        return dict(self.prepared.to_dict())


def run(config: PrepareConfig) -> Result:
    """Writes the training file; raises what `ner_ray.train.prepare` raises."""
    from ner_ray.train import prepare

    return Result(prepare(config))


def show(result: Result) -> str:
    """One figure per line."""
    from ner_ray.commands import _tables

    return _tables.fields(result.to_dict())
