"""Which documents were in an engine when it died, and which of them kills engines.

Ray starts a dead engine's actor again and hands it the same rows. Were one of them what killed it, that would go on
without end. So an actor outside the engines remembers which rows are inside: rows that come in while they are still
booked as inside were there when an engine died. They are suspects, and go through the new engine one at a time,
beside the others. A suspect that was alone inside when an engine died again is convicted: its row fails, by name,
and the run goes on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ray


class Suspects:
    """The books, kept by one actor for all engines of a run."""

    def __init__(self) -> None:
        self._inside: set[tuple[int, int]] = set()
        self._suspects: set[tuple[int, int]] = set()
        self._alone: set[tuple[int, int]] = set()
        self._convicted: set[tuple[int, int]] = set()

    def enter(self, pool: int, rows: Sequence[int]) -> tuple[list[int], list[int]]:
        """Books rows as inside the engines of a pool; returns the suspects and the convicted among them."""
        keys = {(pool, row) for row in rows}
        again = keys & self._inside
        self._convicted |= again & self._alone
        self._suspects |= again
        self._alone -= keys
        self._inside |= keys
        return (
            sorted(row for _, row in keys & self._suspects - self._convicted),
            sorted(row for _, row in keys & self._convicted),
        )

    def alone(self, pool: int, row: int) -> None:
        """Books that a suspect begins: no other suspect is inside the same engine."""
        self._alone.add((pool, row))

    def cleared(self, pool: int, row: int) -> None:
        """Books that a suspect was answered."""
        self._alone.discard((pool, row))
        self._suspects.discard((pool, row))

    def leave(self, pool: int, rows: Sequence[int]) -> None:
        """Books rows as answered."""
        keys = {(pool, row) for row in rows}
        self._inside -= keys
        self._suspects -= keys


def start_suspects() -> Any:  # Ray's handle of an actor has no type
    """The books, in an actor of their own."""
    return ray.remote(num_cpus=0, max_restarts=-1)(Suspects).remote()
