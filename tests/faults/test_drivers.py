"""Drivers are killed, wherever they are; the same command again ends with every document once."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest
from ray.cluster_utils import Cluster

from ner_ray.errors import EXIT_LEASED
from ner_ray.store.health import verify
from ner_ray.store.lease import Lease
from ner_ray.store.run import RunDirectory
from tests.replayed import write_corpus

from .conftest import drive, finish, rows_of, words

pytestmark = pytest.mark.cluster

COMMIT_STEPS = 12  # of `stepwise.py`; more find the commit over


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, address: str) -> tuple[Path, list[dict]]:
    folder = tmp_path_factory.mktemp("undisturbed")
    write_corpus(folder / "in", shards=COMMIT_STEPS + 2)
    finish(words(folder / "in", folder / "run", "output.rows_per_wave=10000"), address)
    rows = rows_of(folder / "run")
    assert len(rows) == 60 * (COMMIT_STEPS + 2)
    assert [entity["text"] for entity in rows[1]["entities"]] == ["Ada", "Bo", "Kiel"]
    return folder / "in", rows


def kill(process: subprocess.Popen[str]) -> None:
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


@pytest.mark.parametrize("kills", [4, pytest.param(20, marks=pytest.mark.faults)])
def test_a_driver_killed_at_random_moments_loses_and_doubles_nothing(
    undisturbed: tuple[Path, list[dict]], tmp_path: Path, address: str, kills: int
) -> None:
    corpus, expected = undisturbed
    moments = random.Random(kills)
    tried = 0
    for _ in range(kills):
        process = drive(words(corpus, tmp_path / "run", "output.rows_per_wave=240"), address)
        until = time.monotonic() + moments.uniform(0.5, 7)
        while time.monotonic() < until and process.poll() is None:
            time.sleep(0.02)
        tried += process.poll() is None
        kill(process)
    finish(words(corpus, tmp_path / "run", "output.rows_per_wave=240"), address)

    assert rows_of(tmp_path / "run") == expected
    assert verify(str(tmp_path / "run")) == (len(expected), [])
    print(f"kills tried: {tried}, rows lost: 0, rows doubled: 0")  # the long suite's report


@pytest.mark.faults
def test_a_driver_killed_at_every_step_of_a_commit_loses_and_doubles_nothing(
    undisturbed: tuple[Path, list[dict]], tmp_path: Path, address: str
) -> None:
    corpus, expected = undisturbed
    seen = []
    for step in range(1, COMMIT_STEPS + 1):
        script = Path(__file__).parent / "stepwise.py"
        process = drive(
            [str(step), *words(corpus, tmp_path / "run", "output.min_rows_per_file=60")], address, script=script
        )
        _, said = process.communicate(timeout=200)
        assert process.returncode == -signal.SIGKILL, said
        seen.append(len(RunDirectory(str(tmp_path / "run")).committed()))
        rows = rows_of(tmp_path / "run") if seen[-1] else []
        assert rows == [row for row in expected if row["row_id"] in {one["row_id"] for one in rows}]
        assert len(rows) == 60 * seen[-1]
    finish(words(corpus, tmp_path / "run"), address)

    assert seen[0] == 0
    assert seen == sorted(seen)
    assert rows_of(tmp_path / "run") == expected
    assert verify(str(tmp_path / "run")) == (len(expected), [])


def test_a_second_driver_is_sent_away(undisturbed: tuple[Path, list[dict]], tmp_path: Path, address: str) -> None:
    corpus, expected = undisturbed
    run = RunDirectory(str(tmp_path / "run"))
    settings = words(corpus, run.path, "output.rows_per_wave=10000")
    with Lease(run.store, run.path, period=0.5):
        second = drive(settings, address)
        _, said = second.communicate(timeout=200)

    assert second.returncode == EXIT_LEASED, said
    assert f"the run is being written by {socket.gethostname()}, process {os.getpid()}" in said
    assert run.waves() == []
    finish(settings, address)
    assert rows_of(run.path) == expected


def test_a_node_that_goes_takes_no_document_with_it(tmp_path: Path) -> None:
    write_corpus(tmp_path / "in", shards=30, rows=1000)
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "include_dashboard": False})
    try:
        node = cluster.add_node(num_cpus=2)
        process = drive(words(tmp_path / "in", tmp_path / "run", "output.rows_per_wave=30000"), cluster.address)
        data = tmp_path / "run" / "data" / "wave=00000"
        while not (data.is_dir() and list(data.iterdir())):
            assert process.poll() is None, process.communicate()
            time.sleep(0.05)
        cluster.remove_node(node)
        assert process.poll() is None, "the run was over before the node went"
        _, said = process.communicate(timeout=300)
        assert process.returncode == 0, said
    finally:
        cluster.shutdown()

    assert [row["row_id"] & 0xFFFF for row in rows_of(tmp_path / "run")] == list(range(1000)) * 30
    assert verify(str(tmp_path / "run")) == (30_000, [])
