"""spaCy: a `DocBin` on disk (`.spacy`), as `spacy train` reads it and our own export writes it.

Entities are the spans under `doc.spans["sc"]`, where spaCy's span categorizer looks, if a document has any; otherwise
`doc.ents`. A document whose tokens are marked as not annotated is rejected. A DocBin is read as a whole.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection, Iterator
from typing import Any

from ner_ray.data.formats.base import Match, Unreadable
from ner_ray.data.source import Source
from ner_ray.errors import InputError
from ner_ray.extras import require

_SPANS = "sc"


def recognizes(source: Source) -> Match:
    """By its extension."""
    return Match.SPECIFIC if not source.is_folder and source.label.endswith(".spacy") else Match.NO


def rows(source: Source, columns: Collection[str] | None) -> Iterator[object]:  # noqa: ARG001 - it is read whole
    """The documents.

    Raises:
        MissingExtraError: spaCy is not installed.
        InputError: the file is not a DocBin.
    """
    require("spacy", extra="export", purpose=f"{source.label}, a DocBin,")
    from spacy.tokens import DocBin
    from spacy.vocab import Vocab

    with source.open_random() as file:
        content = file.read()
    try:
        found = DocBin(store_user_data=True).from_bytes(content)
    except (zlib.error, ValueError, KeyError, TypeError, EOFError) as error:
        raise InputError(f"{source.label} is not a DocBin of spaCy: {type(error).__name__}") from error
    yield from map(_row, found.get_docs(Vocab()))


def _row(doc: Any) -> object:  # spaCy's Doc
    text_id = doc.user_data.get("doc_id") or doc.user_data.get("id")
    if len(doc) and not doc.has_annotation("ENT_IOB"):
        return Unreadable("its tokens are marked as not annotated", str(text_id or ""))
    spans = doc.spans[_SPANS] if _SPANS in doc.spans and len(doc.spans[_SPANS]) else doc.ents
    return {
        "doc_id": text_id,
        "status": doc.user_data.get("status"),
        "text": doc.text,
        "tokens": [token.text for token in doc if not token.is_space],
        "entities": [
            {"start": span.start_char, "end": span.end_char, "text": span.text, "label": span.label_} for span in spans
        ],
    }
