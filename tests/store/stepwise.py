"""Writes a wave and commits it, killing itself at the n-th step of the commit; run by test_kills.py."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from ner_ray.store import run, wave_files
from ner_ray.store.run import RunDirectory
from ner_ray.store.wave_files import Layout
from tests import output

last = int(sys.argv[1])
reached: list[int] = []


def step() -> None:
    reached.append(1)
    if len(reached) == last:
        os.kill(os.getpid(), signal.SIGKILL)


def with_steps(work: Callable[..., Any]) -> Callable[..., Any]:
    def stepping(*arguments: Any, **options: Any) -> Any:
        step()
        result = work(*arguments, **options)
        step()
        return result

    return stepping


directory = RunDirectory(sys.argv[2])
(wave,) = directory.open_waves()
left = directory.resume(wave)
ids = wave.row_ids().tolist()
folder = Path(directory.data_path(wave))
folder.mkdir(parents=True, exist_ok=True)
for number in range(0, left.rows, 3):  # every process gives its files new names, as Ray does
    done = {row_id for file in wave_files.tidy(directory.store, str(folder)) for row_id in file.rows.ids}
    missing = sorted(set(ids) - done)[:3]
    pq.write_table(output.table(missing, mark="new"), folder / f"{last}-{number}.parquet")

for module, names in (
    (run, ("tidy", "compact", "without", "tally", "put_json")),
    (wave_files, ("write_rows", "read_ids")),
):
    for name in names:
        setattr(module, name, with_steps(getattr(module, name)))
directory.commit(wave, {}, Layout(min_rows=6, max_rows=9))
print("committed after", len(reached), "steps")
