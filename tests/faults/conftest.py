"""A cluster that outlives its drivers, and helpers that run drivers."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The address of a single-node cluster, in processes that no test kills."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "include_dashboard": False})
    yield cluster.address
    cluster.shutdown()


def words(corpus: Path | str, run: Path | str, *more: str) -> list[str]:
    """The arguments of the command."""
    return [
        "annotate",
        str(Path(__file__).parent / "replay.yaml"),
        f"input.path={corpus}",
        f"output.path={run}",
        *more,
    ]


def drive(arguments: list[str], address: str, *, script: Path | None = None) -> subprocess.Popen[str]:
    """Starts a driver in a process group of its own."""
    begin = [str(script)] if script else ["-m", "ner_ray.cli"]
    return subprocess.Popen(
        [sys.executable, *begin, *arguments],
        env=os.environ | {"RAY_ADDRESS": address},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finish(arguments: list[str], address: str) -> None:
    """Runs a driver until it ends."""
    process = drive(arguments, address)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors


def rows_of(run: Path | str) -> list[dict]:
    """All rows of a run, in the order of the documents; the same in every run over the same corpus."""
    from ner_ray import open_run

    return sorted(open_run(str(run)).to_table().to_pylist(), key=lambda row: row["row_id"])
