"""What resuming and committing a large wave cost before anything is rewritten: CPU seconds and memory of `tidy`.

    python tests/benchmarks/tidy.py [--rows 4000000] [--files 400]

The rows of the files are those of a hundred shards, once as the job writes them, in blocks of consecutive rows, and
once in any order, which is the worst case. Sorting as many numbers is timed beside it, to compare machines.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from ner_ray.schema import ROW_ID
from ner_ray.store.shards import Shard
from ner_ray.store.wave_files import tidy
from ner_ray.store.waves import Ids, NumberedShard, Wave

SHARDS, BLOCK = 100, 500


def wave_of(rows: int) -> Wave:
    return Wave(0, tuple(NumberedShard(ordinal, Shard("", 0, 0, rows // SHARDS)) for ordinal in range(SHARDS)))


def write(folder: str, ids: Ids, files: int) -> None:
    for number, part in enumerate(np.array_split(ids, files)):
        pq.write_table(pa.table({ROW_ID: part}), f"{folder}/{number:06}.parquet")


def seconds_of_sorting(rows: int) -> float:
    ids = np.random.default_rng(0).permutation(rows)
    began = time.process_time()
    np.argsort(ids, kind="stable")
    return time.process_time() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=4_000_000)
    parser.add_argument("--files", type=int, default=400)
    arguments = parser.parse_args()
    rng, wave = np.random.default_rng(1), wave_of(arguments.rows)
    blocks = np.array_split(wave.row_ids(), arguments.rows // BLOCK)
    rng.shuffle(blocks)
    layouts = {"blocks of consecutive rows": np.concatenate(blocks), "any order": rng.permutation(wave.row_ids())}
    for name, ids in layouts.items():
        with tempfile.TemporaryDirectory() as folder:
            write(folder, ids, arguments.files)
            began = time.process_time()
            kept = tidy(fs.LocalFileSystem(), folder, wave.holds)
            spent = time.process_time() - began
        assert sum(len(file.rows) for file in kept) == len(ids)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        print(
            f"{name:>28}: {spent:6.2f} s of CPU, peak {peak:,} MiB with the {len(ids) * 8 >> 20:,} MiB of ids made here"
        )
    print(f"{'sorting as many':>28}: {seconds_of_sorting(arguments.rows):6.2f} s of CPU")


if __name__ == "__main__":
    main()
