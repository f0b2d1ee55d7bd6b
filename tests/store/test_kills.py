"""A process that dies at any step of a commit leaves a run that the next one completes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from ner_ray.store.health import verify
from ner_ray.store.run import RunDirectory
from ner_ray.store.shards import Shard
from ner_ray.store.waves import Wave
from tests import output
from tests.conftest import REPOSITORY

SCRIPT = Path(__file__).parent / "stepwise.py"


def rows_of(run: RunDirectory) -> list[tuple[int, str]]:
    return sorted((row["row_id"], row["mark"]) for row in run.dataset().to_table().to_pylist())


def committed_run(folder: Path) -> tuple[RunDirectory, Wave]:
    """A run with one committed wave of 12 rows."""
    run = RunDirectory(str(folder))
    (wave,) = run.plan_waves([Shard("/corpus/a.parquet", 1, 1, 12)], 100)
    path = Path(run.data_path(wave))
    path.mkdir(parents=True)
    ids = wave.row_ids()
    for part in (ids[:7], ids[7:]):
        pq.write_table(output.table(part, mark="old"), path / f"{part[0]}.parquet")
    run.commit(wave, {})
    return run, wave


@pytest.mark.parametrize("kind", ["new", "again", "changed"])
def test_a_kill_at_any_step_leaves_every_row_exactly_once(tmp_path: Path, kind: str) -> None:
    run, first = committed_run(tmp_path)
    ids = first.row_ids()
    before = [(row, "old") for row in ids.tolist()]
    if kind == "new":
        (wave,) = run.plan_waves([Shard("/corpus/a.parquet", 1, 1, 12), Shard("/corpus/b.parquet", 1, 1, 20)], 100)
        gone: set[int] = set()
    elif kind == "changed":
        (wave,) = run.plan_waves([Shard("/corpus/a.parquet", 2, 2, 20)], 100, "reprocess")
        gone = set(ids.tolist())
    else:
        wave = run.plan_retry(np.array(ids[5:9]), output.inputs(run))
        gone = set(ids[5:9].tolist())
    after = sorted([row for row in before if row[0] not in gone] + [(row, "new") for row in wave.row_ids().tolist()])

    for step in range(1, 100):
        life = subprocess.run(
            [sys.executable, str(SCRIPT), str(step), str(tmp_path)],
            capture_output=True,
            text=True,
            env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
            check=False,
        )
        done = not run.open_waves()
        assert rows_of(run) == (after if done else before)
        if done:
            break
        assert life.returncode == -signal.SIGKILL, life.stderr

    assert step > 8
    assert verify(str(tmp_path)) == (len(after), [])
