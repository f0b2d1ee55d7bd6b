"""A training run: on Ray Train's workers or in this process, into a folder that says how it came about."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ner_ray.config import fingerprint
from ner_ray.errors import RunError
from ner_ray.train import loop
from ner_ray.train.card import write_card
from ner_ray.train.config import TrainConfig
from ner_ray.train.curves import plot
from ner_ray.train.examples import read_examples
from ner_ray.train.model import tokenizer_of


@dataclass(frozen=True, slots=True)
class Trained:
    """Where the result is, and its figures.

    Attributes:
        model: the folder of the checkpoint or adapter, which the engines load by its path.
        metrics: the file with the history of all figures.
        steps: optimiser steps, those of earlier runs of the same folder included.
        best: the figure by which the result was chosen, None where it is the last checkpoint.
        seconds: how long this call took.
    """

    model: str
    metrics: str
    steps: int
    best: float | None
    seconds: float

    def to_dict(self) -> dict[str, object]:
        return asdict(self)


def train(config: TrainConfig) -> Trained:
    """Trains into `config.output`; goes on with a run of the same configuration that was broken off there.

    Raises:
        RunError: the folder belongs to a run with another configuration, or the workers failed for good.
        InputError: there is nothing to learn from.
        ModelError: the base model cannot be loaded.
    """
    began = time.monotonic()
    output = Path(config.output)
    _claim(config, output)
    if (output / "metrics.json").exists():
        return _result(output, 0.0)
    summary = _on_ray(config) if config.workers.count else loop.run(config, _tokenizer(config))
    seconds = time.monotonic() - began
    plot(summary["history"], output / "curves.png")
    write_card(config, summary, output / "model" / "README.md")
    # Written last: it says that the run is finished.
    text = json.dumps({**summary, "seconds": round(seconds, 1)}, indent=1) + "\n"
    (output / "metrics.json").write_text(text, encoding="utf-8")
    return _result(output, seconds)


def _result(output: Path, seconds: float) -> Trained:
    metrics = output / "metrics.json"
    summary = json.loads(metrics.read_text(encoding="utf-8"))
    return Trained(str(output / "model"), str(metrics), summary["steps"], summary["best"], seconds)


def _claim(config: TrainConfig, output: Path) -> None:
    """Notes whose folder it is.

    Raises:
        RunError: another configuration's.
    """
    note = output / "run.json"
    wanted = {"fingerprint": fingerprint(config), "config": config.model_dump(mode="json")}
    if note.exists():
        found = json.loads(note.read_text(encoding="utf-8"))
        if found["fingerprint"] != wanted["fingerprint"]:
            raise RunError(
                f"{output} belongs to a run with another configuration "
                f"({found['fingerprint']}, not {wanted['fingerprint']})",
                hint="name another output folder, or remove this one",
            )
    output.mkdir(parents=True, exist_ok=True)
    note.write_text(json.dumps(wanted, indent=1) + "\n", encoding="utf-8")


def _tokenizer(config: TrainConfig) -> Any:  # transformers' tokenizer
    """The model's tokenizer; one learnt from the training files is learnt once and kept."""
    from transformers import AutoTokenizer

    kept = Path(config.output) / "tokenizer"
    if config.model.scratch and (kept / "tokenizer.json").is_file():
        return AutoTokenizer.from_pretrained(kept)
    texts = (
        text
        for line in read_examples(config.data.files if config.model.scratch else ())
        for example in line
        for text in (_said(example.prompt.content), example.answer)
    )
    tokenizer = tokenizer_of(config.model, texts)
    if config.model.scratch:
        tokenizer.save_pretrained(kept)
    return tokenizer


def _said(content: Any) -> str:
    return content if isinstance(content, str) else "\n".join(turn.content for turn in content)


def _on_ray(config: TrainConfig) -> dict[str, Any]:
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchTrainer

    _tokenizer(config)  # learnt before workers could get in each other's way
    workers = config.workers
    resources = {"CPU": workers.cpus} | ({"GPU": workers.gpus} if workers.gpus else {})
    trainer = TorchTrainer(
        _work,
        train_loop_config=config.model_dump(mode="json"),
        scaling_config=ScalingConfig(
            num_workers=workers.count, use_gpu=workers.gpus > 0, resources_per_worker=resources
        ),
        run_config=RunConfig(
            name="workers",
            storage_path=str(Path(config.output).absolute() / "ray"),
            failure_config=FailureConfig(max_failures=workers.max_failures),
        ),
    )
    result = trainer.fit()
    if result.error:
        raise RunError(f"training failed: {result.error}") from result.error
    return dict(json.loads((Path(config.output) / "summary.json").read_text(encoding="utf-8")))


def _work(plain: dict[str, Any]) -> None:
    """What a worker of Ray Train does."""
    import ray.train

    config = TrainConfig.model_validate(plain)
    summary = loop.run(config, _tokenizer(config), ray.train.report)
    if ray.train.get_context().get_world_rank() == 0:
        text = json.dumps(summary)
        (Path(config.output) / "summary.json").write_text(text, encoding="utf-8")
