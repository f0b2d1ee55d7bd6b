"""The index job: a pool of annotated examples in, an index of demonstrations out.

For retrievers that embed texts (`ner_ray.retrieval.base.EncoderModule`), actors on Ray embed the pool.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import ray

from ner_ray.config import IndexConfig
from ner_ray.pipeline.cluster import connect
from ner_ray.retrieval import IndexReport, base, build_index
from ner_ray.retrieval.base import EncoderModule, Identity, Vectors

_BATCH = 256  # number of texts sent to an actor at once


class EncoderActor:
    """A retriever's encoder, in a process of its own."""

    def __init__(self, retriever: str, options: Any) -> None:  # the retriever's BuildOptions
        module = base.load(retriever)
        assert isinstance(module, EncoderModule)
        self._encoder = module.load_encoder(options)

    def embed(self, texts: Sequence[str]) -> Vectors:
        return self._encoder(texts)


def index(config: IndexConfig) -> IndexReport:
    """Builds the index; raises the same errors as `ner_ray.retrieval.build_index`."""
    modules = {name: base.load(name) for name in config.retrievers}
    embedding = {name: module for name, module in modules.items() if isinstance(module, EncoderModule)}
    if not embedding:
        return build_index(config)
    connect()
    return build_index(config, {name: partial(_build, config, name, module) for name, module in embedding.items()})


def _build(
    config: IndexConfig, name: str, module: EncoderModule, texts: Sequence[str], options: Any, folder: Path
) -> Identity:
    actor = ray.remote(num_cpus=1, num_gpus=config.gpus_per_encoder)(EncoderActor)
    encoders = ray.util.ActorPool([actor.remote(name, options) for _ in range(config.encoders)])
    return module.build_with(partial(_embed, encoders), texts, options, folder)


def _embed(encoders: Any, texts: Sequence[str]) -> Vectors:  # an ActorPool of EncoderActors
    batches = [list(texts[start : start + _BATCH]) for start in range(0, len(texts), _BATCH)]
    return np.concatenate(list(encoders.map(lambda encoder, batch: encoder.embed.remote(batch), batches)))
