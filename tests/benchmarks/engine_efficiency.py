"""The share of the bare engine's speed that the job reaches.

Bare `LLM.generate` gets all prompts in one call; the job reads the same prompts from Parquet and runs its whole graph:
read, chunk, generate, read answers, write. The two take turns, on the same model, with the same answers of uneven
length. Neither includes start-up: each has a warm-up turn (in the job's, Ray starts its workers), and the job's clock
runs from its first request to its last answer.

    python tests/benchmarks/engine_efficiency.py --repeats 5
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ner_ray.annotator.spec import Pool, Role, Spec
from ner_ray.config import AnnotateConfig, EngineConfig, SamplingConfig
from ner_ray.pipeline import graph
from ner_ray.pipeline.cluster import connect
from ner_ray.pipeline.generate import GenerateStage
from ner_ray.pipeline.preflight import check_input
from ner_ray.pipeline.progress import start_scoreboard
from ner_ray.schema import EXCHANGES
from ner_ray.store.run import RunDirectory
from ner_ray.store.shards import list_shards
from ner_ray.types import Entity, Label, Prompt, Reading, StepInput, Targets, Transcript

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from tiny_models import save_tiny_model  # the parent folder is not a package when this runs as a script

LENGTHS = (8, 16, 32, 64, 128, 192)
WARM_UP = 500  # prompts


@dataclass(frozen=True)
class UnevenStep:
    """Sends a chunk's text as the prompt, for an answer whose length depends on the text."""

    role: str = "tagger"

    def ask(self, passage: StepInput, transcript: Transcript) -> list[Prompt]:
        return [] if transcript else [Prompt(passage.text, max_tokens=answer_tokens(passage.text))]

    def read(self, passage: StepInput, transcript: Transcript) -> list[Reading]:
        return [Reading(mentions=()) for exchange in transcript for _ in exchange.completions]

    def targets(self, passage: StepInput, gold: Sequence[Entity]) -> Targets:
        return Targets(())


def answer_tokens(text: str) -> int:
    return LENGTHS[sum(text.encode()) % len(LENGTHS)]


class TimedStage(GenerateStage):
    """Records the time from the first request to the last answer, and the tokens generated."""

    log: str = ""
    first: float | None = None
    tokens = 0

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        asyncio.run_coroutine_threadsafe(self._warm_up(), self._loop).result()

    async def _warm_up(self) -> None:
        """Sends other prompts of the same kind: the bare engine, too, answers some before its clock starts."""
        (role,) = self._pool.roles
        prompts = [Prompt(text, max_tokens=answer_tokens(text)) for text in sentences(WARM_UP, seed=1)]
        await asyncio.gather(*(self._engine.generate(prompt, role.sampling) for prompt in prompts))

    def _enter(self) -> None:
        self.first = self.first or time.monotonic()
        super()._enter()

    def _leave(self) -> None:
        super()._leave()
        self._last = time.monotonic()

    def __call__(self, table: pa.Table) -> pa.Table:
        answered = super().__call__(table)
        for row in answered[EXCHANGES].to_pylist():
            self.tokens += sum(answer["output_tokens"] for exchange in row for answer in exchange["completions"])
        folder = self._spec.config.output.path
        timing = {"tokens": self.tokens, "seconds": self._last - self.first}
        Path(folder, "timing.json").write_text(json.dumps(timing))
        return answered


BARE = """
import json, os, sys, time
os.environ["VLLM_LOGGING_LEVEL"] = "ERROR"
os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "1" if sys.argv[2] == "own-process" else "0"
os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")

def main():
    from vllm import LLM, SamplingParams
    from vllm.platforms import current_platform
    options = dict(dtype="float32", enforce_eager=True) if current_platform.is_cpu() else {}
    llm = LLM(model=sys.argv[1], max_model_len=1024, max_num_seqs=int(sys.argv[3]), **options)
    prompts, lengths = json.load(open(sys.argv[4]))
    parameters = [SamplingParams(temperature=0, max_tokens=n, logprobs=0, flat_logprobs=True) for n in lengths]
    print("ready", flush=True)
    for _ in sys.stdin:
        llm.reset_prefix_cache()
        began = time.monotonic()
        outputs = llm.generate(prompts, parameters, use_tqdm=False)
        seconds = time.monotonic() - began
        print(json.dumps({"tokens": sum(len(o.outputs[0].token_ids) for o in outputs), "seconds": seconds}), flush=True)

if __name__ == "__main__":
    main()
"""


class Bare:
    """`LLM.generate` in a process of its own that waits for its turn."""

    def __init__(self, folder: Path, model: str, texts: list[str], where: str, seqs: int) -> None:
        script, prompts = folder / "bare.py", folder / "prompts.json"
        script.write_text(BARE)
        prompts.write_text(json.dumps([texts, [answer_tokens(text) for text in texts]]))
        command = [sys.executable, str(script), model, where, str(seqs), str(prompts)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        while self._process.stdout.readline().strip() != "ready":
            if self._process.poll() is not None:
                sys.exit("the bare engine did not start")

    def turn(self) -> float:
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        while not (line := self._process.stdout.readline()).startswith("{"):
            pass
        return rate(json.loads(line))

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait(timeout=60)


def rate(timing: dict) -> float:
    return timing["tokens"] / timing["seconds"]


def job_turn(folder: Path, model: str, number: int, gpus: float, seqs: int) -> float:
    config = AnnotateConfig.model_validate(
        {
            "input": {"path": str(folder / "input")},
            "labels": ["person"],
            "family": "gner",
            "engine": {"model": model, "max_model_len": 1024, "max_num_seqs": seqs},
            "chunk": {"tokens": 400, "overlap": 0},
            "output": {"path": str(folder / f"run{number}")},
            "resources": {"gpus": gpus},
        }
    )
    engine: EngineConfig = config.engine
    roles = (Role(UnevenStep(), SamplingConfig(), None),)
    steps = tuple(role.step for role in roles)
    plan = Spec(config, (Label("person"),), None, steps, (Pool(engine, roles),), budget=400)
    run = RunDirectory(config.output.path)
    shards = list_shards(config.input.path)
    (wave,) = run.plan_waves(shards, 10**9)
    graph.GenerateStage = TimedStage
    deque(graph.run_waves(plan, run, [wave], check_input(plan, shards), start_scoreboard()), maxlen=0)
    return rate(json.loads((folder / f"run{number}" / "timing.json").read_text()))


def sentences(count: int, seed: int) -> list[str]:
    rng = random.Random(seed)
    words = [first + second for first in ("ka", "lo", "mi", "ter", "an", "do", "vi") for second in ("sen", "ra", "bu")]
    return [" ".join(rng.choices(words, k=rng.randint(10, 60))) for _ in range(count)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="a model folder; default: random weights, about as large as the starter model")
    parser.add_argument("--prompts", type=int, default=2000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seqs", type=int, default=128, help="number of requests that the engine runs at once")
    parser.add_argument("--gpus", type=float, default=0, help="1 on a machine with a GPU")
    parser.add_argument("--bare", choices=["in-process", "own-process"], default="in-process")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = arguments.model or str(save_tiny_model(folder / "model", width=256, layers=4))
        texts = sentences(arguments.prompts, seed=0)
        (folder / "input").mkdir()
        pq.write_table(pa.table({"text": texts}), folder / "input" / "prompts.parquet")
        bare = Bare(folder, model, texts, arguments.bare, arguments.seqs)
        connect()
        bare.turn()
        job_turn(folder, model, arguments.repeats, arguments.gpus, arguments.seqs)
        ratios = []
        for number in range(arguments.repeats):
            alone = bare.turn()
            inside = job_turn(folder, model, number, arguments.gpus, arguments.seqs)
            ratios.append(inside / alone)
            print(
                f"repeat {number}: bare {alone:7.0f} tokens/s   job {inside:7.0f} tokens/s   ratio {ratios[-1]:.3f}",
                flush=True,
            )
        bare.close()
        print(f"median ratio {statistics.median(ratios):.3f} (min {min(ratios):.3f}, max {max(ratios):.3f})")


if __name__ == "__main__":
    main()
