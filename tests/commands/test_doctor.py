"""`ner-ray doctor`, and a cluster that is not there: what is wrong is found in seconds, each with its remedy."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY


def doctor(**environment: str) -> tuple[int, dict[str, dict[str, str]]]:
    """Exit status and findings by name."""
    done = subprocess.run(
        [sys.executable, "-m", "ner_ray.cli", "doctor", "--json"],
        capture_output=True,
        text=True,
        env={name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"} | environment,
        check=False,
    )
    return done.returncode, {finding["name"]: finding for finding in json.loads(done.stdout)["findings"]}


def install(folder: Path, name: str, version: str, source: str = "") -> None:
    """A package of that name, to stand before the one that is really there."""
    (folder / f"{name}-{version}.dist-info").mkdir()
    (folder / f"{name}-{version}.dist-info" / "METADATA").write_text(f"Name: {name}\nVersion: {version}\n")
    if source:
        (folder / f"{name}.py").write_text(source)


@pytest.mark.engine
def test_where_the_tests_run_jobs_run_too() -> None:
    status, findings = doctor()

    assert status == 0
    assert {findings[name]["state"] for name in ("packages", "engine", "cluster")} == {"ok"}
    assert "for CPUs" in findings["engine"]["found"]
    assert "cpu" in findings["extras"]["found"]


def test_what_is_broken_is_named_with_its_remedy(tmp_path: Path) -> None:
    install(tmp_path, "ray", "1.0")
    install(tmp_path, "torchvision", "0.1")
    install(tmp_path, "vllm", "9.9", "raise RuntimeError('operator torchvision::nms does not exist')")
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))  # and does not listen
        address = f"127.0.0.1:{deaf.getsockname()[1]}"

        status, findings = doctor(PYTHONPATH=f"{tmp_path}:{REPOSITORY}", RAY_ADDRESS=address)

    assert status == 1
    assert (findings["packages"]["state"], findings["packages"]["found"]) == ("error", "ray is 1.0, not <2.61,>=2.60")
    assert findings["packages"]["remedy"] == "pip install 'ray[data,default]<2.61,>=2.60'"
    assert "operator torchvision::nms does not exist" in findings["engine"]["found"]
    assert findings["engine"]["remedy"] == "pip uninstall -y torchvision"
    assert f"nothing answers at RAY_ADDRESS={address}" in findings["cluster"]["found"]


def test_without_an_engine_jobs_can_still_ask_a_server(tmp_path: Path) -> None:
    (tmp_path / "vllm.py").write_text("raise ModuleNotFoundError(\"No module named 'vllm'\")")

    status, findings = doctor(PYTHONPATH=f"{tmp_path}:{REPOSITORY}")

    assert (status, findings["engine"]["state"]) == (0, "warning")
    assert "ner-ray[cpu]" in findings["engine"]["remedy"]


@pytest.mark.parametrize(
    ("address", "said"),
    [("http://127.0.0.1:8265", "accepts submitted jobs only"), ("127.0.0.1:9", "nothing answers at RAY_ADDRESS=127")],
)
def test_a_job_whose_cluster_is_not_there_says_so(tmp_path: Path, address: str, said: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ner_ray.cli", "annotate", "annotate/demo", f"output.path={tmp_path}/run"],
        capture_output=True,
        text=True,
        env=os.environ | {"RAY_ADDRESS": address},
        timeout=120,
        check=False,
    )

    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
