"""Stages run ahead of the next one by a bounded number of blocks, however large the dataset is."""

from __future__ import annotations

import time
from pathlib import Path

import pyarrow as pa
import pytest
import ray
from ray.data import ActorPoolStrategy, DataContext

from ner_ray.pipeline.run_ahead import limit_run_ahead

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("cluster")]

BLOCKS = 40
LIMIT = 4


@ray.remote(num_cpus=0)
class Ledger:
    """Counts the blocks that have been produced and not yet consumed."""

    def __init__(self) -> None:
        self.open = self.most = self.made = 0

    def add(self, count: int) -> None:
        self.open += count
        self.made += count > 0
        self.most = max(self.most, self.open)

    def counts(self) -> tuple[int, int]:
        return self.made, self.most


class Slow:
    """A stage that takes as long to start as blocks are produced for it, and then is slow for each."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        made = before = 0
        while not made or made != before:
            before = made
            time.sleep(3)
            made = ray.get(ledger.counts.remote())[0]

    def __call__(self, rows: pa.Table) -> pa.Table:
        ray.get(self.ledger.add.remote(-1))
        time.sleep(0.02)
        return rows


def most_open(folder: Path) -> int:
    """The maximum number of waiting blocks, for a dataset that is produced quickly and consumed slowly."""
    ledger = Ledger.remote()

    def make(rows: pa.Table) -> pa.Table:
        ray.get(ledger.add.remote(1))
        return rows

    rows = ray.data.range(10 * BLOCKS, override_num_blocks=BLOCKS)
    rows = rows.map_batches(
        make, batch_format="pyarrow", batch_size=None, memory=2**20
    )  # keeps Ray from fusing the stages
    rows = rows.map_batches(
        Slow, fn_constructor_args=[ledger], batch_format="pyarrow", batch_size=None, compute=ActorPoolStrategy(size=1)
    )
    rows.map_batches(lambda rows: rows, batch_format="pyarrow", batch_size=None).write_parquet(str(folder))
    made, most = ray.get(ledger.counts.remote())
    assert made == BLOCKS
    return most


def test_what_waits_is_bounded_while_a_stage_loads_and_while_it_works(tmp_path: Path) -> None:
    context = DataContext.get_current().copy()
    context.enable_progress_bars = False
    with DataContext.current(context):
        limit_run_ahead(context, 10 * BLOCKS)
        free = most_open(tmp_path / "free")
        limit_run_ahead(context, LIMIT)
        limited = most_open(tmp_path / "limited")

    assert free == BLOCKS
    assert limited <= 3 * LIMIT, "what waits, and what the stage has already taken and tasks were making"
