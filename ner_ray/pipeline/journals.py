"""The journals of the waves that an engine serves at the same time."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np

from ner_ray.store.journal import Journal
from ner_ray.store.run import RunDirectory
from ner_ray.store.waves import WaveNumbers

_MOST_OPEN = 16  # more waves than an engine has rows of at the same time


class Journals:
    """Opens the journals of waves as their rows arrive. Can be sent to workers, where it begins with none open.

    Args:
        run: the run directory.
        numbers: of the waves of all rows.
    """

    def __init__(self, run: RunDirectory, numbers: WaveNumbers) -> None:
        self._run = run
        self._numbers = numbers
        self._of_waves: dict[int, Journal] = {}
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[type[Journals], tuple[RunDirectory, WaveNumbers]]:
        return Journals, (self._run, self._numbers)

    def open(self, row_ids: Sequence[int]) -> None:
        """Opens the journals of the rows' waves, unless they are open, and forgets those of much earlier waves."""
        with self._lock:
            for wave in np.unique(self._numbers.of(np.array(row_ids, np.int64))).tolist():
                journal = self._of_waves.pop(wave) if wave in self._of_waves else Journal(self._run.journal_uri(wave))
                self._of_waves[wave] = journal
            for wave in list(self._of_waves)[:-_MOST_OPEN]:
                del self._of_waves[wave]

    def of(self, row_id: int) -> Journal:
        """The journal of a row's wave; another one, with all that is recorded, if it was forgotten meanwhile."""
        wave = int(self._numbers.of(np.array([row_id], np.int64))[0])
        if wave not in self._of_waves:
            self.open([row_id])
        return self._of_waves[wave]
