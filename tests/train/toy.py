"""A toy task: sentences of a few words in which persons and places can be told apart by their endings.

`python -m tests.train.toy` writes the files in `ner_ray/toy` again, which ship with the package.
"""

from __future__ import annotations

import itertools
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ner_ray.data import training
from ner_ray.train import PrepareConfig, prepare
from ner_ray.train.mixture.sentences import parse_grammar, sentences

SHIPPED = Path(__file__).parents[2] / "ner_ray" / "toy"
SHIPPED_ROWS = 2500

_GRAMMAR = parse_grammar("""
= start
Ka Lo Mi Te Bo Du Ne Pa Ri Su
= who
n s rin mo
= where
lek dor burg via
: person
[person {start}{who}]
[person {start}{who} {start}{who}]
: place
[location {start}{where}]
[location Port {start}{where}]
: sentence
{person} lives in {place} .
{person} met {person} in {place} .
We saw {person} .
They left {place} in the morning .
{person} and {person} slept .
The road to {place} is long .
Nobody came .
""")


def write_toy(path: Path, rows: int, seed: int) -> Path:
    """Annotated Parquet with this many distinct sentences."""
    seen = {}
    for sentence in sentences(_GRAMMAR, seed):
        seen[sentence.text] = sentence.entities
        if len(seen) == rows:
            break
    table = [
        {
            "text": text,
            "labels": ["person", "location"],
            "entities": [{"start": entity.start, "end": entity.end, "label": entity.label} for entity in entities],
        }
        for text, entities in seen.items()
    ]
    pq.write_table(pa.Table.from_pylist(table), path)
    return path


def write_toy_files(folder: Path, rows: int = 2500) -> tuple[Path, Path]:
    """A training file for both of cascade's roles, and gold sentences that are not in it."""
    train = write_toy(folder / "train.parquet", rows, seed=1)
    known = set(pq.read_table(train)["text"].to_pylist())
    unseen = (row for row in pq.read_table(write_toy(folder / "all.parquet", 400, seed=2)).to_pylist())
    gold = list(itertools.islice((row for row in unseen if row["text"] not in known), 60))
    pq.write_table(pa.Table.from_pylist(gold), folder / "dev.parquet")
    prepare(PrepareConfig(input=str(train), family={"name": "cascade"}, output=str(folder / "train.jsonl"), seed=3))
    return folder / "train.jsonl", folder / "dev.parquet"


def write_shipped(folder: Path) -> None:
    """The training rows and the gold of the recipe `train/starter-smoke`, as small Parquet files."""
    with tempfile.TemporaryDirectory() as scratch:
        train, dev = write_toy_files(Path(scratch), SHIPPED_ROWS)
        pq.write_table(training.to_table(training.read_rows([train])), folder / "train.parquet", compression="zstd")
        pq.write_table(pq.read_table(dev), folder / "dev.parquet", compression="zstd")


if __name__ == "__main__":
    write_shipped(SHIPPED)
