"""A driver that kills itself at the n-th step of its first commit; run by test_drivers.py."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from ner_ray.cli import main
from ner_ray.store import run, wave_files

last = int(sys.argv.pop(1))
reached: list[int] = []
commits: list[int] = []


def step() -> None:
    if commits:
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


def committed(*arguments: Any, **options: Any) -> Any:
    commits.append(1)
    commit(*arguments, **options)
    os.kill(os.getpid(), signal.SIGKILL)  # one commit per process


commit = run.RunDirectory.commit
run.RunDirectory.commit = committed  # type: ignore[method-assign]
for name in ("tidy", "compact", "tally", "put_json"):
    setattr(run, name, with_steps(getattr(run, name)))
wave_files.write_rows = with_steps(wave_files.write_rows)
main()
