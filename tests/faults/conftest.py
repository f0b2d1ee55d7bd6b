"""A cluster that outlives its drivers, and a corpus whose answers are at hand: kills cost seconds, not models."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ner_ray import schema

PLACES = ("Graz", "Kiel", "Oslo")


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Of a cluster of one machine, in processes that no test kills."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 4, "include_dashboard": False})
    yield cluster.address
    cluster.shutdown()


def write_corpus(folder: Path, shards: int = 8, rows: int = 60) -> None:
    """Texts with a tagger's answers, as a run with `output.completions` leaves them."""
    folder.mkdir(parents=True, exist_ok=True)
    for shard in range(shards):
        write_shard(folder / f"{shard:03}.parquet", shard, rows)


def write_shard(path: Path, shard: int, rows: int) -> None:
    places = [PLACES[(shard + row) % 3] for row in range(rows)]
    texts = [f"Ada {shard} met Bo {row} in {place} ." for row, place in enumerate(places)]
    answers = [
        f"Ada(B-person) {shard}(O) met(O) Bo(B-person) {row}(O) in(O) {place}(B-place) .(O)"
        for row, place in enumerate(places)
    ]
    table = {
        "text": texts,
        "chunks": pa.array([[_chunk(text)] for text in texts], pa.list_(schema.CHUNK)),
        "exchanges": pa.array([[_exchange(answer)] for answer in answers], pa.list_(schema.EXCHANGE)),
    }
    pq.write_table(pa.table(table), path)


def _chunk(text: str) -> dict:
    return {"start": 0, "end": len(text), "core_start": 0, "core_end": len(text)}


def _exchange(answer: str) -> dict:
    completion = {"text": answer, "finish_reason": "stop", "token_ends": [], "logprobs": [], "output_tokens": 9}
    completion |= {"prompt_tokens": 5, "cached_tokens": 0}
    return {"chunk": 0, "role": "tagger", "subject": "", "prompt": None, "completions": [completion]}


def words(corpus: Path | str, run: Path | str, *more: str) -> list[str]:
    """The command's arguments."""
    return [
        "annotate",
        str(Path(__file__).parent / "replay.yaml"),
        f"input.path={corpus}",
        f"output.path={run}",
        *more,
    ]


def drive(arguments: list[str], address: str, *, script: Path | None = None) -> subprocess.Popen[str]:
    """A driver in a process group of its own."""
    begin = [str(script)] if script else ["-m", "ner_ray.cli"]
    return subprocess.Popen(
        [sys.executable, *begin, *arguments],
        env=os.environ | {"RAY_ADDRESS": address},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finish(arguments: list[str], address: str) -> None:
    """Runs a driver to its end."""
    process = drive(arguments, address)
    _, said = process.communicate(timeout=300)
    assert process.returncode == 0, said


def rows_of(run: Path | str) -> list[dict]:
    """All of a run's rows, by document; they are the same in every run over the same corpus."""
    from ner_ray import open_run

    return sorted(open_run(str(run)).to_table().to_pylist(), key=lambda row: row["row_id"])
