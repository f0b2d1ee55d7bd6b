"""A page that shows annotated documents to people: one HTML file that needs nothing else.

Everything that comes from a document is escaped. Without scripts the page still shows everything.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ner_ray.export.base import NO_CONTEXT, ExportContext, Exported, exported, open_output
from ner_ray.markup import colours, draw
from ner_ray.pages import page
from ner_ray.types import Annotation, Document, DocumentStatus

MOST_DOCUMENTS = 1_000
MOST_CHARACTERS = 200_000  # of one document; browsers are slow to lay out more than that
_LONG = 3_000  # characters, from which a document is folded at first
_MOST_UNALIGNED = 30  # different ones of one document
_OPENING = 60  # characters of a document that stand for it in the list


@dataclass(frozen=True, slots=True)
class _Legend:
    """What the labels of a page look like: their number on the page, and their colour."""

    number: Mapping[str, int]
    colour: Mapping[str, int]


def write(
    documents: Iterable[tuple[Document, Annotation]],
    path: str | Path,
    context: ExportContext = NO_CONTEXT,
) -> Exported:
    """Writes the first documents as one HTML file; what lies beyond `MOST_CHARACTERS` of a text is left out.

    Args:
        documents: each with its annotation; not read further than the page goes.
        path: a local file; its folder is made.
        context: its title is the page's heading, with its summary below. There are `MOST_DOCUMENTS` documents on the
            page, or as many as its limit says; the page says so if there are more.
    """
    rest = iter(documents)
    shown = list(itertools.islice(rest, context.limit or MOST_DOCUMENTS))
    more = next(rest, None) is not None
    html = page("ner_ray.export", title=context.title, summary=context.summary, more=more, **_page(shown))
    with open_output(path) as file:
        file.write(html.encode(errors="replace"))
    return sum((_counted(annotation) for _, annotation in shown), Exported())


def _counted(annotation: Annotation) -> Exported:
    return exported(annotation, sum(entity.end <= MOST_CHARACTERS for entity in annotation.entities))


def _page(shown: Sequence[tuple[Document, Annotation]]) -> dict[str, Any]:
    counts = Counter(entity.label for _, annotation in shown for entity in annotation.entities)
    mentioned = {mention.label for _, annotation in shown for mention in annotation.unaligned if mention.label}
    labels = sorted(counts, key=lambda label: (-counts[label], label))
    names = [*labels, *sorted(mentioned - counts.keys())]
    legend = _Legend({label: number for number, label in enumerate(names)}, colours(names))
    return {
        "documents": [_article(document, annotation, legend) for document, annotation in shown],
        "counts": [(label, legend.number[label], legend.colour[label], counts[label]) for label in labels],
        "legend": legend,
    }


def _article(document: Document, annotation: Annotation, legend: _Legend) -> dict[str, Any]:
    text = document.text[:MOST_CHARACTERS]
    unaligned = Counter((mention.text, mention.label) for mention in annotation.unaligned)
    drawn = [entity for entity in annotation.entities if entity.start < entity.end <= len(text)]
    return {
        "id": document.doc_id,
        "opening": " ".join(text[: 2 * _OPENING].split())[:_OPENING],
        "characters": len(document.text),
        "cut": len(document.text) - len(text),
        "long": len(text) > _LONG,
        "body": draw(text, drawn, legend.number, legend.colour),
        "entities": annotation.entities,
        "unaligned": unaligned.most_common(_MOST_UNALIGNED),
        "unaligned_more": max(0, len(unaligned) - _MOST_UNALIGNED),
        "status": annotation.status.value,
        "flawed": annotation.status is not DocumentStatus.OK or bool(annotation.errors),
        "errors": annotation.errors,
        "usage": annotation.usage,
    }
