"""Which documents were in an engine when it died, and which of them kills engines.

Ray starts a dead engine's actor again and hands it the same rows. Were one of them what killed it, that would go on
without end. So an actor outside the engines remembers which rows are inside: rows that come in while they are still
booked as inside were there when an engine died. They are suspects, and are tried in the new engine, beside the other
rows: a few at a time, and those of a trial that an engine died of one at a time. One that was tried alone when an
engine died is convicted: its row fails, by name, and the run goes on. So a document costs three engines at most,
however many were in the first with it, and the innocent wait for few trials.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ray

TRIED_TOGETHER = 16

Key = tuple[int, int]  # of a pool and of a row


class Suspects:
    """The books, kept by one actor for all engines of a run."""

    def __init__(self) -> None:
        self._inside: set[Key] = set()
        self._suspects: set[Key] = set()
        self._closely: set[Key] = set()  # suspects that an engine died of when few were tried
        self._on_trial: dict[Key, int] = {}  # with how many, itself included
        self._convicted: set[Key] = set()

    def enter(self, pool: int, rows: Sequence[int]) -> tuple[list[list[int]], list[int]]:
        """Books rows as inside the engines of a pool; returns what to try one after the other, and the convicted."""
        keys = {(pool, row) for row in rows}
        for key in keys & self._inside:
            self._suspects.add(key)
            if tried_with := self._on_trial.pop(key, 0):
                (self._convicted if tried_with == 1 else self._closely).add(key)
        self._inside |= keys
        suspects = sorted(keys & self._suspects - self._convicted)
        closely = [row for _, row in suspects if (pool, row) in self._closely]
        others = [row for _, row in suspects if (pool, row) not in self._closely]
        together = TRIED_TOGETHER if len(others) > TRIED_TOGETHER else 1
        trials = [[row] for row in closely] + [
            others[start : start + together] for start in range(0, len(others), together)
        ]
        return trials, sorted(row for _, row in keys & self._convicted)

    def tried(self, pool: int, rows: Sequence[int]) -> None:
        """Books that the trial of some suspects begins: no other suspect is inside the same engine."""
        self._on_trial |= {(pool, row): len(rows) for row in rows}

    def cleared(self, pool: int, rows: Sequence[int]) -> None:
        """Books that they were all answered."""
        for key in [(pool, row) for row in rows]:
            self._on_trial.pop(key, None)
            self._suspects.discard(key)
            self._closely.discard(key)

    def leave(self, pool: int, rows: Sequence[int]) -> None:
        """Books rows as answered."""
        self._inside -= {(pool, row) for row in rows}
        self.cleared(pool, rows)


def start_suspects() -> Any:  # Ray's handle of an actor has no type
    """The books, in an actor of their own."""
    return ray.remote(num_cpus=0, max_restarts=-1)(Suspects).remote()
