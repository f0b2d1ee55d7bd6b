"""A page that shows annotated documents to people, and lets them search and choose.

A path that ends with a slash, or a folder, gets `index.html` and the documents beside it, however many there are; no
more of them are loaded than are looked at. Any other path is one file with everything. Everything that comes from a
document is escaped. The page asks for nothing from elsewhere, and works from a disk.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from pathlib import Path

from ner_ray.export.base import NO_CONTEXT, ExportContext, Exported, exported
from ner_ray.types import Annotation, Document
from ner_ray.viewer.documents import MOST_CHARACTERS, of_annotation
from ner_ray.viewer.pages import Pages
from ner_ray.viewer.places import MOST_IN_PAGE, InPage, place_of


def write(
    documents: Iterable[tuple[Document, Annotation]],
    path: str | Path,
    context: ExportContext = NO_CONTEXT,
) -> Exported:
    """Writes the page; what lies beyond `MOST_CHARACTERS` of a text is left out.

    Args:
        documents: each with its annotation; not read further than the page goes.
        path: a folder, or a file, on any store.
        context: its title is the page's heading, with its summary below. One file has `MOST_IN_PAGE` documents, or as
            many as the limit says, and says so if there are more; a folder has all of them.

    Raises:
        ConfigError: the folder holds something else than an earlier page.
    """
    place = place_of(path)
    pages = Pages(place)
    most = context.limit or (MOST_IN_PAGE if isinstance(place, InPage) else None)
    rest = iter(documents)
    written = Exported()
    for document, annotation in itertools.islice(rest, most):
        pages.add(of_annotation(document, annotation))
        written += exported(annotation, sum(entity.end <= MOST_CHARACTERS for entity in annotation.entities))
    pages.finish(context.title, context.summary, more=next(rest, None) is not None)
    return written
