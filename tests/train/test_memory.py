"""The memory of a training run by arithmetic, against what PyTorch really keeps."""

from __future__ import annotations

import pytest

from ner_ray.commands import train as command
from ner_ray.config import load as compose
from ner_ray.train import TrainConfig
from ner_ray.train.memory import plan

from .test_training import SMOKE

GIB = 1024**3


def _config(*settings: str) -> TrainConfig:
    return compose.load(TrainConfig, SMOKE, ["judge.gold=null", "best_by=last", *settings])


def _base(folder, **sizes: int) -> str:
    from transformers import LlamaConfig

    shape = {"vocab_size": 500, "hidden_size": 128, "intermediate_size": 320, "num_hidden_layers": 3}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2}
    LlamaConfig(**(shape | heads | sizes), dtype="bfloat16").save_pretrained(folder)
    return f"model.base={folder}"


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_activations_are_what_pytorch_keeps_for_the_backward_pass(tmp_path, precision):
    import torch
    from transformers import AutoConfig, AutoModel

    base = _base(tmp_path)
    batch = ["optimizer.micro_batch=2", "data.max_length=512", f"optimizer.precision={precision}"]
    config = _config("model.scratch=null", base, *batch)
    model = AutoModel.from_config(AutoConfig.from_pretrained(tmp_path), dtype=torch.float32).train()
    kept: dict[int, int] = {}

    def keep(tensor):
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    tokens = torch.randint(0, 500, (2, 512))
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
            output = model(tokens, use_cache=False)
        weights = sum(one.numel() for one in model.parameters()) * (4 if precision == "float32" else 6)
        kept_bytes = sum(kept.values())
    del output

    told = plan(config).per_worker.activations * GIB
    assert 0.95 * (kept_bytes - weights) < told < 1.05 * kept_bytes


def test_weights_split_over_workers_take_their_share(tmp_path):
    config = _config("model.scratch=null", _base(tmp_path), "optimizer.batch_size=32", "optimizer.micro_batch=1")
    told = plan(config)
    alone = told.per_worker

    assert (alone.weights, alone.gradients, alone.optimizer) == tuple(
        each * told.parameters / GIB for each in (4, 4, 8)
    )
    assert told.trained_parameters == told.parameters
    split = _config(
        "model.scratch=null", _base(tmp_path), "optimizer.micro_batch=1", "workers.count=4", "workers.sharded=true"
    )
    four = plan(split).per_worker
    assert (four.weights, four.optimizer) == (alone.weights / 4, alone.optimizer / 4)
    assert told.sharded_over[4] == pytest.approx(four.total)
    assert four.activations == alone.activations


def test_an_adapter_trains_little_of_a_base_that_stays_as_narrow_as_it_is(tmp_path):
    told = plan(_config("model.scratch=null", _base(tmp_path), "model.lora={r: 4}"))

    assert 0 < told.trained_parameters < told.parameters / 10
    frozen = told.parameters - told.trained_parameters
    assert told.per_worker.weights * GIB == 2 * frozen + 4 * told.trained_parameters
    assert told.sharded_over == {}


def test_the_command_tells_it_and_trains_nothing(tmp_path):
    words = ["model.scratch=null", _base(tmp_path / "base"), f"output={tmp_path / 'run'}", "judge.gold=null"]
    config = compose.load(command.Config, SMOKE, [*words, "best_by=last", "plan=true"])
    shown = command.show(command.run(config))

    assert "per worker" in shown
    assert "optimizer" in shown
    assert not (tmp_path / "run").exists()


def test_an_encoder_decoder_is_counted_with_both_stacks(tmp_path):
    from transformers import T5Config

    T5Config(vocab_size=300, d_model=64, d_kv=16, d_ff=128, num_layers=2, num_heads=4).save_pretrained(tmp_path)
    told = plan(_config("model.scratch=null", f"model.base={tmp_path}"))

    assert told.per_worker.activations > 0
    assert told.parameters > 300 * 64
