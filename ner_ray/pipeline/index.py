"""The index job: a pool of annotated examples in, an index of demonstrations out; embeddings are made on Ray."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import ray
from numpy.typing import NDArray

from ner_ray.config import IndexConfig
from ner_ray.pipeline.cluster import connect
from ner_ray.retrieval import IndexReport, build_index
from ner_ray.retrieval.retrievers import dense

_DENSE = "dense"


class Encoder:
    """An encoder in an actor."""

    def __init__(self, options: dense.BuildOptions) -> None:
        self._embed = dense.load_encoder(options)

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return self._embed(texts)


def index(config: IndexConfig) -> IndexReport:
    """Builds the index; see `ner_ray.retrieval.build_index`, whose errors these are."""
    if _DENSE not in config.retrievers:
        return build_index(config)
    connect()
    return build_index(config, {_DENSE: partial(_build_dense, config)})


def _build_dense(config: IndexConfig, texts: Sequence[str], options: dense.BuildOptions, folder: Any) -> dict[str, Any]:
    actor = ray.remote(num_cpus=1, num_gpus=config.gpus_per_encoder)(Encoder)
    encoders = ray.util.ActorPool([actor.remote(options) for _ in range(config.encoders)])
    return dense.build(texts, options, folder, embed=_spread(encoders, options.batch_size))


def _spread(encoders: Any, batch: int) -> Callable[[Sequence[str]], NDArray[np.float32]]:
    def embed(texts: Sequence[str]) -> NDArray[np.float32]:
        batches = [list(texts[start : start + batch]) for start in range(0, len(texts), batch)]
        return np.concatenate(list(encoders.map(lambda encoder, some: encoder.embed.remote(some), batches)))

    return embed
