"""CoNLL: a token a line, with its place and its tag in BIO; a blank line after a sentence, `# doc_id = ` before a text.

The columns are token, start, end, tag, with tabs between them, so readers that take the first and the last column
find what they look for, and the places say exactly where in the text a token is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from ner_ray.export._tags import flat, tagged
from ner_ray.export.base import NO_CONTEXT, ExportContext, Exported
from ner_ray.text import sentences
from ner_ray.types import Annotation, Document, Entity


def write(
    documents: Iterable[tuple[Document, Annotation]],
    path: str | Path,
    context: ExportContext = NO_CONTEXT,  # noqa: ARG001 - the format has no place for it
) -> Exported:
    """Writes the documents; counts as left out what overlaps, or consists of white space alone."""
    count = entities = left_out = 0
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with Path(path).open("w", encoding="utf-8", errors="replace", newline="\n") as file:
        for document, annotation in documents:
            lines = list(_lines(document.text, flat(annotation.entities)))
            told = sum(line.rpartition("\t")[2].startswith("B-") for line in lines)
            file.write(f"# doc_id = {' '.join(document.doc_id.split())}\n")
            file.writelines(line + "\n" for line in lines)
            count, entities, left_out = count + 1, entities + told, left_out + len(annotation.entities) - told
    return Exported(count, entities, left_out)


def _lines(text: str, entities: Sequence[Entity]) -> Iterator[str]:
    breaks = iter([*(start for start, _ in sentences.spans(text)[1:]), len(text) + 1])
    next_break = next(breaks)
    for start, end, tag in tagged(text, entities):
        if start >= next_break and not tag.startswith("I-"):
            yield ""
        while start >= next_break:
            next_break = next(breaks)
        yield f"{text[start:end]}\t{start}\t{end}\t{'_'.join(tag.split())}"
    yield ""
