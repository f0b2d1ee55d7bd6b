"""A corpus with recorded answers, as left by a run with `output.completions`, for jobs without a model."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ner_ray import schema

PLACES = ("Graz", "Kiel", "Oslo")


def write_corpus(folder: Path, shards: int = 8, rows: int = 60) -> None:
    """Writes texts with a tagger's answers, as a run with `output.completions` leaves them."""
    folder.mkdir(parents=True, exist_ok=True)
    for shard in range(shards):
        write_shard(folder / f"{shard:03}.parquet", shard, rows)


def entities_of(shard: int, row: int) -> list[tuple[str, str]]:
    """The entities of a row, in order: surfaces and labels."""
    return [("Ada", "person"), ("Bo", "person"), (PLACES[(shard + row) % 3], "place")]


def write_shard(path: Path, shard: int, rows: int) -> None:
    places = [entities_of(shard, row)[-1][0] for row in range(rows)]
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
