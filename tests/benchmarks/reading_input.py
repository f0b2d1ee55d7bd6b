"""What reading the input costs: bytes read per byte of the file, and CPU seconds, by wanted tasks and row groups.

    python tests/benchmarks/reading_input.py [--rows 40000]

Texts are random, so that nothing is compressed: a file of 40 MiB with the default of 40,000 rows.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ner_ray.pipeline.progress import Counts
from ner_ray.pipeline.source import ShardSource
from ner_ray.store import documents
from ner_ray.store.documents import Columns
from ner_ray.store.shards import list_shards
from ner_ray.store.waves import NumberedShard
from tests.counting import CountingStore

COLUMNS = Columns(text="text", doc_id=None, labels=None, keep=(), max_characters=10_000)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=40_000)
    rows = parser.parse_args().rows
    store = CountingStore()
    documents.open_store = lambda uri: (store, uri)  # type: ignore[assignment]
    for groups in (1, 1000):
        with tempfile.TemporaryDirectory() as folder:
            table = pa.table({"text": [os.urandom(524).hex() for _ in range(rows)]})
            pq.write_table(table, Path(folder, "a.parquet"), row_group_size=rows // groups)
            shard = NumberedShard(0, list_shards(folder)[0])
            for tasks in (8, 64, 640):
                store.bytes, began = 0, time.process_time()
                source = ShardSource([shard], COLUMNS, pa.schema([]), tasks=tasks, counts=Counts(None))
                read = sum(len(part) for task in source.get_read_tasks(tasks) for part in task())
                spent = time.process_time() - began
                assert read == rows
                print(
                    f"{groups:5} row groups, {tasks:3} tasks wanted, {len(source)} made: "
                    f"{store.bytes / shard.shard.size:.2f} bytes per byte of the file, {spent:.2f} s of CPU"
                )


if __name__ == "__main__":
    main()
