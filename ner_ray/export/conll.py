"""CoNLL: a token a line, with its place and its tag in BIO; a blank line after a sentence, `# doc_id = ` before a text.

The columns are token, start, end, tag, with tabs between them, so readers that take the first and the last column
find what they look for, and the places say exactly where in the text a token is. Tokens are those of
`ner_ray.text.tokens`, cut where an entity begins or ends inside one, so every entity is told exactly. BIO cannot tell
of entities that overlap: of those the one that begins first stays, and of two that begin together the longer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from ner_ray.export.base import Exported
from ner_ray.text import sentences, tokens
from ner_ray.types import Annotation, Document, Entity

_OUTSIDE = "O"


def write(documents: Iterable[tuple[Document, Annotation]], path: str | Path) -> Exported:
    """Writes the documents; counts as left out what overlaps, or consists of white space alone."""
    count = entities = left_out = 0
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with Path(path).open("w", encoding="utf-8", errors="replace", newline="\n") as file:
        for document, annotation in documents:
            lines = list(_lines(document.text, _flat(annotation.entities)))
            told = sum(line.rpartition("\t")[2].startswith("B-") for line in lines)
            file.write(f"# doc_id = {' '.join(document.doc_id.split())}\n")
            file.writelines(line + "\n" for line in lines)
            count, entities, left_out = count + 1, entities + told, left_out + len(annotation.entities) - told
    return Exported(count, entities, left_out)


def _flat(entities: Sequence[Entity]) -> list[Entity]:
    kept: list[Entity] = []
    for entity in sorted(entities, key=lambda entity: (entity.start, -entity.end)):
        if not kept or entity.start >= kept[-1].end:
            kept.append(entity)
    return kept


def _lines(text: str, entities: Sequence[Entity]) -> Iterator[str]:
    breaks = iter([*(start for start, _ in sentences.spans(text)[1:]), len(text) + 1])
    next_break = next(breaks)
    for start, end, tag in _tagged(text, entities):
        if start >= next_break and not tag.startswith("I-"):
            yield ""
        while start >= next_break:
            next_break = next(breaks)
        yield f"{text[start:end]}\t{start}\t{end}\t{tag}"
    yield ""


def _tagged(text: str, entities: Sequence[Entity]) -> Iterator[tuple[int, int, str]]:
    """Each token with its tag; `entities` are sorted and do not overlap."""
    waiting = iter(entities)
    entity = next(waiting, None)
    began = False
    for start, end in _pieces(text, entities):
        while entity and entity.end <= start:
            entity, began = next(waiting, None), False
        if entity and entity.start <= start:
            yield start, end, f"{'I' if began else 'B'}-{'_'.join(entity.label.split())}"
            began = True
        else:
            yield start, end, _OUTSIDE


def _pieces(text: str, entities: Sequence[Entity]) -> Iterator[tuple[int, int]]:
    """Tokens, cut at the edges of entities."""
    edges = iter(sorted({edge for entity in entities for edge in (entity.start, entity.end)}))
    edge = next(edges, None)
    for start, end in tokens.spans(text):
        while edge is not None and edge < end:
            if edge > start:
                yield start, edge
                start = edge  # noqa: PLW2901 - the rest of the token
            edge = next(edges, None)
        yield start, end
