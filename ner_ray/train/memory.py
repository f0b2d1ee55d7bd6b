"""How much memory a training run takes on each GPU, by arithmetic: nothing is loaded, no file is read.

What counts for each weight, in bytes, with AdamW and weights that are trained in float32: the weight 4, its gradient 4,
the optimizer's two moments 8; in 16-bit arithmetic a copy of 2; and 4 for the buffers through which gradients are
exchanged where every worker has all of them. With `workers.sharded`, each worker has its part of the first three, and
the whole of two layers and of the embeddings while it computes. Activations are those of one micro-batch of the longest
sequences (`data.max_length`).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from ner_ray.train.config import TrainConfig
from ner_ray.train.model import outline

_GIB = 1024**3
_FULL = 4  # bytes of float32
_MOMENTS = 8
_WORKERS = (1, 2, 4, 8, 16)


@dataclass(frozen=True, slots=True)
class Memory:
    """What one worker holds at its peak, in GiB; CUDA itself takes one or two more.

    Attributes:
        weights: as stored.
        gradients: of the trained weights.
        optimizer: the moments of AdamW.
        copies: weights in 16 bit, layers put together from their parts, and buffers to exchange gradients.
        activations: what the backward pass needs of the layers.
        logits: those of one micro-batch, with their gradient.
    """

    weights: float
    gradients: float
    optimizer: float
    copies: float
    activations: float
    logits: float

    @property
    def total(self) -> float:
        return float(sum(asdict(self).values()))


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """What a run would take.

    Attributes:
        parameters: weights of the model.
        trained_parameters: those that change.
        workers: processes that it is configured for.
        per_worker: memory of each of them.
        sharded_over: the same in total, in GiB, if all weights were split over so many workers; empty with LoRA, which
            needs no splitting.
    """

    parameters: int
    trained_parameters: int
    workers: int
    per_worker: Memory
    sharded_over: dict[int, float]

    def to_dict(self) -> dict[str, Any]:
        memory = {name: round(gib, 2) for name, gib in asdict(self.per_worker).items()}
        return asdict(self) | {
            "per_worker": memory | {"total": round(self.per_worker.total, 2)},
            "sharded_over": {workers: round(gib, 2) for workers, gib in self.sharded_over.items()},
        }


@dataclass(frozen=True, slots=True)
class Shape:
    """A model's sizes: `layer` and `rest` are the weights of its largest layer and of all that is not in layers."""

    weights: int
    trained: int
    layer: int
    rest: int
    frozen_bytes: int
    layers: int
    hidden: int
    keys: int
    feed_forward: int
    vocabulary: int


def plan(config: TrainConfig) -> TrainingPlan:
    """The memory of a run, from its configuration and the base model's.

    Raises:
        ModelError: the base model's configuration cannot be loaded.
    """
    shape = _shape(config)
    workers = max(1, config.workers.count)
    split = {} if config.model.lora else {count: memory_of(config, shape, count).total for count in _WORKERS}
    return TrainingPlan(
        parameters=shape.weights,
        trained_parameters=shape.trained,
        workers=workers,
        per_worker=memory_of(config, shape, workers if config.workers.sharded else None, workers),
        sharded_over=split,
    )


def memory_of(config: TrainConfig, shape: Shape, shards: int | None, workers: int = 1) -> Memory:
    """What one worker holds.

    Args:
        config: of the run.
        shape: the model.
        shards: the number of workers that the weights are split over; None if each has all of them.
        workers: their number, in either case.
    """
    parts = shards or 1
    narrow = 2 if config.optimizer.precision != "float32" else _FULL
    frozen = (shape.weights - shape.trained) * shape.frozen_bytes
    if shards:
        copies = narrow * (shape.rest + 2 * shape.layer)
    else:
        copies = (narrow * shape.trained if narrow == 2 else 0) + (_FULL * shape.trained if workers > 1 else 0)
    return Memory(
        weights=(_FULL * shape.trained + frozen) / parts / _GIB,
        gradients=_FULL * shape.trained / parts / _GIB,
        optimizer=_MOMENTS * shape.trained / parts / _GIB,
        copies=copies / _GIB,
        activations=_activations(config, shape, narrow) / _GIB,
        logits=_tokens(config) * shape.vocabulary * (2 * narrow + 2 * _FULL) / _GIB,
    )


def _activations(config: TrainConfig, shape: Shape, narrow: int) -> float:
    """Bytes of a micro-batch; with gradient checkpointing, the inputs of all layers and the whole of one."""
    each = _layer_bytes(shape, narrow)
    if config.optimizer.gradient_checkpointing:
        return _tokens(config) * (shape.layers * shape.hidden * _FULL + each)
    return _tokens(config) * shape.layers * each


def _tokens(config: TrainConfig) -> int:
    return config.optimizer.micro_batch * config.data.max_length


def _layer_bytes(shape: Shape, narrow: int) -> float:
    """Bytes that a layer keeps of each token, counted in a Llama with PyTorch's own attention.

    The residual stream and its norms are in float32 even where the arithmetic is in 16 bit.
    """
    return (28 + narrow) * shape.hidden + narrow * (2 * shape.keys + 4 * shape.feed_forward)


def _shape(config: TrainConfig) -> Shape:
    import torch

    model = outline(config.model)
    sizes = model.config
    layers = [layer for layers in _stacks(model) for layer in layers]
    counts = [_count(layer) for layer in layers]
    heads = sizes.num_attention_heads
    stored = config.model.lora and getattr(sizes, "dtype", None)
    return Shape(
        weights=_count(model),
        trained=sum(weights.numel() for weights in model.parameters() if weights.requires_grad),
        layer=max(counts),
        rest=_count(model) - sum(counts),
        frozen_bytes=stored.itemsize if isinstance(stored, torch.dtype) else _FULL,
        layers=len(layers),
        hidden=sizes.hidden_size,
        keys=sizes.hidden_size * (getattr(sizes, "num_key_value_heads", None) or heads) // heads,
        feed_forward=getattr(sizes, "intermediate_size", None) or sizes.d_ff,
        vocabulary=sizes.vocab_size,
    )


def _stacks(model: Any) -> list[Any]:
    """The lists of a model's layers: those that are not inside of another one."""
    import torch

    found = [(name, part) for name, part in model.named_modules() if isinstance(part, torch.nn.ModuleList)]
    return [part for name, part in found if not any(name.startswith(f"{outer}.") for outer, _ in found)]


def _count(module: Any) -> int:
    return sum(weights.numel() for weights in module.parameters())
