"""CoNLL: one token per line in four columns, as in CoNLL-2003: token, start, end, BIO tag, separated by tabs.

The offsets say where in the document the token is. Readers that take the first and the last column, or the first and
the fourth, find what they need (`spacy convert -c ner`, flair's `{0: "text", 3: "ner"}`, conlleval); for those that
read nothing but token and tag, there is the format `bio`. A blank line ends a sentence, `-DOCSTART- -X- O O` separates
documents, and their ids are in `PATH.ids`. White space in labels becomes `_`. Failed documents are left out.
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
    return write_columns(documents, path, context, lambda token, start, end, tag: f"{token}\t{start}\t{end}\t{tag}")
