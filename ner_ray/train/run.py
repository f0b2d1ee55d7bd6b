"""A training run: on Ray Train's workers or in this process, into a folder that records its configuration."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ner_ray.config import differences, fingerprint, semantic
from ner_ray.data.training import Turns, read_rows
from ner_ray.errors import MissingExtraError, RunError
from ner_ray.extras import is_installed, require
from ner_ray.train import loop
from ner_ray.train.card import write_card
from ner_ray.train.config import TrainConfig
from ner_ray.train.curves import plot
from ner_ray.train.model import is_pair, tokenizer_of

_NOTE = "run.json"
_TRACKERS = {"tensorboard": ("tensorboard", "tensorboardX"), "wandb": ("wandb",), "mlflow": ("mlflow",)}  # any of them


@dataclass(frozen=True, slots=True)
class Trained:
    """Where the result is, and its figures.

    Attributes:
        model: the folder of the checkpoint or adapter, which the engines load by its path.
        metrics: the file with the history of all figures.
        steps: optimiser steps, including those of earlier calls with the same folder.
        best: the figure by which the result was chosen; None where it is the last checkpoint.
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
    """Trains into `config.output`; goes on with an interrupted run of the same configuration there.

    Everything that can be refused is checked before the folder is touched.

    Raises:
        MissingExtraError: an optional package is not installed.
        RunError: the folder belongs to a run with another configuration, or the workers failed for good.
        InputError: there is nothing to learn from, a file is not a training file, or the judge's gold is not usable.
        ConfigError: the judge's family, or its label map, is not valid.
        ModelError: the base model cannot be loaded.
    """
    began = time.monotonic()
    output = Path(config.output)
    _check_extras(config)
    _check_folder(config, output)
    if (output / "metrics.json").exists():
        return _result(output, 0.0)
    loop.check_judge(config)
    tokenizer = _tokenizer(config)
    loop.check_rows(config, tokenizer, pair=is_pair(config.model))
    _claim(config, output, tokenizer)
    summary = _on_ray(config) if config.workers.count else loop.run(config, tokenizer)
    seconds = time.monotonic() - began
    if is_installed("matplotlib"):
        plot(summary["history"], output / "curves.png")
    write_card(config, summary, output / "model" / "README.md")
    # Written last: it says that the run is finished.
    text = json.dumps({**summary, "seconds": round(seconds, 1)}, indent=1) + "\n"
    (output / "metrics.json").write_text(text, encoding="utf-8")
    return _result(output, seconds)


def _check_extras(config: TrainConfig) -> None:
    """The optional packages that the run needs until its end."""
    modules = ["torch", "transformers", "accelerate", *(["peft"] if config.model.lora else [])]
    modules += ["ray.train"] if config.workers.count else []
    require(*modules, extra="train", purpose="training")
    for tracker in config.report_to:
        if not any(map(is_installed, _TRACKERS[tracker])):
            name = _TRACKERS[tracker][0]
            raise MissingExtraError(
                f"report_to names {tracker}, and {name} is not installed", hint=f"pip install {name}"
            )


def _result(output: Path, seconds: float) -> Trained:
    metrics = output / "metrics.json"
    summary = json.loads(metrics.read_text(encoding="utf-8"))
    return Trained(str(output / "model"), str(metrics), summary["steps"], summary["best"], seconds)


def _check_folder(config: TrainConfig, output: Path) -> None:
    """Makes sure that the folder is free, or holds a run of this very configuration.

    Raises:
        RunError: it holds another one; names the settings that differ.
    """
    note = output / _NOTE
    if not note.exists():
        return
    found = json.loads(note.read_text(encoding="utf-8"))
    if found["fingerprint"] != fingerprint(config):
        changed = "\n".join(f"  {line}" for line in differences(found.get("settings", {}), _settings(config)))
        raise RunError(
            f"{output} belongs to a run with another configuration:\n{changed}",
            hint="choose another output folder, restore the former settings, or delete this folder",
        )


def _claim(config: TrainConfig, output: Path, tokenizer: Any) -> None:
    """Records whose folder it is, and keeps a tokenizer that was learnt for the run."""
    output.mkdir(parents=True, exist_ok=True)
    if config.model.scratch:
        tokenizer.save_pretrained(_kept_tokenizer(config))
    note = {
        "fingerprint": fingerprint(config),
        "settings": _settings(config),
        "config": config.model_dump(mode="json"),
    }
    (output / _NOTE).write_text(json.dumps(note, indent=1) + "\n", encoding="utf-8")


def _settings(config: TrainConfig) -> Any:
    """The settings that change results, as JSON reads them back."""
    return json.loads(json.dumps(semantic(config)))


def _kept_tokenizer(config: TrainConfig) -> Path:
    return Path(config.output) / "tokenizer"


def _tokenizer(config: TrainConfig) -> Any:  # transformers' tokenizer
    """The model's tokenizer; one that is learnt from the training files is learnt once."""
    from transformers import AutoTokenizer

    kept = _kept_tokenizer(config)
    if config.model.scratch and (kept / "tokenizer.json").is_file():
        return AutoTokenizer.from_pretrained(kept)
    rows = read_rows(config.data.files if config.model.scratch else ())
    texts = (text for row in rows for prompt, answer in row.examples() for text in (_text(prompt.content), answer))
    return tokenizer_of(config.model, texts)


def _text(content: str | Turns) -> str:
    return content if isinstance(content, str) else "\n".join(turn.content for turn in content)


def _on_ray(config: TrainConfig) -> dict[str, Any]:
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchTrainer

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
    """The work of one of Ray Train's workers."""
    import ray.train

    config = TrainConfig.model_validate(plain)
    summary = loop.run(config, _tokenizer(config), ray.train.report)
    if ray.train.get_context().get_world_rank() == 0:
        text = json.dumps(summary)
        (Path(config.output) / "summary.json").write_text(text, encoding="utf-8")
