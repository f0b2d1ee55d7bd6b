"""Peak memory of the driver and of the object store for 2,000 and for 20,000 documents, in whole jobs.

Streaming means that ten times as many documents need no more memory, once a corpus is larger than what is in flight
(about 10 MiB, whatever the sizes of documents). Pages of a given length are made of the `text` column of Parquet files,
or generated. Only the beginning of a page is annotated, by a model with random weights whose answers are kept short;
the whole page is carried along, so that many bytes flow without costing the model time.

    python tests/benchmarks/memory.py --texts corpus.parquet
"""

from __future__ import annotations

import argparse
import random
import re
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import ray
from ray._private.internal_api import memory_summary  # no public function tells it without delay

from ner_ray import open_run
from ner_ray.config import AnnotateConfig
from ner_ray.pipeline.annotate import annotate
from ner_ray.pipeline.cluster import connect

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from tiny_models import save_tiny_model  # the parent folder is not a package when this runs as a script

ROWS_PER_SHARD = 1000
ROWS_PER_FILE = 250  # a file is in memory while it is written; so the smaller corpus, too, makes several


class Watch:
    """A context manager that samples memory five times a second."""

    def __enter__(self) -> Watch:
        self.driver = self.store = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        process = psutil.Process()
        while not self._stop.wait(0.2):
            self.driver = max(self.driver, process.memory_info().rss / 2**20)
            self.store = max(self.store, store_mib())


def store_mib() -> float:
    summary = memory_summary(address=ray.get_runtime_context().gcs_address, stats_only=True)
    used = re.search(r"Plasma memory usage (\d+) MiB", summary)
    return float(used.group(1)) if used else 0.0


def texts_of(paths: list[str], characters: int) -> Iterator[str]:
    while True:
        for path in paths:
            for batch in pq.ParquetFile(path).iter_batches(batch_size=256, columns=["text"]):
                for text in batch["text"].to_pylist():
                    for start in range(0, len(text), characters):
                        yield text[start : start + characters]


def generated(characters: int) -> Iterator[str]:
    rng = random.Random(0)
    while True:
        yield " ".join(rng.choices(["Ada", "went", "to", "Rome", "and", "Kyoto", "with", "Bo."], k=characters // 5))


def write_corpus(folder: Path, documents: int, pages: Iterator[str], annotated: int) -> None:
    folder.mkdir()
    for shard in range(0, documents, ROWS_PER_SHARD):
        rows = [next(pages) for _ in range(min(ROWS_PER_SHARD, documents - shard))]
        table = pa.table({"text": [page[:annotated] for page in rows], "page": rows})
        pq.write_table(table, folder / f"{shard:09}.parquet")


def run(folder: Path, corpus: Path, documents: int, model: Path) -> tuple[float, float, float]:
    config = AnnotateConfig.model_validate(
        {
            "input": {"path": str(corpus), "keep": ["page"]},
            "labels": ["person", "place"],
            "family": "cascade",
            "engine": {"model": str(model), "max_model_len": 1024, "sampling": {"max_tokens": 4, "logprobs": False}},
            "chunk": {"tokens": 400},
            "output": {"path": str(folder / f"run{documents}"), "min_rows_per_file": ROWS_PER_FILE},
            "max_error_rate": 1.0,
        }
    )
    began = time.monotonic()
    with Watch() as watch:
        summary = annotate(config)
    rows = open_run(summary.run).count_rows()
    seconds = time.monotonic() - began
    print(
        f"{documents:7} documents: rows out {rows}, driver {watch.driver:.0f} MiB, object store {watch.store:.0f} MiB, "
        f"{seconds:.0f} s"
    )
    if rows != documents:
        sys.exit("rows are missing")
    return watch.driver, watch.store, seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", nargs="*", default=[], help="Parquet files with a column `text`; default: generated")
    parser.add_argument("--page", type=int, default=16000, help="characters per page")
    parser.add_argument("--annotated", type=int, default=400, help="characters of a page that are annotated")
    parser.add_argument("--documents", type=int, nargs=2, default=[2000, 20000])
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = save_tiny_model(folder / "model")
        pages = texts_of(arguments.texts, arguments.page) if arguments.texts else generated(arguments.page)
        for documents in arguments.documents:
            write_corpus(folder / f"in{documents}", documents, pages, arguments.annotated)
        connect()
        small, large = (run(folder, folder / f"in{count}", count, model) for count in arguments.documents)
        print(f"driver {large[0] / small[0]:.2f} times, object store {large[1] / small[1]:.2f} times")


if __name__ == "__main__":
    main()
