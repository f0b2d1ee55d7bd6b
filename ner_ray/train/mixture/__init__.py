"""Training files mixed from several corpora, for any family: varied sentences, label sets drawn anew for every line."""

from __future__ import annotations

from ner_ray.train.mixture.config import MixtureConfig, SourceConfig
from ner_ray.train.mixture.lines import prepare_mixture

__all__ = ["MixtureConfig", "SourceConfig", "prepare_mixture"]
