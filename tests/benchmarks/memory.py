"""Peak memory of the driver and of the object store at 2,000 and at 20,000 documents, through the whole job.

Streaming means that ten times the documents need no more memory. Texts are read from Parquet files with a `text`
column (real ones, if at hand), cut to so many characters, and annotated by a model with random weights whose answers
are kept short.

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
from ray._private.internal_api import memory_summary  # the only place that tells what the object store holds

from ner_ray import open_run
from ner_ray.config import AnnotateConfig
from ner_ray.pipeline.annotate import annotate
from ner_ray.pipeline.cluster import connect

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from tiny_models import save_tiny_model  # the folder above is no package when this is run as a script

ROWS_PER_SHARD = 1000


class Watch:
    """Samples memory twice a second while it is entered."""

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
        while not self._stop.wait(0.5):
            self.driver = max(self.driver, process.memory_info().rss / 2**20)
            self.store = max(self.store, store_mib())


def store_mib() -> float:
    used = re.search(r"Plasma memory usage (\d+) MiB", memory_summary(stats_only=True))
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


def write_corpus(folder: Path, documents: int, texts: Iterator[str]) -> None:
    folder.mkdir()
    for shard in range(0, documents, ROWS_PER_SHARD):
        rows = [next(texts) for _ in range(min(ROWS_PER_SHARD, documents - shard))]
        pq.write_table(pa.table({"text": rows}), folder / f"{shard:09}.parquet")


def run(folder: Path, documents: int, texts: Iterator[str], model: Path) -> tuple[float, float, float]:
    corpus = folder / f"in{documents}"
    write_corpus(corpus, documents, texts)
    config = AnnotateConfig.model_validate(
        {
            "input": {"path": str(corpus)},
            "labels": ["person", "place"],
            "family": "cascade",
            "engine": {"model": str(model), "max_model_len": 1024, "sampling": {"max_tokens": 4, "logprobs": False}},
            "chunk": {"tokens": 400},
            "output": {"path": str(folder / f"run{documents}"), "min_rows_per_file": 1000},
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
    parser.add_argument("--characters", type=int, default=400, help="texts are cut into documents of so many")
    parser.add_argument("--documents", type=int, nargs=2, default=[2000, 20000])
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = save_tiny_model(folder / "model")
        texts = texts_of(arguments.texts, arguments.characters) if arguments.texts else generated(arguments.characters)
        connect()
        small, large = (run(folder, documents, texts, model) for documents in arguments.documents)
        print(f"driver {large[0] / small[0]:.2f} times, object store {large[1] / max(small[1], 1):.2f} times")


if __name__ == "__main__":
    main()
