"""Train a model by a recipe, into a checkpoint or LoRA adapter that the engines load by its path.

Run the same command again to resume after a stop. `ner-ray train CONFIG` is short for `ner-ray train run CONFIG`; the
other subcommands make training files and merge adapters.

For example:

    ner-ray train train/gner-t5-base 'data.files=[gner.jsonl]' output=models/mine workers.count=8 workers.gpus=1

    ner-ray train train/uniner-7b --plan    # the memory that each GPU needs, by arithmetic; nothing is trained
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ner_ray.commands.base import base_of, option
from ner_ray.errors import EXIT_DONE
from ner_ray.train.config import TrainConfig

if TYPE_CHECKING:
    from ner_ray.train import Trained
    from ner_ray.train.memory import TrainingPlan

RESUMES = True


class Config(TrainConfig):
    """A training run, and whether only to plan it."""

    plan: bool = option(
        False,
        description="Only tell the memory that each worker needs, in GiB: weights, gradients, optimizer, activations; "
        "and what it would be with the weights split over 1 to 16 workers. CUDA itself takes one or two more.",
    )


@dataclass(frozen=True, slots=True)
class Result:
    """Where the model is, and its figures; or what it would take."""

    trained: Trained | TrainingPlan
    exit_status: int = EXIT_DONE

    def to_dict(self) -> dict[str, Any]:
        return self.trained.to_dict()


def run(config: Config) -> Result:
    """Trains, or plans; raises what `ner_ray.train.train` and `ner_ray.train.memory.plan` raise."""
    from ner_ray.train import train
    from ner_ray.train.memory import plan

    base = base_of(config, TrainConfig)
    return Result(plan(base) if config.plan else train(base))


def show(result: Result) -> str:
    """One figure per line."""
    from ner_ray.commands import _tables

    return _tables.fields(result.to_dict())
