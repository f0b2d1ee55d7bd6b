"""BIO: one token per line in two columns, token and BIO tag, separated by a tab.

For readers that know no other columns (nervaluate, flair's `{0: "text", 1: "ner"}`, most training scripts). A blank
line ends a sentence. There are no lines between documents; their ids are in `PATH.ids`. White space in labels becomes
`_`. Failed documents are left out.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ner_ray.export._columns import write_columns
from ner_ray.export.base import NO_CONTEXT, ExportContext, Exported
from ner_ray.types import Annotation, Document


def write(
    documents: Iterable[tuple[Document, Annotation]], path: str | Path, context: ExportContext = NO_CONTEXT
) -> Exported:
    """Writes the documents; counts as left out entities that overlap others or consist of white space alone."""
    return write_columns(documents, path, context, lambda token, _start, _end, tag: f"{token}\t{tag}", separator=b"")
