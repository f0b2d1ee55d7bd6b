"""Parquet: one file with all committed rows of a run and all their columns, unchanged.

Failed documents are rows like all others; `status` says so and `errors` says why.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pyarrow.parquet as pq

from ner_ray.export._rows import batches, counted
from ner_ray.export.base import NO_CONTEXT, ExportContext, Exported, open_output
from ner_ray.types import Annotation, Document


def write(
    documents: Iterable[tuple[Document, Annotation]], path: str | Path, context: ExportContext = NO_CONTEXT
) -> Exported:
    """Writes the rows of the run; for documents that are not from a run: id, text and annotation."""
    written = Exported()
    columns, rows = batches(documents, context, "parquet")
    with open_output(path) as stream, pq.ParquetWriter(stream, columns, compression="zstd") as file:
        for batch in rows:
            file.write_batch(batch)
            written += counted(batch)
    return written
