"""Typed configuration: the sections, how YAML files compose into them, and label sets."""

from ner_ray.config.annotate import (
    AlignConfig,
    AnnotateConfig,
    ChunkConfig,
    InputConfig,
    OutputConfig,
    ResourceConfig,
    VoteConfig,
)
from ner_ray.config.demonstrations import DemonstrationsConfig, IndexConfig
from ner_ray.config.engine import EngineConfig, Engines, SamplingConfig
from ner_ray.config.section import Section, differences, fingerprint, operational, semantic

__all__ = [
    "AlignConfig",
    "AnnotateConfig",
    "ChunkConfig",
    "DemonstrationsConfig",
    "EngineConfig",
    "Engines",
    "IndexConfig",
    "InputConfig",
    "OutputConfig",
    "ResourceConfig",
    "SamplingConfig",
    "Section",
    "VoteConfig",
    "differences",
    "fingerprint",
    "operational",
    "semantic",
]
