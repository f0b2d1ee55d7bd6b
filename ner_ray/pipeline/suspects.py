"""Finds the documents that kill engines.

Ray restarts a dead engine's actor and gives it the same rows. If one of them had killed the engine, this would never
end. So an actor outside the engines records which rows are inside: a row that enters while it is still recorded as
inside was there when an engine died. Such rows are suspects. They are tried in the new engine next to the other rows: a
few at a time, and after another death the suspects of that trial one at a time. A document that was tried alone when an
engine died is convicted: its row fails with the code `poison`, and the run goes on. So a document costs at most three
engines, however many documents were in the first one, and innocent documents wait for few trials.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ray

TRIED_TOGETHER = 16

Key = tuple[int, int]  # of a pool and of a row


class Suspects:
    """The record of suspects, kept by one actor for all engines of a run."""

    def __init__(self) -> None:
        self._inside: set[Key] = set()
        self._suspects: set[Key] = set()
        self._closely: set[Key] = set()  # suspects of a trial in which an engine died
        self._on_trial: dict[Key, int] = {}  # and the number of suspects in its trial, itself included
        self._convicted: set[Key] = set()

    def enter(self, pool: int, rows: Sequence[int]) -> tuple[list[list[int]], list[int]]:
        """Records rows as inside the engines of a pool.

        Returns:
            The trials to hold one after the other, each a list of row ids; and the ids of convicted rows.
        """
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
        """Records that a trial begins; no other suspect is inside the same engine."""
        self._on_trial |= {(pool, row): len(rows) for row in rows}

    def cleared(self, pool: int, rows: Sequence[int]) -> None:
        """Records that all of these rows were answered: they are no longer suspects."""
        for key in [(pool, row) for row in rows]:
            self._on_trial.pop(key, None)
            self._suspects.discard(key)
            self._closely.discard(key)

    def leave(self, pool: int, rows: Sequence[int]) -> None:
        """Records that these rows were answered and have left the engine."""
        self._inside -= {(pool, row) for row in rows}
        self.cleared(pool, rows)


def start_suspects() -> Any:  # Ray's handle of an actor has no type
    """Starts the record of suspects in an actor of its own."""
    return ray.remote(num_cpus=0, max_restarts=-1)(Suspects).remote()
