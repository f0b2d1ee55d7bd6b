"""Drivers are killed at any moment; the same command, run again, ends with every document exactly once."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import time
from pathlib import Path

import psutil
import pytest
from ray.cluster_utils import Cluster

from ner_ray.errors import EXIT_LEASED
from ner_ray.store.health import verify
from ner_ray.store.lease import Lease
from ner_ray.store.run import RunDirectory
from tests.replayed import entities_of, write_corpus

from .conftest import drive, finish, rows_of, words

pytestmark = pytest.mark.cluster

COMMIT_STEPS = 12  # in `stepwise.py`; there are no more steps than these
KILLS = 20  # at random moments
SHARDS, ROWS = 10, 1000  # of the large corpus
WORK = (
    "ray::ReadShardSource",
    "ray::MapBatches",
    "ray::Write",
)  # tasks, as opposed to actors, idle workers and Ray's own processes


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


def tell(capsys: pytest.CaptureFixture[str], what: str, rows: list[dict], expected: list[dict]) -> None:
    """Prints the result to the terminal."""
    ids = [row["row_id"] for row in rows]
    lost = {row["row_id"] for row in expected} - set(ids)
    with capsys.disabled():
        print(f" {what}, rows lost: {len(lost)}, duplicate rows: {len(ids) - len(set(ids))} ", end="", flush=True)


@pytest.mark.faults
def test_a_driver_killed_at_random_moments_loses_and_duplicates_nothing(
    undisturbed: tuple[Path, list[dict]], tmp_path: Path, address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    corpus, expected = undisturbed
    moments = random.Random(KILLS)
    tried = 0
    for _ in range(KILLS):
        process = drive(words(corpus, tmp_path / "run", "output.rows_per_wave=420"), address)
        until = time.monotonic() + moments.uniform(0.5, 7)
        while time.monotonic() < until and process.poll() is None:
            time.sleep(0.02)
        tried += process.poll() is None
        kill(process)
    finish(words(corpus, tmp_path / "run", "output.rows_per_wave=420"), address)

    tell(capsys, f"kills tried: {tried}", rows_of(tmp_path / "run"), expected)
    assert rows_of(tmp_path / "run") == expected
    assert verify(str(tmp_path / "run")) == (len(expected), [])


@pytest.mark.faults
def test_a_driver_killed_at_every_step_of_a_commit_loses_and_duplicates_nothing(
    undisturbed: tuple[Path, list[dict]], tmp_path: Path, address: str, capsys: pytest.CaptureFixture[str]
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
        assert rows == [row for row in expected if row["row_id"] in {done["row_id"] for done in rows}]
        assert len(rows) == 60 * seen[-1]
    finish(words(corpus, tmp_path / "run"), address)

    assert seen[0] == 0
    assert seen == sorted(seen)
    tell(capsys, f"kills at steps of a commit: {len(seen)}", rows_of(tmp_path / "run"), expected)
    assert rows_of(tmp_path / "run") == expected
    assert verify(str(tmp_path / "run")) == (len(expected), [])


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus that takes a run several seconds."""
    folder = tmp_path_factory.mktemp("large")
    write_corpus(folder, shards=SHARDS, rows=ROWS)
    return folder


def wait_for_files(process: subprocess.Popen[str], run: Path, count: int) -> None:
    """Waits until a run has written `count` files."""
    while files_of(run) < count:
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)


def files_of(run: Path) -> int:
    return len(list((run / "data" / "wave=00000").glob("*.parquet")))


def assert_as_undisturbed(run: Path) -> None:
    """Makes sure that the run has every row of the large corpus exactly once, with its known entities."""
    rows = rows_of(run)
    assert [[(entity["text"], entity["label"]) for entity in row["entities"]] for row in rows] == [
        entities_of(shard, row) for shard in range(SHARDS) for row in range(ROWS)
    ]
    assert [row["row_id"] & 0xFFFF for row in rows] == list(range(ROWS)) * SHARDS
    assert {row["status"] for row in rows} == {"ok"}
    assert verify(str(run)) == (SHARDS * ROWS, [])


def test_a_second_driver_is_refused(large: Path, tmp_path: Path, address: str) -> None:
    run = RunDirectory(str(tmp_path / "run"))
    with Lease(run.store, run.path, period=0.5):
        second = drive(words(large, run.path), address)
        _, said = second.communicate(timeout=200)

    assert second.returncode == EXIT_LEASED, said
    assert f"another driver is writing to the run: {socket.gethostname()}, process {os.getpid()}" in said
    assert run.waves() == []


def test_no_document_is_lost_with_killed_workers_or_a_killed_driver(large: Path, tmp_path: Path, address: str) -> None:
    """The run continues without the workers; another driver takes over from the first."""
    run, settings = tmp_path / "run", words(large, tmp_path / "run", "output.rows_per_wave=100000")
    process = drive(settings, address)
    wait_for_files(process, run, 1)
    killed: set[int] = set()
    while len(killed) < 3:
        assert process.poll() is None, "the run was over before three workers were killed"
        for worker in psutil.process_iter(["name", "cmdline"]):
            if " ".join(worker.info["cmdline"] or ()).startswith(WORK) and len(killed) < 3 and belongs(worker, address):
                worker.kill()
                killed.add(worker.pid)
        time.sleep(0.3)
    wait_for_files(process, run, files_of(run) + 20)
    kill(process)
    finish(settings, address)

    assert_as_undisturbed(run)


def belongs(worker: psutil.Process, address: str) -> bool:
    """Whether a worker process belongs to the cluster."""
    raylet = worker.parent()
    return raylet is not None and any(address in word for word in raylet.cmdline())


@pytest.mark.faults
def test_no_document_is_lost_with_a_node(large: Path, tmp_path: Path) -> None:
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "include_dashboard": False})
    try:
        node = cluster.add_node(num_cpus=2)
        process = drive(words(large, tmp_path / "run", "output.rows_per_wave=100000"), cluster.address)
        wait_for_files(process, tmp_path / "run", 1)
        cluster.remove_node(node)
        assert process.poll() is None, "the run was over before the node went"
        _, said = process.communicate(timeout=300)
        assert process.returncode == 0, said
    finally:
        cluster.shutdown()

    assert_as_undisturbed(tmp_path / "run")
