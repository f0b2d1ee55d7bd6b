"""What the two exporters of token columns share: sentences of tagged tokens, and labels without white space.

Readers of such files split lines at tabs or at any white space, sentences at blank lines, and documents at the line
`-DOCSTART- -X- O O` of CoNLL-2003. They know no comments: each line has a token. So the ids of the documents are in a
file of their own, `PATH.ids`, one per line, in the order of the documents.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from urllib.parse import quote

from ner_ray.export._tags import tagged
from ner_ray.export.base import ExportContext, Exported, exported, open_output
from ner_ray.text import sentences
from ner_ray.text.overlaps import without_overlaps
from ner_ray.types import Annotation, Document, DocumentStatus, Entity

DOCUMENT = b"-DOCSTART- -X- O O\n\n"
Line = Callable[[str, int, int, str], str]
"""A line from a token, its half-open offsets in the document, and its tag."""


def write_columns(
    documents: Iterable[tuple[Document, Annotation]],
    path: str | Path,
    context: ExportContext,
    line: Line,
    separator: bytes = DOCUMENT,
) -> Exported:
    """Writes documents that have tokens, but not those that failed: their tokens would read as free of entities."""
    names = _Names(context.labels)
    written = Exported()
    begun = False
    with open_output(path) as file, open_output(f"{path}.ids") as ids:
        for document, annotation in documents:
            failed = annotation.status is DocumentStatus.FAILED
            lines = [] if failed else list(_lines(document.text, without_overlaps(annotation.entities)[0], names, line))
            told = sum(is_begin for _, is_begin in lines)
            written += exported(annotation, told)
            if lines:
                content = "".join(f"{text}\n" for text, _ in lines).encode(errors="replace")
                file.write(separator + content if begun else content)
                ids.write(f"{' '.join(document.doc_id.split())}\n".encode(errors="replace"))
                begun = True
    return written


class _Names:
    """Labels without white space: `_` for each run of it, unless another label has that name already."""

    __slots__ = ("_names", "_taken")

    def __init__(self, labels: Sequence[str]) -> None:
        """Labels without white space keep their names; the others follow in their order."""
        self._names: dict[str, str] = {}
        self._taken: set[str] = set()
        for label in sorted(labels, key=_has_blanks):
            self.of(label)

    def of(self, label: str) -> str:
        if label not in self._names:
            plain = "_".join(label.split()) or "_"
            name = plain if plain not in self._taken else quote(label, safe="", errors="replace")
            while name in self._taken:
                name += "_"
            self._names[label] = name
            self._taken.add(name)
        return self._names[label]


def _has_blanks(label: str) -> bool:
    return label.split() != [label]


def _lines(text: str, entities: Sequence[Entity], names: _Names, line: Line) -> Iterator[tuple[str, bool]]:
    """Each line, and whether it begins an entity."""
    breaks = iter([*(start for start, _ in sentences.spans(text)[1:]), len(text) + 1])
    next_break = next(breaks)
    for start, end, tag in tagged(text, entities):
        if start >= next_break and not tag.startswith("I-"):
            yield "", False
        while start >= next_break:
            next_break = next(breaks)
        mark, dash, label = tag.partition("-")
        yield line(text[start:end], start, end, f"{mark}-{names.of(label)}" if dash else tag), mark == "B"
    if text.strip():
        yield "", False
