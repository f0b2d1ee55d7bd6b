"""Training: files for every family, recipes, and the trainer on Ray Train.

prepare   annotated text -> a training file
train     training files -> a checkpoint or adapter that the engines load by its path
merge     base + adapter -> one checkpoint

`ner_ray.train.mixture` makes the training files of the models that ship with the package, from several corpora; the
trainer does not know it.
"""

from __future__ import annotations

from ner_ray.train.config import PrepareConfig, TrainConfig
from ner_ray.train.model import merge
from ner_ray.train.prepare import Prepared, prepare
from ner_ray.train.run import Trained, train

__all__ = ["PrepareConfig", "Prepared", "TrainConfig", "Trained", "merge", "prepare", "train"]
