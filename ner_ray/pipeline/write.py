"""The last stage: writes rows to files of their waves."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from ner_ray.schema import ROW_ID
from ner_ray.store.run import RunDirectory
from ner_ray.store.waves import WaveNumbers

WAVE, ROWS = "wave", "rows"  # the columns of what it hands on


class WriteStage:
    """Writes each batch of rows to a file, or to one for each of its waves, and hands on what it has written.

    A task that Ray runs again writes its rows again: the commit of a wave removes duplicates.

    Args:
        run: the run directory.
        numbers: of the waves of all rows.
        group_rows: rows per row group.
    """

    def __init__(self, run: RunDirectory, numbers: WaveNumbers, group_rows: int) -> None:
        self._run = run
        self._numbers = numbers
        self._group_rows = group_rows

    def __call__(self, table: pa.Table) -> pa.Table:
        """For each file, the number of its wave and the number of its rows."""
        numbers = self._numbers.of(table[ROW_ID].to_numpy())
        waves, rows = np.unique(numbers, return_counts=True)
        for wave in waves:
            own = table if len(waves) == 1 else table.filter(pa.array(numbers == wave))
            self._run.write(int(wave), own, self._group_rows)
        return pa.table({WAVE: pa.array(waves, pa.int64()), ROWS: pa.array(rows, pa.int64())})
