"""Train a model by a recipe, into a checkpoint or LoRA adapter that the engines load by its path.

Run the same command again to resume after a stop. `ner-ray train CONFIG` is short for `ner-ray train run CONFIG`; the
other subcommands make training files and merge adapters.

For example:

    ner-ray train train/gner-t5-base 'data.files=[gner.jsonl]' output=models/mine workers.count=8 workers.gpus=1
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ner_ray.errors import EXIT_DONE
from ner_ray.train.config import TrainConfig

if TYPE_CHECKING:
    from ner_ray.train import Trained

Config = TrainConfig
RESUMES = True


@dataclass(frozen=True, slots=True)
class Result:
    """Where the model is, and its figures."""

    trained: Trained
    exit_status: int = EXIT_DONE

    def to_dict(self) -> dict[str, Any]:
        return self.trained.to_dict()


def run(config: TrainConfig) -> Result:
    """Trains; raises what `ner_ray.train.train` raises."""
    from ner_ray.train import train

    return Result(train(config))


def show(result: Result) -> str:
    """One figure per line."""
    from ner_ray.commands import _tables

    return _tables.fields(result.to_dict())
