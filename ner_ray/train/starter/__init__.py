"""The starter model's training file: annotated corpora, sentences from a grammar, and practice in copying."""

from __future__ import annotations

from ner_ray.train.starter.config import MixtureConfig, SourceConfig
from ner_ray.train.starter.mixture import prepare_mixture

__all__ = ["MixtureConfig", "SourceConfig", "prepare_mixture"]
