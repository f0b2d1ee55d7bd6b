"""Builds the sample corpus: one Parquet file from each source file."""

from __future__ import annotations

import argparse
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

FOLDER = Path(__file__).parent
SOURCES = FOLDER / "sources"
SCHEMA = pa.schema([(name, pa.string()) for name in ("id", "title", "lang", "genre", "text")])


def build(folder: Path = FOLDER) -> list[Path]:
    """Writes `NAME.parquet` into `folder` for each `sources/NAME.yaml`; returns the files, sorted by name."""
    return [_write(read(source), folder / f"{source.stem}.parquet") for source in sorted(SOURCES.glob("*.yaml"))]


def read(source: Path) -> pa.Table:
    """The documents of one source file, in its order.

    Raises:
        ValueError: a document lacks a column or has an unknown one.
    """
    documents = yaml.safe_load(source.read_text(encoding="utf-8"))
    for document in documents:
        if sorted(document) != sorted(SCHEMA.names):
            raise ValueError(f"{source.name}: {document.get('id')} has {sorted(document)}, not {sorted(SCHEMA.names)}")
    return pa.Table.from_pylist(documents, schema=SCHEMA)


def _write(table: pa.Table, path: Path) -> Path:
    pq.write_table(table, path, compression="zstd", compression_level=12)
    return path


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    build()
