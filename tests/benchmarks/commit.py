"""The cost of safety: resuming, committing and verifying a wave, and planning with many committed shards.

Rows are generated, with entities as a tagger finds them; no engine runs. Each step is timed at 10^3 to 10^6 rows and at
10 to 1,000 committed shards. The last column is the growth of time divided by the growth of work: 1 is linear.

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
from ner_ray.store.run import RunDirectory
from ner_ray.store.shards import Shard, list_shards
from ner_ray.store.wave_files import Layout
from ner_ray.store.waves import Wave
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
        part = ids[number : number + ROWS_PER_FILE]
        columns = {"row_id": part, "doc_id": [f"shard:{row_id}" for row_id in part]}
        columns |= {field.name: pa.array([row[field.name]] * len(part), field.type) for field in schema.OUTPUT}
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
    """Times what a nightly run does before it starts an engine; each shard is a committed wave of its own."""
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
                known = [numbered.shard for wave in run.waves() for numbered in wave.shards]
                assert run.plan_waves(list_shards(str(corpus), known), 1) == []

            times["list, plan"].append(timed(plan))
            times["status"].append(timed(lambda run=run: status(run.path)))
    return times


def show(unit: str, sizes: list[int], times: dict[str, list[float]]) -> None:
    print(f"{unit:>12} " + " ".join(f"{size:>10,}" for size in sizes) + "     growth")
    for name, seconds in times.items():
        growth = (seconds[-1] / seconds[0]) / (sizes[-1] / sizes[0])
        print(f"{name:>12} " + " ".join(f"{elapsed:9.3f}s" for elapsed in seconds) + f"     {growth:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--max-rows", type=int, default=10**6, help="of the largest wave (default: 10^6)")
    parser.add_argument("--max-shards", type=int, default=1000, help="of the largest run (default: 1000)")
    arguments = parser.parse_args()
    rows = [int(size) for size in np.geomspace(1000, arguments.max_rows, 4)]
    shards = [int(size) for size in np.geomspace(10, arguments.max_shards, 3)]
    show("rows", rows, by_rows(rows))
    show("shards", shards, by_shards(shards))


if __name__ == "__main__":
    main()
