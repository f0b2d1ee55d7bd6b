"""spaCy: a `DocBin`, for `spacy train`, or to be read with `DocBin().from_disk(path).get_docs(nlp.vocab)`.

`doc.text` is the document's text, and `doc.user_data` has its `doc_id` and `status`. `doc.ents`, which must not
overlap, has the entities that begin first, and of those the longest; `doc.spans["sc"]`, where spaCy's span categorizer
looks, has them all, with their scores in its `attrs` (NaN where unknown). Tokens end where an entity does, so that each
can be expressed. Nothing is known about a document that failed: its tokens are marked as missing, for trainers to skip.

A `DocBin` is read as a whole, and held in memory while it is written. https://spacy.io/api/docbin
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ner_ray.export._tags import pieces, storable
from ner_ray.export.base import NO_CONTEXT, ExportContext, Exported, exported, open_output
from ner_ray.extras import require
from ner_ray.text.overlaps import without_overlaps
from ner_ray.types import Annotation, Document, DocumentStatus, Entity

_SPANS = "sc"


def write(
    documents: Iterable[tuple[Document, Annotation]],
    path: str | Path,
    context: ExportContext = NO_CONTEXT,  # noqa: ARG001 - the format has no place for it
) -> Exported:
    """Writes the documents; counts as left out entities that begin or end with white space.

    Raises:
        MissingExtraError: spaCy is not installed.
    """
    require("spacy", extra="export", purpose="the export format spacy")
    from spacy.tokens import DocBin
    from spacy.vocab import Vocab

    found = DocBin(attrs=["ORTH", "SPACY", "ENT_IOB", "ENT_TYPE"], store_user_data=True)
    vocab = Vocab()
    written = Exported()
    for document, annotation in documents:
        doc = _doc(document, annotation, vocab)
        found.add(doc)
        written += exported(annotation, len(doc.spans[_SPANS]))
    with open_output(path) as file:
        file.write(found.to_bytes())
    return written


def _doc(document: Document, annotation: Annotation, vocab: Any) -> Any:  # spaCy's vocabulary and document
    from spacy.tokens import Doc

    text = storable(document.text)
    words = list(_words(text, annotation.entities))
    begins = {start: number for number, (start, _, _) in enumerate(words)}
    ends = {end: number + 1 for number, (_, end, _) in enumerate(words)}
    told = [entity for entity in annotation.entities if entity.start in begins and entity.end in ends]
    doc = Doc(vocab, words=[text[start:end] for start, end, _ in words], spaces=[blank for *_, blank in words])
    spans = {entity: _span(doc, entity, begins, ends) for entity in told}
    doc.set_ents(
        [spans[entity] for entity in without_overlaps(told)[0]],
        default="missing" if annotation.status is DocumentStatus.FAILED else "outside",
    )
    doc.spans[_SPANS] = [spans[entity] for entity in told]
    doc.spans[_SPANS].attrs["scores"] = [math.nan if entity.score is None else entity.score for entity in told]
    doc.user_data |= {"doc_id": storable(document.doc_id), "status": annotation.status.value}
    return doc


def _span(doc: Any, entity: Entity, begins: Mapping[int, int], ends: Mapping[int, int]) -> Any:  # spaCy's
    from spacy.tokens import Span

    return Span(doc, begins[entity.start], ends[entity.end], storable(entity.label))


def _words(text: str, entities: Iterable[Entity]) -> Iterator[tuple[int, int, bool]]:
    """Tokens as spaCy needs them, covering the whole text: offsets, and whether a space follows that is in no token."""
    last = None
    end = 0
    for start, stop in [*pieces(text, entities), (len(text), len(text))]:
        blank = text[end : end + 1] == " " and last is not None and end < start
        if last:
            yield *last, blank
        if end + blank < start:
            yield end + blank, start, False
        last, end = (start, stop), stop
