"""The record from which it is proven which documents kill engines, and that an engine answers at all.

Ray restarts a dead engine's actor and gives it the same rows. If one of them had killed the engine, this would never
end. So an actor outside the engines records which rows are inside: a row that enters while it is still recorded as
inside was there when an engine died. Such rows are suspects. They are tried in the new engine a few at a time, and
after another death the suspects of that trial one at a time; nothing else is in the engine meanwhile.

Before each trial, the engine must answer a control question. A document that was tried alone when an engine died is
convicted once the next engine has answered one, too: its row fails with the code `poison`, and the run goes on. So a
document costs at most three engines, however many documents were in the first one, and an engine that cannot answer
anything convicts nobody: the run stops.

Many convictions in succession stop the run as well, as they are no coincidence. Documents that are retried because an
earlier run has convicted them do not count for that: they are tried alone from the start.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from ner_ray.pipeline.books import NO_BOOK, start_book

TRIED_TOGETHER = 16
_DEATHS_WHILE_PROVING = 2  # in succession, of the engines of a pool
_CONVICTIONS = 20  # in succession: more are no coincidence, whatever control questions say

Key = tuple[int, int]  # of a pool and of a row


class Entry(NamedTuple):
    """What to do with rows that enter an engine.

    Attributes:
        trials: row ids to try, one trial after the other.
        accused: row ids that were tried alone when an engine died; convicted once this engine answers something.
        stop: why the run must stop; empty if it need not.
    """

    trials: list[list[int]]
    accused: list[int]
    stop: str = ""


class Suspects:
    """The record of suspects, kept by one actor for all engines of a run.

    Args:
        convicts: row ids of documents that were convicted when they were last annotated.
    """

    def __init__(self, convicts: Iterable[int] = ()) -> None:
        self._convicts = frozenset(convicts)
        self._inside: set[Key] = set()
        self._suspects: set[Key] = set()
        self._closely: set[Key] = set()  # suspects of a trial in which an engine died
        self._on_trial: dict[Key, int] = {}  # and the number of suspects in its trial, itself included
        self._accused: set[Key] = set()
        self._proving: set[Key] = set()  # suspects of a trial that begins with a control question
        self._deaths_while_proving = Counter[int]()  # by pool, since an engine of it last answered
        self._convictions = Counter[int]()  # by pool, since a document was last answered
        self._last_words: dict[int, str] = {}  # of an engine, by pool
        self._stop = ""

    def enter(self, pool: int, rows: Sequence[int]) -> Entry:
        """Records rows as inside the engines of a pool; says which of them to try."""
        keys = {(pool, row) for row in rows}
        if keys & self._proving:
            self._proving -= keys
            self._deaths_while_proving[pool] += 1
        for key in keys & self._inside:
            self._suspects.add(key)
            if tried_with := self._on_trial.pop(key, 0):
                (self._accused if tried_with == 1 else self._closely).add(key)
        known = {(pool, row) for row in self._convicts.intersection(rows)}
        self._suspects |= known
        self._closely |= known
        self._inside |= keys
        if self._deaths_while_proving[pool] >= _DEATHS_WHILE_PROVING:
            self.stop(pool, f"each engine dies before it has answered anything{self._quoted(pool)}")
        suspects = sorted(row for _, row in keys & self._suspects - self._accused)
        closely = [row for row in suspects if (pool, row) in self._closely]
        others = [row for row in suspects if (pool, row) not in self._closely]
        trials = [[row] for row in closely] + groups(others)
        return Entry(trials, sorted(row for _, row in keys & self._accused), self._stop)

    def proving(self, pool: int, rows: Sequence[int]) -> None:
        """Records that an engine is asked a control question, on behalf of these rows."""
        self._proving |= {(pool, row) for row in rows}

    def proven(self, pool: int) -> None:
        """Records that an engine of the pool has answered."""
        self._proving = {key for key in self._proving if key[0] != pool}
        self._deaths_while_proving[pool] = 0

    def tried(self, pool: int, rows: Sequence[int]) -> None:
        """Records that a trial begins; nothing else is inside the same engine."""
        self._on_trial |= {(pool, row): len(rows) for row in rows}

    def cleared(self, pool: int, rows: Sequence[int]) -> None:
        """Records that none of these rows has killed the engine: they are no longer suspects."""
        keys = {(pool, row) for row in rows}
        for key in keys:
            self._on_trial.pop(key, None)
        self._suspects -= keys
        self._closely -= keys

    def convicted(self, pool: int, row: int) -> str:
        """Records that a document is convicted; why the run must stop, or empty."""
        self._convictions[pool] += row not in self._convicts
        if self._convictions[pool] >= _CONVICTIONS:
            self.stop(pool, f"{_CONVICTIONS} documents in succession are not answered{self._quoted(pool)}")
        return self._stop

    def leave(self, pool: int, rows: Sequence[int], answered: int = 1) -> None:
        """Records that these rows have left the engine, and how many of them were answered."""
        self._inside -= {(pool, row) for row in rows}
        self._accused -= {(pool, row) for row in rows}
        self.cleared(pool, rows)
        if answered:
            self._convictions[pool] = 0

    def died(self, pool: int, reason: str) -> None:
        """Records an engine's last words."""
        self._last_words[pool] = reason

    def stop(self, pool: int, reason: str) -> None:  # noqa: ARG002  # the run is stopped, whatever the pool
        """Records why the run must stop; the first reason counts."""
        self._stop = self._stop or reason

    def reason(self) -> str:
        """Why the run must stop; empty if it need not."""
        return self._stop

    def _quoted(self, pool: int) -> str:
        words = self._last_words.get(pool)
        return f"; the last one: {words}" if words else ""


class Record:
    """The connection of a pool's engines to the record; without an actor, nothing is recorded.

    Args:
        suspects: handle of the `Suspects` actor, or None.
        pool: its number.
    """

    def __init__(self, suspects: Any, pool: int) -> None:  # Ray's handle of the actor has no type
        self._suspects = suspects
        self._pool = pool

    async def note(self, method: str, *arguments: Any) -> Any:
        """Calls a method of `Suspects` for this pool; its result, or None if the record cannot be asked.

        Without the record, a run goes on: it may only take longer to find out which document kills engines.
        """
        try:
            return self._suspects and await self._remote(method, *arguments)
        except NO_BOOK:
            return None

    def send(self, method: str, *arguments: Any) -> None:
        """Calls a method of `Suspects` for this pool, without waiting."""
        if self._suspects:
            self._remote(method, *arguments)

    def _remote(self, method: str, *arguments: Any) -> Any:
        return getattr(self._suspects, method).remote(self._pool, *arguments)


def groups(rows: Sequence[int]) -> list[list[int]]:
    """Trials of suspects: many a few at a time, few one at a time."""
    size = TRIED_TOGETHER if len(rows) > TRIED_TOGETHER else 1
    return [list(rows[start : start + size]) for start in range(0, len(rows), size)]


def start_suspects(convicts: Iterable[int] = ()) -> Any:  # Ray's handle of an actor has no type
    """Starts the record of suspects in an actor of its own; see `Suspects`."""
    return start_book(Suspects, list(convicts))
