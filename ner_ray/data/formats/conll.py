"""CoNLL: one token per line with its tag in the last column, a blank line after each sentence.

Columns are separated by tabs or spaces; the first is the token. Two columns in between that are numbers say where the
token begins and ends in the document, as our own export writes them: then a text is a document, with spaces
between its tokens. Otherwise a text is a sentence, its tokens joined by spaces.

`-DOCSTART-` begins a document. Comments begin with `#`: `# id = a`, `# sent_id = a` and `# id a` name a sentence,
`# doc_id = a` and `# newdoc id = a` a document, whose sentences are then a:0, a:1 and so on. If tokens have places, a
file `NAME.ids` beside the file may hold the ids of its documents, one per line.
"""

from __future__ import annotations

import io
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field

from ner_ray.data import tags
from ner_ray.data.formats.base import Match, Unreadable
from ner_ray.data.source import HEAD, Source
from ner_ray.storage import Location

_ENDINGS = (".conll", ".conll03", ".bio", ".iob", ".iob2", ".bioes", ".bilou", ".bmes")
_IDS = ".ids"
_GAP = 1 << 20  # characters between two tokens; more is a wrong place, not white space
_SAMPLE = 200  # lines that tell whether a file is in this format
_DOCUMENT = "-DOCSTART-"
_ID = re.compile(r"#\s*(?P<kind>id|sent_id|doc_id|newdoc id)\s*[=: ]\s*(?P<id>\S.*?)\s*")
_DOCUMENT_KINDS = ("doc_id", "newdoc id")
_CHUNK = 1 << 20


def recognizes(source: Source) -> Match:
    """By its lines: each one a token and a tag, a comment, or blank; by its extension where these do not tell."""
    if source.is_folder:
        return Match.NO
    head = source.head()
    lines = head.decode("utf-8-sig", errors="replace").split("\n")
    whole = lines[:-1] if len(head) == HEAD else lines
    told = [_is_tagged(line) for line in whole[:_SAMPLE] if line.strip() and not _is_comment(line)]
    if told and all(told):
        return Match.SPECIFIC
    return Match.GENERAL if source.label.endswith(_ENDINGS) else Match.NO


def rows(source: Source, columns: Collection[str] | None) -> Iterator[object]:  # noqa: ARG001 - lines are read whole
    """The sentences, or documents where tokens have places; one with a line that cannot be read is `Unreadable`."""
    with source.open() as stream:
        # A byte that is not UTF-8 becomes half of a surrogate pair, for which its text alone is rejected.
        lines = io.TextIOWrapper(
            io.BufferedReader(stream, _CHUNK), encoding="utf-8-sig", errors="surrogateescape", newline="\n"
        )
        ids = _ids(source)
        for block in _blocks(line.rstrip("\r\n") for line in lines):
            if block.lines:
                if block.is_placed and not block.document:
                    block.document = next(ids, "")
                yield _row(block)


def _ids(source: Source) -> Iterator[str]:
    """The ids of documents that are in a file beside this one; none without it."""
    location, name = source.location, source.name + _IDS
    if not source.name:
        location, name = Location(source.uri + _IDS), ""
    if location.exists(name):
        yield from location.read(name).decode().splitlines()


@dataclass(slots=True)
class _Block:
    """The lines of a text as they are collected, and where it stands."""

    document: str = ""
    sentence: str = ""
    number: int = 0  # of the sentence in its document
    lines: list[list[str]] = field(default_factory=list)
    broken: str = ""

    @property
    def is_placed(self) -> bool:
        return bool(self.lines) and _place(self.lines[-1]) is not None

    def goes_back_to(self, cells: list[str]) -> bool:
        """Whether a token's place says that another document begins."""
        last, place = _place(self.lines[-1]) if self.lines else None, _place(cells)
        return bool(last and place and place[0] == 0 < last[1])

    def add(self, line: str, cells: list[str]) -> None:
        self.lines.append(cells)
        if len(cells) < 2 or not tags.is_tag(cells[-1]):
            self.broken = self.broken or f"the line {line!r:.80} is not a token and a tag such as O or B-person"

    def following(self, sentence: str = "") -> _Block:
        """The next block of the same document."""
        return _Block(self.document, sentence or ("" if self.lines else self.sentence), self.number + bool(self.lines))

    @property
    def text_id(self) -> str | None:
        if self.sentence or not self.document or self.is_placed:
            return self.sentence or self.document or None
        return f"{self.document}:{self.number}"


def _blocks(lines: Iterable[str]) -> Iterator[_Block]:
    """The blocks of a file, some of them empty."""
    block = _Block()
    for line in lines:
        cells = _cells(line)
        comment = _ID.fullmatch(line) if _is_comment(line) else None
        if cells[:1] == [_DOCUMENT]:
            yield block
            block = _Block()
        elif comment and comment["kind"] in _DOCUMENT_KINDS:
            yield block
            block = _Block(document=comment["id"])
        elif comment:
            yield block
            block = block.following(comment["id"])
        elif not cells and not block.is_placed:
            yield block
            block = block.following()
        elif cells and not _is_comment(line):
            if block.goes_back_to(cells):
                yield block
                block = block.following()
            block.add(line, cells)
    yield block


def _row(block: _Block) -> object:
    if block.broken:
        return Unreadable(block.broken, block.text_id or "")
    tokens = [cells[0] for cells in block.lines]
    row = {"id": block.text_id, "tokens": tokens, "ner_tags": [cells[-1] for cells in block.lines]}
    if not block.is_placed:
        return row
    pieces: list[str] = []
    starts: list[int] = []
    length = 0
    for cells in block.lines:
        start, end = _place(cells) or (-1, -1)
        if not 0 <= start - length <= _GAP or end - start != len(cells[0]):
            return Unreadable(f"token {cells[0]!r} cannot be at {start}:{end}", block.text_id or "")
        pieces += [" " * (start - length), cells[0]]
        starts.append(start)
        length = end
    return row | {"text": "".join(pieces), "starts": starts}


def _place(cells: list[str]) -> tuple[int, int] | None:
    """Where a token is, if its line says so."""
    if len(cells) == 4 and cells[1].isdecimal() and cells[2].isdecimal():
        return int(cells[1]), int(cells[2])
    return None


def _cells(line: str) -> list[str]:
    if not line.strip():
        return []
    return line.split("\t") if "\t" in line else [cell for cell in re.split(" +", line) if cell]


def _is_tagged(line: str) -> bool:
    cells = _cells(line.rstrip("\r"))
    return len(cells) > 1 and (tags.is_tag(cells[-1]) or cells[0] == _DOCUMENT)


def _is_comment(line: str) -> bool:
    """A line with `#` first that is not the token `#` with its tag."""
    cells = _cells(line.rstrip("\r"))
    return line.startswith("#") and (len(cells) < 2 or not tags.is_tag(cells[-1]))
