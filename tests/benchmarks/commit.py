"""What safety costs: resuming, committing and verifying a wave, and planning beside many committed shards.

Rows are made up, with a tagger's answers of usual size; no engine runs. Each step is timed at 10^3 to 10^6 rows and
at 10 to 1,000 committed shards; the last column is the growth of the time over the growth of the work (1 is linear).

    python tests/benchmarks/commit.py
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ner_ray import schema
from ner_ray.store.health import status, verify
from ner_ray.store.run import RunDirectory, Wave
from ner_ray.store.shards import Shard, list_shards
from ner_ray.store.wave_files import Layout
from ner_ray.types import Annotation, Entity

ROWS_PER_FILE = 10_000


def timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def write_wave(run: RunDirectory, wave: Wave) -> None:
    folder = Path(run.data_path(wave))
    folder.mkdir(parents=True)
    ids = wave.row_ids()
    entities = tuple(Entity(0, 12, "Ada Lovelace", "person", 0.9) for _ in range(5))
    row = schema.annotation_to_row(Annotation(entities))
    for number in range(0, len(ids), ROWS_PER_FILE):
        mine = ids[number : number + ROWS_PER_FILE]
        columns = {"row_id": mine, "doc_id": [f"shard:{one}" for one in mine]}
        columns |= {field.name: pa.array([row[field.name]] * len(mine), field.type) for field in schema.OUTPUT}
        pq.write_table(pa.table(columns), folder / f"{number:09}.parquet", compression="zstd", write_page_checksum=True)


def by_rows(sizes: list[int]) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {"resume": [], "commit": [], "verify": []}
    for rows in sizes:
        with tempfile.TemporaryDirectory() as name:
            run = RunDirectory(name)
            (wave,) = run.plan_waves([Shard("/corpus/a.parquet", 1, 1, rows)], rows)
            write_wave(run, wave)
            times["resume"].append(timed(lambda run=run, wave=wave: run.resume(wave)))
            times["commit"].append(timed(lambda run=run, wave=wave: run.commit(wave, {}, Layout(1000))))
            times["verify"].append(timed(lambda name=name: verify(name)))
    return times


def by_shards(sizes: list[int]) -> dict[str, list[float]]:
    """Each shard a wave of its own, all committed: what a nightly run does before it starts an engine."""
    times: dict[str, list[float]] = {"list, plan": [], "status": []}
    for count in sizes:
        with tempfile.TemporaryDirectory() as name:
            corpus, run = Path(name, "in"), RunDirectory(f"{name}/run")
            corpus.mkdir()
            for number in range(count):
                pq.write_table(pa.table({"text": ["Ada met Bo."] * 3}), corpus / f"{number:05}.parquet")
            for wave in run.plan_waves(list_shards(str(corpus)), 1):
                write_wave(run, wave)
                run.commit(wave, {})

            def plan(corpus: Path = corpus, run: RunDirectory = run) -> None:
                known = [one.shard for wave in run.waves() for one in wave.shards]
                assert run.plan_waves(list_shards(str(corpus), known), 1) == []

            times["list, plan"].append(timed(plan))
            times["status"].append(timed(lambda run=run: status(run.path)))
    return times


def show(unit: str, sizes: list[int], times: dict[str, list[float]]) -> None:
    print(f"{unit:>12} " + " ".join(f"{size:>10,}" for size in sizes) + "     growth")
    for name, seconds in times.items():
        growth = (seconds[-1] / seconds[0]) / (sizes[-1] / sizes[0])
        print(f"{name:>12} " + " ".join(f"{one:9.3f}s" for one in seconds) + f"     {growth:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--most-rows", type=int, default=10**6)
    parser.add_argument("--most-shards", type=int, default=1000)
    arguments = parser.parse_args()
    rows = [int(size) for size in np.geomspace(1000, arguments.max_rows, 4)]
    shards = [int(size) for size in np.geomspace(10, arguments.most_shards, 3)]
    show("rows", rows, by_rows(rows))
    show("shards", shards, by_shards(shards))


if __name__ == "__main__":
    main()
