"""Weights, gradients and optimizer states that are split over the workers: PyTorch's FSDP2, set up by accelerate.

GPUs need nothing but `arguments`. The rest makes the same work between CPUs, where it can be tested.
"""

from __future__ import annotations

from typing import Any

from ner_ray.train.config import TrainConfig


def arguments(config: TrainConfig) -> dict[str, Any]:
    """The part of TrainingArguments that says how weights are spread, and whether activations are computed again."""
    again = config.optimizer.gradient_checkpointing
    if not config.workers.sharded:
        return {"gradient_checkpointing": again}
    # Each worker writes its own part of a checkpoint, so that none has to hold the whole.
    settings = {"version": 2, "state_dict_type": "SHARDED_STATE_DICT", "activation_checkpointing": again}
    return {"fsdp": True, "fsdp_config": settings}


def whole(trainer: Any) -> dict[str, Any]:
    """All weights by name, put together on the CPU of the first worker; every worker has to call this."""
    from torch.distributed.tensor import DTensor

    weights = {}
    for name, part in trainer.model.state_dict().items():
        tensor = part.full_tensor() if isinstance(part, DTensor) else part
        if trainer.is_world_process_zero():
            weights[name] = tensor.detach().to("cpu", copy=True)
    return weights


def split_on_cpus(trainer: Any) -> None:
    """Splits weights between CPUs as well: accelerate leaves that out, without a word, although PyTorch can."""
    from accelerate.utils import DistributedType, FullyShardedDataParallelPlugin

    state = trainer.accelerator.state
    state.fsdp_plugin = FullyShardedDataParallelPlugin(**trainer.args.fsdp_plugin_args)
    if state.mixed_precision != "no":
        state.fsdp_plugin.set_mixed_precision(state.mixed_precision)
    state.distributed_type = DistributedType.FSDP
    trainer.is_fsdp_enabled = True


def sums_callback() -> Any:  # transformers has no types
    """A callback for transformers' trainer that has gradients summed, then divided: gloo cannot average."""
    from torch.distributed.fsdp import FSDPModule
    from transformers import TrainerCallback

    class Sums(TrainerCallback):  # type: ignore[misc]
        def on_train_begin(self, _args: Any, _state: Any, _control: Any, *, model: Any, **_: Any) -> None:
            for module in model.modules():
                if isinstance(module, FSDPModule):
                    module.set_force_sum_reduction_for_comms(True)

    return Sums()
