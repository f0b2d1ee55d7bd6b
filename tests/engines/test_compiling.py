"""Processes that start engines on one node: one compiles, whatever becomes of it, and the others follow together."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ner_ray.engines._compiling import first_alone

START = """
import sys, time
from pathlib import Path
from ner_ray.engines._compiling import first_alone
folder, name, seconds = Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])
with first_alone("a model"):
    (folder / f"{name}.began").write_text(str(time.time()))
    time.sleep(seconds)
    (folder / f"{name}.ended").write_text(str(time.time()))
"""


def start(folder: Path, name: str, seconds: float) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "TMPDIR": str(folder), "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen([sys.executable, "-c", START, str(folder), name, str(seconds)], env=environment)


def when(path: Path) -> float:
    """The time in a file, once it is there."""
    ends = time.monotonic() + 30
    while not (path.exists() and path.read_text()):
        assert time.monotonic() < ends
        time.sleep(0.01)
    return float(path.read_text())


def test_the_first_engine_compiles_alone_and_the_others_start_together(tmp_path: Path) -> None:
    processes = [start(tmp_path, str(number), 0.5) for number in range(4)]
    assert [process.wait(timeout=60) for process in processes] == [0] * 4

    spans = sorted((when(tmp_path / f"{n}.began"), when(tmp_path / f"{n}.ended")) for n in range(4))
    (_, compiled), *others = spans

    assert all(began >= compiled for began, _ in others)
    assert max(began for began, _ in others) < min(ended for _, ended in others)


def test_an_engine_that_is_killed_while_it_compiles_leaves_it_to_the_next(tmp_path: Path) -> None:
    killed = start(tmp_path, "killed", 60)
    when(tmp_path / "killed.began")
    follower = start(tmp_path, "next", 0)
    time.sleep(0.5)
    assert not (tmp_path / "next.began").exists()

    killed.send_signal(signal.SIGKILL)

    assert killed.wait() == -signal.SIGKILL
    assert follower.wait(timeout=60) == 0


def test_an_engine_that_does_not_start_leaves_it_to_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(ValueError, match="no such model"), first_alone("a"):
        raise ValueError("no such model")

    assert not list(tmp_path.rglob("*.done"))
    with first_alone("a"), first_alone("b"):  # another kind is not waited for
        pass
    assert len(list(tmp_path.rglob("*.done"))) == 2


def test_nobody_waits_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with first_alone("a"):
        began = time.monotonic()
        with first_alone("a", longest=0.3):
            assert time.monotonic() - began < 5
