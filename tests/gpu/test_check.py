"""The check of a machine with GPUs works where there are none: with tiny models, and with what is missing named."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parent / "check.sh"
ABSENT = "import sys\nsys.modules.update(dict.fromkeys(['ray', 'vllm']))\n"


def checked(*options: str, path: Path | None = None) -> list[dict[str, Any]]:
    places = [str(SCRIPT.parents[2]), *([str(path)] if path else []), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHON": sys.executable, "PYTHONPATH": os.pathsep.join(places)}
    command = ["bash", str(SCRIPT), "--tiny", "--json", *options]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    outcomes: list[dict[str, Any]] = json.loads(done.stdout)
    return outcomes


def test_what_a_machine_lacks_is_skipped_and_named(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(ABSENT)
    steps = ("preset", "two_pools", "tensor_parallel", "lora", "speculation", "efficiency", "training_sharded")
    outcomes = checked("--steps", ",".join(steps), path=tmp_path)

    assert [outcome["step"] for outcome in outcomes] == list(steps)
    assert {outcome["result"] for outcome in outcomes} == {"skipped"}
    assert all("is not installed" in outcome["note"] for outcome in outcomes)


@pytest.mark.long
def test_models_are_made_asked_and_trained_without_vllm_and_ray(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(ABSENT)
    steps = "machine,models,transformers_engine,training,training_lora"
    outcomes = checked("--steps", steps, path=tmp_path)

    assert {outcome["result"] for outcome in outcomes} == {"ok"}, outcomes
    assert outcomes[3]["figures"]["last_loss"] < outcomes[3]["figures"]["first_loss"]


@pytest.mark.long
@pytest.mark.engine
@pytest.mark.timeout(1200)
def test_the_whole_check_runs_on_cpus() -> None:
    outcomes = checked("--seconds", "1100")

    assert {outcome["result"] for outcome in outcomes} <= {"ok", "skipped"}, outcomes
    assert [outcome["step"] for outcome in outcomes if outcome["result"] == "skipped"] == ["tensor_parallel"]
