"""Training for real, on a CPU: it learns, it can be killed, workers add up."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from toy import SHIPPED

from ner_ray.config import load as compose
from ner_ray.data.training import read_rows
from ner_ray.errors import ConfigError, InputError, MissingExtraError, RunError
from ner_ray.train import TrainConfig, train

SMOKE = Path(__file__).parents[2] / "conf" / "train" / "starter-smoke.yaml"
SMALL = [
    "model.scratch.hidden=96", "model.scratch.heads=3", "model.scratch.layers=2", "model.scratch.feed_forward=96",
    "optimizer.steps=24", "evaluate_every=8", "save_every=8", "log_every=4", "judge.gold=null", "best_by=last",
]  # fmt: skip


def _config(toy, output: Path, *overrides: str) -> TrainConfig:
    training, gold = toy
    return compose.load(
        TrainConfig, SMOKE, [f"data.files=[{training}]", f"judge.gold={gold}", f"output={output}", *overrides]
    )


def _figures(output: Path, name: str) -> dict[int, float]:
    """A figure's values by step."""
    history = json.loads((output / "metrics.json").read_text(encoding="utf-8"))["history"]
    return {row["step"]: row[name] for row in history if name in row}


def test_the_smoke_recipe_learns_the_toy_task_to_perfection(toy, tmp_path):
    done = train(_config(toy, tmp_path / "run", "save_dtype=bfloat16"))
    model = Path(done.model)

    assert done.best == 1.0
    losses = list(_figures(tmp_path / "run", "loss").values())
    assert losses[0] > 1
    assert losses[-1] < 0.05
    assert "strict span F1 | 1.0000" in (model / "README.md").read_text(encoding="utf-8")
    assert (tmp_path / "run" / "curves.png").stat().st_size > 5000
    saved = json.loads((model / "config.json").read_text(encoding="utf-8"))
    assert (saved["dtype"], saved["use_cache"]) == ("bfloat16", True)
    assert {"model.safetensors", "tokenizer.json", "config.json"} <= {file.name for file in model.iterdir()}


def test_the_smoke_recipe_is_ready_to_run_on_the_data_that_ships(toy, tmp_path):
    config = compose.load(TrainConfig, SMOKE, [f"output={tmp_path / 'run'}", *SMALL, "optimizer.steps=2"])
    shipped = list(read_rows(config.data.files))

    assert shipped == list(read_rows([toy[0]]))
    assert pq.read_table(SHIPPED / "dev.parquet") == pq.read_table(toy[1])
    assert compose.load(TrainConfig, SMOKE).judge.gold == "package://toy/dev.parquet"
    assert train(config).steps == 2


def _refused(toy, output: Path, kind: type[Exception], *overrides: str) -> str:
    """The sentence with which a training run is refused, which leaves no folder behind."""
    with pytest.raises(kind) as refused:
        train(_config(toy, output, *SMALL, *overrides))
    assert not output.exists()
    return str(refused.value)


def test_a_refused_run_leaves_no_folder_and_says_what_to_change(toy, tmp_path):
    output = tmp_path / "run"
    few = tmp_path / "few.jsonl"
    few.write_text("".join(toy[0].read_text(encoding="utf-8").splitlines(keepends=True)[:16]), encoding="utf-8")
    bad = tmp_path / "bad.jsonl"
    bad.write_text(few.read_text(encoding="utf-8") + "{}\n", encoding="utf-8")

    assert "no such training file" in _refused(toy, output, InputError, "data.files=[none.jsonl]")
    assert "none.parquet" in _refused(toy, output, InputError, "judge.gold=none.parquet")
    assert "cascades" in _refused(toy, output, ConfigError, "judge.family={name: cascades}")
    assert "bad.jsonl:17: not a training row" in _refused(toy, output, InputError, f"data.files=[{bad}]")
    long = _refused(toy, output, InputError, "data.max_length=8")
    assert re.search(r"at most 8 tokens \(data.max_length\) in .*: they have \d+ to \d+", long)
    assert re.search(r"hint: data.max_length=\d+ keeps all", long)
    held_out = _refused(toy, output, InputError, f"data.files=[{few}]")
    assert "too few rows" in held_out
    assert "that takes 50 rows" in held_out
    assert train(_config(toy, output, *SMALL, "optimizer.steps=1", f"data.files=[{few}]", "data.validation_share=0.1"))


def test_a_missing_package_is_told_before_anything_is_read(toy, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "accelerate", None)

    said = _refused(toy, tmp_path / "run", MissingExtraError, "data.files=[none.jsonl]")
    assert "training needs accelerate" in said
    assert "pip install 'ner-ray[train]'" in said


@pytest.mark.parametrize("tracker", ["wandb", "mlflow"])
def test_a_tracker_that_is_not_installed_is_told_before_anything_is_read(toy, tmp_path, monkeypatch, tracker):
    monkeypatch.setitem(sys.modules, tracker, None)

    said = _refused(toy, tmp_path / "run", MissingExtraError, "data.files=[none.jsonl]", f"report_to=[{tracker}]")
    assert f"{tracker} is not installed" in said
    assert f"pip install {tracker}" in said


def test_a_run_needs_neither_ray_nor_a_plotter_and_tells_tensorboard(toy, tmp_path):
    """In one process, on a machine that has only what it takes to train."""
    config = _config(toy, tmp_path / "run", *SMALL, "optimizer.steps=2", "log_every=1", "report_to=[tensorboard]")
    absent = "import sys; sys.modules.update(dict.fromkeys(['ray', 'vllm', 'matplotlib']))"
    process = _train_apart(config, first=absent)

    assert process.wait() == 0
    assert (tmp_path / "run" / "model" / "README.md").exists()
    assert not (tmp_path / "run" / "curves.png").exists()
    (events,) = (tmp_path / "run" / "tensorboard").rglob("events.out.tfevents.*")
    assert b"train/loss" in events.read_bytes()


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        (["workers.count=0"], "set workers.count to 2 or more"),
        (["workers.count=2", "model.scratch=null", "model.base=./m", "model.lora={r: 2}"], "tuning all weights"),
        (["workers.count=2", "judge.gold=gold.parquet", "judge.family={name: cascade}"], "judge the model afterwards"),
    ],
)
def test_weights_are_split_only_where_that_is_of_use(toy, tmp_path, settings, complaint):
    with pytest.raises(ConfigError, match=complaint):
        _config(toy, tmp_path / "run", *SMALL, "workers.sharded=true", *settings)


def test_a_killed_run_goes_on_to_the_same_weights(toy, tmp_path):
    import torch
    from safetensors.torch import load_file

    assert _train_apart(_config(toy, tmp_path / "whole", *SMALL)).wait() == 0
    config = _config(toy, tmp_path / "broken", *SMALL)
    _train_and_kill(config, tmp_path / "broken" / "checkpoints" / "checkpoint-16" / "trainer_state.json")
    assert not (tmp_path / "broken" / "metrics.json").exists()
    assert _train_apart(config).wait() == 0
    whole, resumed = (load_file(tmp_path / name / "model" / "model.safetensors") for name in ("whole", "broken"))

    assert _figures(tmp_path / "whole", "loss") == pytest.approx(_figures(tmp_path / "broken", "loss"))
    assert _figures(tmp_path / "whole", "eval_loss") == pytest.approx(_figures(tmp_path / "broken", "eval_loss"))
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def _train_apart(config: TrainConfig, first: str = "") -> subprocess.Popen[bytes]:
    """Trains in a process of its own, with one thread: more threads, or what a process did before, round otherwise."""
    code = (
        f"{first}\n"
        "import sys, torch; torch.set_num_threads(1)\n"
        "from ner_ray.train import TrainConfig, train\n"
        "train(TrainConfig.model_validate_json(sys.argv[1]))"
    )
    return subprocess.Popen([sys.executable, "-c", code, config.model_dump_json()], start_new_session=True)


def _train_and_kill(config: TrainConfig, until: Path) -> None:
    """Kills a training process without warning as soon as a file is there."""
    process = _train_apart(config)
    while not until.exists():
        assert process.poll() is None, "training ended before it could be killed"
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def test_a_checkpoint_that_was_not_finished_is_passed_over(toy, tmp_path):
    from ner_ray.train.loop import last_checkpoint

    for step, whole in ((8, True), (16, True), (24, False)):
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        (folder / "model.safetensors").touch()
        if whole:
            (folder / "trainer_state.json").touch()

    assert last_checkpoint(tmp_path, before=40) == str(tmp_path / "checkpoint-16")
    assert last_checkpoint(tmp_path, before=16) == str(tmp_path / "checkpoint-8")
    assert last_checkpoint(tmp_path / "none", before=40) is None


def test_the_log_tells_how_far_it_is(toy, tmp_path, caplog):
    caplog.set_level("INFO", logger="ner_ray")
    train(_config(toy, tmp_path / "run", *SMALL, "optimizer.steps=4", "log_every=2", "evaluate_every=4"))

    reading, *steps = [record.message for record in caplog.records if record.name.startswith("ner_ray")]
    assert re.fullmatch(r"training rows read: [\d,]+", reading)
    assert [said.split(",")[0].split(":")[0] for said in steps] == ["step 2 of 4", "step 4 of 4", "step 4 of 4"]
    assert re.search(r": loss \d\S*, learning rate \S+, gradient \S+; [\d.]+ s per step, 0:\d\d:\d\d left$", steps[0])
    assert "validation loss" in steps[2]


def test_another_configuration_does_not_go_on_in_a_folder(toy, tmp_path):
    config = _config(toy, tmp_path / "run", *SMALL, "optimizer.steps=1", "evaluate_every=1", "save_every=1")
    train(config)

    assert train(config).steps == 1
    with pytest.raises(RunError, match=r"another configuration:\n  evaluate_every: 1 -> 8"):
        train(_config(toy, tmp_path / "run", *SMALL))


def test_nothing_short_enough_to_learn_from_is_refused(toy, tmp_path):
    with pytest.raises(InputError, match="at most 8 tokens"):
        train(_config(toy, tmp_path / "run", *SMALL, "data.max_length=8"))


@pytest.mark.cluster
def test_two_workers_lose_as_much_as_one_with_doubled_accumulation(toy, tmp_path):
    import ray

    steps = ["optimizer.steps=6", "log_every=1", "evaluate_every=6", "save_every=6", "optimizer.micro_batch=8"]
    train(_config(toy, tmp_path / "one", *SMALL, *steps, "workers.count=0"))
    ray.shutdown()  # of a cluster that tests before this one may have left
    ray.init(num_cpus=3, include_dashboard=False, log_to_driver=False)
    try:
        train(_config(toy, tmp_path / "two", *SMALL, *steps, "workers.count=2", "workers.cpus=1"))
    finally:
        ray.shutdown()

    one, two = (_figures(tmp_path / name, "loss") for name in ("one", "two"))
    assert len(one) == 6
    assert one == pytest.approx(two, rel=2e-3)


@pytest.mark.cluster
@pytest.mark.long
def test_workers_that_split_the_weights_learn_what_one_learns_and_resume(toy, tmp_path):
    import ray
    import torch
    from safetensors.torch import load_file

    steps = ["optimizer.steps=6", "log_every=1", "evaluate_every=3", "save_every=3", "optimizer.micro_batch=8"]
    train(_config(toy, tmp_path / "one", *SMALL, *steps, "workers.count=0"))
    split = _config(
        toy, tmp_path / "split", *SMALL, *steps, "workers.count=2", "workers.cpus=1", "workers.sharded=true"
    )
    ray.shutdown()  # of a cluster that tests before this one may have left
    ray.init(num_cpus=3, include_dashboard=False, log_to_driver=False)
    try:
        train(split)
        (whole,) = (tmp_path / "split" / "model").glob("*.safetensors")
        at_once = load_file(whole)
        parts = [path.name for path in (tmp_path / "split").glob("checkpoints/checkpoint-3/pytorch_model*/*.distcp")]
        for lost in ("model", "checkpoints/checkpoint-6"):
            shutil.rmtree(tmp_path / "split" / lost)
        (tmp_path / "split" / "metrics.json").unlink()
        train(split)
    finally:
        ray.shutdown()
    alone, resumed = load_file(tmp_path / "one" / "model" / "model.safetensors"), load_file(whole)

    assert _figures(tmp_path / "one", "loss") == pytest.approx(_figures(tmp_path / "split", "loss"), rel=2e-3)
    assert _figures(tmp_path / "one", "eval_loss") == pytest.approx(_figures(tmp_path / "split", "eval_loss"), rel=1e-2)
    assert sorted(parts) == ["__0_0.distcp", "__1_0.distcp"]  # each worker wrote its own
    assert alone.keys() == at_once.keys() == resumed.keys()
    assert all(torch.allclose(resumed[name], at_once[name], atol=1e-4) for name in alone)
    summaries = [json.loads((tmp_path / name / "metrics.json").read_text("utf-8")) for name in ("one", "split")]
    assert summaries[0]["parameters"] == summaries[1]["parameters"]
    configs = [json.loads((tmp_path / name / "model" / "config.json").read_text("utf-8")) for name in ("one", "split")]
    assert configs[0]["architectures"] == configs[1]["architectures"]


def test_packed_examples_do_not_see_each_other(base):
    import torch
    from transformers import AutoModelForCausalLM

    from ner_ray.train.encoding import IGNORED, Encoded
    from ner_ray.train.loop import _collate, _features, answer_loss

    model = AutoModelForCausalLM.from_pretrained(base).eval()
    examples = [Encoded.of(tuple(range(5, 5 + size)), (*[IGNORED] * 3, *range(8, 5 + size))) for size in (9, 14, 5)]

    def loss(*rows):
        batch = _collate([_features(row) for row in rows], 0, model, pair=False)
        with torch.no_grad():
            return float(answer_loss(model, batch, 1)[0])

    apart = sum(loss((example,)) for example in examples)
    assert loss(tuple(examples)) == pytest.approx(apart, rel=1e-4)
    assert loss(*((example,) for example in examples)) == pytest.approx(apart, rel=1e-4)
    assert loss(tuple(examples[:2]), tuple(examples[2:])) == pytest.approx(apart, rel=1e-4)


def test_an_example_of_weight_three_counts_as_three(base):
    import torch
    from transformers import AutoModelForCausalLM

    from ner_ray.train.encoding import IGNORED, Encoded
    from ner_ray.train.loop import _collate, _features, answer_loss

    model = AutoModelForCausalLM.from_pretrained(base).eval()
    tokens, labels = tuple(range(5, 12)), (IGNORED, IGNORED, *range(7, 12))
    light, heavy = Encoded.of(tokens, labels), Encoded.of(tokens, labels, weight=3.0)
    other = Encoded.of(tuple(range(20, 31)), (*[IGNORED] * 4, *range(24, 31)))

    def loss(*rows):
        batch = _collate([_features(row) for row in rows], 0, model, pair=False)
        with torch.no_grad():
            return float(answer_loss(model, batch, 1)[0])

    expected = 3 * loss((light,)) + loss((other,))
    assert loss((heavy,), (other,)) == pytest.approx(expected, rel=1e-4)
    assert loss((heavy, other)) == pytest.approx(expected, rel=1e-4)


def test_the_loss_is_that_of_the_whole_model_on_answer_tokens(base):
    import torch
    from transformers import AutoModelForCausalLM

    from ner_ray.train.loop import answer_loss

    model = AutoModelForCausalLM.from_pretrained(base).eval()
    ids = torch.randint(5, 600, (3, 12), generator=torch.Generator().manual_seed(0))
    labels = ids.clone()
    labels[0, :7] = labels[1, :4] = labels[2, :10] = -100

    with torch.no_grad():
        ours, _ = answer_loss(model, {"input_ids": ids, "labels": labels})
        whole = model(input_ids=ids, labels=labels).loss

    assert float(ours) == pytest.approx(float(whole), rel=1e-4)


def test_an_encoder_decoder_model_learns(toy, tmp_path, base):
    from transformers import AutoTokenizer, T5Config, T5ForConditionalGeneration

    tokenizer = AutoTokenizer.from_pretrained(base)
    T5ForConditionalGeneration(
        T5Config(
            vocab_size=len(tokenizer), d_model=64, d_kv=32, d_ff=128, num_layers=2, num_heads=2,
            decoder_start_token_id=tokenizer.pad_token_id, pad_token_id=tokenizer.pad_token_id,
            eos_token_id=tokenizer.eos_token_id,
        )
    ).save_pretrained(tmp_path / "t5")  # fmt: skip
    tokenizer.save_pretrained(tmp_path / "t5")
    lines = [json.dumps({"prompt": f"{word} ?", "answer": f"{word} !"}) for word in ("ka", "lo", "mi", "ter")] * 20
    (tmp_path / "train.jsonl").write_text("\n".join(lines), encoding="utf-8")
    config = TrainConfig.model_validate(
        {
            "data": {"files": [str(tmp_path / "train.jsonl")], "validation_share": 0.1},
            "model": {"base": str(tmp_path / "t5")},
            "optimizer": {
                "learning_rate": 5e-3, "steps": 60, "batch_size": 16, "micro_batch": 8, "precision": "float32",
            },
            "evaluate_every": 30, "save_every": 30, "output": str(tmp_path / "run"),
        }
    )  # fmt: skip
    train(config)
    first, *_ = _figures(tmp_path / "run", "loss").values()
    *_, last = _figures(tmp_path / "run", "eval_loss").values()

    assert last < 0.5 * first
    assert T5ForConditionalGeneration.from_pretrained(tmp_path / "run" / "model").config.d_model == 64
