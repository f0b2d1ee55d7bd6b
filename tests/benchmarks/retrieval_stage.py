"""Documents per second for which one core retrieves demonstrations: the whole stage, with BM25 and the leakage guard.

Pool and documents are made of a corpus: its clauses are drawn at random and joined to texts of its lengths, so that
words have realistic frequencies and the pool can be of any size.

    python tests/benchmarks/retrieval_stage.py --texts corpus.parquet --tokenizer jieba
"""

from __future__ import annotations

import argparse
import os
import random
import re
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

BATCH = 128  # documents; about a block in the job
CLAUSE = re.compile(r"[^，,。.；;！!？?\n]+[，,。.；;！!？?\n]*\s*")


def corpus(paths: Sequence[str], column: str) -> list[str]:
    rows = [text for path in paths for text in pq.read_table(path, columns=[column])[column].to_pylist()]
    return [text for text in rows if text and text.strip()]


def recombined(source: Sequence[str], count: int, seed: int) -> list[str]:
    """Texts made of clauses of the source, with about the same lengths."""
    rng = random.Random(seed)
    clauses = [clause for text in source for clause in CLAUSE.findall(text) if clause.strip()]
    made = []
    for _ in range(count):
        length, text = min(len(rng.choice(source)), 1000), ""
        while len(text) < length:
            text += rng.choice(clauses)
        made.append(text)
    return made


def write_pool(texts: Sequence[str], path: Path) -> None:
    """Examples whose entity is their first two characters; retrieval does not look at entities."""
    rows = [
        {"text": text, "entities": [{"start": 0, "end": 2, "text": text[:2], "label": "x"}]}
        for text in texts
        if len(text) > 2 and text[:2].strip() == text[:2]
    ]
    pq.write_table(pa.Table.from_pylist(rows), path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", nargs="+", required=True, help="Parquet files")
    parser.add_argument("--column", default="text")
    parser.add_argument("--pool", type=int, default=50_000, help="number of examples in the pool")
    parser.add_argument("--documents", type=int, default=6_000)
    parser.add_argument("--tokenizer", default="hybrid")
    parser.add_argument("--k", type=int, default=8, help="demonstrations per document")
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")

    from ner_ray.config import DemonstrationsConfig, IndexConfig
    from ner_ray.pipeline.index import index
    from ner_ray.retrieval import open_selector, select

    source = corpus(arguments.texts, arguments.column)
    documents = recombined(source, arguments.documents, seed=2)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_pool(recombined(source, arguments.pool, seed=1), folder / "pool.parquet")
        options = {"bm25": {"tokenizer": arguments.tokenizer}}
        index(IndexConfig(pool=(str(folder / "pool.parquet"),), output=str(folder / "index"), retrievers=options))
        selector = open_selector(DemonstrationsConfig(index=str(folder / "index"), k=arguments.k))
        select(selector, documents[:BATCH])
        rates = []
        for _ in range(arguments.repeats):
            began = time.process_time()
            for first in range(0, len(documents), BATCH):
                select(selector, documents[first : first + BATCH])
            rates.append(len(documents) / (time.process_time() - began))
    length = statistics.mean(map(len, documents))
    print(
        f"{arguments.tokenizer}, {arguments.pool:,} examples, documents of {length:.0f} characters: "
        f"{statistics.median(rates):,.0f} documents a second and core "
        f"({', '.join(f'{rate:,.0f}' for rate in sorted(rates))})"
    )


if __name__ == "__main__":
    main()
