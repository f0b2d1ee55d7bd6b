"""Commits waves as their last rows are written, beside the execution that goes on with the next ones."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

from ner_ray.store.lease import Lease
from ner_ray.store.run import RunDirectory
from ner_ray.store.wave_files import Layout
from ner_ray.store.waves import Wave

_LOG = logging.getLogger(__name__)

Totals = Callable[[], Mapping[str, float]]
"""Returns what has been counted since the driver began."""


class Commits:
    """Counts written rows, and commits each wave once all of its rows are there; a context manager.

    A thread of its own commits, one wave after the other. Leaving the context waits for it, also after an error, since
    waves that are complete are worth keeping. The counts of a manifest are those between two commits: while a wave is
    being committed, rows of the next ones are already being annotated.

    Args:
        run: the run directory.
        lease: checked before each commit.
        waves: those to commit, as planned.
        left: the same waves with only those rows that are not yet written.
        layout: of the committed files.
    """

    def __init__(
        self, run: RunDirectory, lease: Lease, waves: Sequence[Wave], left: Sequence[Wave], layout: Layout
    ) -> None:
        self._run = run
        self._lease = lease
        self._layout = layout
        self._open = {wave.number: wave for wave in waves}
        self._left = {wave.number: wave.rows for wave in left}
        self._before: Mapping[str, float] = {}
        self._began = time.monotonic()
        self._thread = ThreadPoolExecutor(1, "commits")
        self._commits: deque[Future[None]] = deque()

    def __enter__(self) -> Commits:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.shutdown(wait=True, cancel_futures=kind is not None and not issubclass(kind, Exception))

    @property
    def open(self) -> Mapping[int, Wave]:
        """The waves that are not complete, by number."""
        return self._open

    def begin(self) -> None:
        """Commits the waves that an earlier driver has completed."""
        for number in [number for number, rows in self._left.items() if not rows]:
            self._commit(self._open.pop(number), {})

    def written(self, number: int, rows: int, totals: Totals) -> None:
        """Takes note of rows that have been written to a wave.

        Raises:
            NerRayError: a commit has failed meanwhile.
        """
        self._left[number] -= rows
        if not self._left[number]:
            self._commit(self._open.pop(number), totals())
        while self._commits and self._commits[0].done():  # in the order in which they were begun
            self._commits.popleft().result()

    def finish(self) -> None:
        """Waits for all commits.

        Raises:
            NerRayError: one has failed.
        """
        while self._commits:
            self._commits.popleft().result()

    def _commit(self, wave: Wave, totals: Mapping[str, float]) -> None:
        now = time.monotonic()
        counts = {name: value - self._before.get(name, 0) for name, value in totals.items()}
        counts["seconds"] = round(now - self._began, 3)
        self._before, self._began = totals, now
        self._commits.append(self._thread.submit(self._make_visible, wave, counts))

    def _make_visible(self, wave: Wave, counts: Mapping[str, float]) -> None:
        self._lease.check()
        self._run.commit(wave, counts, self._layout, self._lease.check)
        _LOG.info("wave.committed wave=%d rows=%d", wave.number, wave.rows)
