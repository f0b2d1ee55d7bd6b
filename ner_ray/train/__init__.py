"""Training: files for every family, recipes, the trainer on Ray Train, and the starter model.

prepare   annotated Parquet -> training files
train     training files -> a checkpoint or adapter that the engines load by its path
merge     base + adapter -> one checkpoint
"""

from __future__ import annotations

from ner_ray.train.config import PrepareConfig, TrainConfig
from ner_ray.train.model import merge
from ner_ray.train.prepare import Prepared, prepare
from ner_ray.train.run import Trained, train
from ner_ray.train.starter.mixture import MixtureConfig, prepare_mixture

__all__ = [
    "MixtureConfig",
    "PrepareConfig",
    "Prepared",
    "TrainConfig",
    "Trained",
    "merge",
    "prepare",
    "prepare_mixture",
    "train",
]
