"""BM25 compared with rank-bm25 and bm25s: building, querying, memory.

    python tests/benchmarks/retrieval.py [--sizes 1000 15000] [--queries 1000] [--k 8]

Texts are generated: words follow Zipf's law, so that common ones occur in a third of the texts, as in English. Each
measurement runs in a process of its own with one thread, and counts CPU time. `memory` is what the process has to
itself after opening the index and querying it; `files` is what is mapped and shared with other processes of the node.
`same` is the share of rank-bm25's best k that the system finds too.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

VOCABULARY = 100_000
MEAN_WORDS = 22
BLOCK = 64


@dataclass(frozen=True)
class Result:
    """One line of the table: CPU time in seconds, memory in bytes."""

    system: str
    size: int
    build: float
    query: float
    memory: int
    files: int
    found: list[list[int]]


def texts(count: int, seed: int) -> list[str]:
    """Generated texts; the same seed gives the same texts."""
    random = np.random.default_rng(seed)
    weights = 1.0 / (np.arange(VOCABULARY) + 2.7)
    lengths = np.maximum(3, random.lognormal(np.log(MEAN_WORDS) - 0.15, 0.55, count)).astype(int)
    words = random.choice(VOCABULARY, size=int(lengths.sum()), p=weights / weights.sum())
    return [" ".join(f"w{word}" for word in part) for part in np.split(words, np.cumsum(lengths)[:-1])]


def measure_ours(size: int, queries: Sequence[str], k: int, folder: str) -> Result:
    """Uses two processes, as a run does: one builds the index, the other only opens it."""
    build = _in_process(_build_ours, size, folder)
    query, memory, found = _in_process(_query_ours, queries, k, folder, build[1])
    files = sum(path.stat().st_size for path in Path(folder).iterdir())
    return Result("ner_ray", size, build[0], query, memory, files, found)


def measure_rank_bm25(size: int, queries: Sequence[str], k: int) -> Result:
    """Measures the library that defines the scores."""
    return _in_process(_rank_bm25, size, queries, k)


def measure_bm25s(size: int, queries: Sequence[str], k: int) -> Result:
    """Measures the fastest Python library, which bounds idf from below in its own way."""
    return _in_process(_bm25s, size, queries, k)


def _build_ours(size: int, folder: str) -> tuple[float, dict[str, Any]]:
    from ner_ray.retrieval.retrievers import bm25

    pool = texts(size, seed=1)
    start = time.process_time()
    identity = bm25.build(pool, bm25.BuildOptions(tokenizer="words"), Path(folder))
    return time.process_time() - start, identity


def _query_ours(
    queries: Sequence[str], k: int, folder: str, identity: dict[str, Any]
) -> tuple[float, int, list[list[int]]]:
    import scipy.sparse  # noqa: F401 - imported now, so as not to count as memory of the index

    from ner_ray.retrieval.retrievers import bm25

    before = _private_memory()
    index = bm25.load(Path(folder), identity, bm25.SearchOptions(), {})
    index.neighbours(queries[:BLOCK], k)
    start = time.process_time()
    found = [
        neighbours.positions.tolist()
        for first in range(0, len(queries), BLOCK)
        for neighbours in index.neighbours(queries[first : first + BLOCK], k)
    ]
    return (time.process_time() - start) / len(queries), _private_memory() - before, found


def _rank_bm25(size: int, queries: Sequence[str], k: int) -> Result:
    from rank_bm25 import BM25Okapi

    pool = texts(size, seed=1)
    before = _private_memory()
    start = time.process_time()
    index = BM25Okapi([text.split() for text in pool])
    build = time.process_time() - start
    start = time.process_time()
    found = [np.argsort(-index.get_scores(query.split()), kind="stable")[:k].tolist() for query in queries]
    query = (time.process_time() - start) / len(queries)
    return Result("rank-bm25", size, build, query, _private_memory() - before, 0, found)


def _bm25s(size: int, queries: Sequence[str], k: int) -> Result:
    import bm25s

    pool = texts(size, seed=1)
    before = _private_memory()
    start = time.process_time()
    index = bm25s.BM25(k1=1.5, b=0.75, method="atire")
    index.index([text.split() for text in pool], show_progress=False)
    build = time.process_time() - start
    options = {"k": k, "show_progress": False, "n_threads": 1}
    index.retrieve([query.split() for query in queries[:BLOCK]], **options)
    start = time.process_time()
    found = index.retrieve([query.split() for query in queries], **options).documents.tolist()
    query = (time.process_time() - start) / len(queries)
    return Result("bm25s", size, build, query, _private_memory() - before, 0, found)


def _private_memory() -> int:
    """The memory of this process alone, in bytes."""
    lines = Path("/proc/self/smaps_rollup").read_text(encoding="ascii").splitlines()
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Private_"))


def _in_process(function: Callable[..., Any], *arguments: Any) -> Any:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        result = pool.apply(function, arguments)
        pool.close()
        pool.join()
    return result


def _same(found: Sequence[Sequence[int]], wanted: Sequence[Sequence[int]]) -> float:
    pairs = list(zip(found, wanted, strict=False))
    return sum(len(set(a) & set(b)) / len(b) for a, b in pairs) / len(pairs)


def _row(result: Result, oracle: Result) -> str:
    faster = oracle.query / result.query
    return (
        f"{result.size:>8,} {result.system:>10} {result.build:>8.2f} s {1e3 * result.query:>10.3f} ms "
        f"{1 / result.query:>9,.0f}/s {faster:>8.1f}x {result.memory / 2**20:>8.0f} MiB "
        f"{result.files / 2**20:>7.0f} MiB {100 * _same(result.found, oracle.found):>6.1f} %"
    )


def main() -> None:
    """Prints the table line by line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 15_000, 50_000, 200_000])
    parser.add_argument("--queries", type=int, default=2000, help="rank-bm25 gets fewer, as it takes seconds")
    parser.add_argument("--k", type=int, default=8)
    arguments = parser.parse_args()
    os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
    queries = texts(arguments.queries, seed=2)
    print(f"{'size':>8} {'system':>10} {'build':>10} {'a text':>13} {'texts':>11} {'ratio':>9} ", end="")
    print(f"{'memory':>12} {'files':>11} {'same':>8}", flush=True)
    for size in arguments.sizes:
        sample = queries[: max(3, min(200, 300_000 // size))]
        oracle = measure_rank_bm25(size, sample, arguments.k)
        print(_row(oracle, oracle), flush=True)
        print(_row(measure_bm25s(size, queries, arguments.k), oracle), flush=True)
        with tempfile.TemporaryDirectory() as folder:
            print(_row(measure_ours(size, queries, arguments.k, folder), oracle), flush=True)


if __name__ == "__main__":
    main()
