"""All of a page's data, document by document, in parts of bounded size; and the page around them.

NNN/NNNNNN      a chunk: some documents, one after the other, and the names of their labels
index/NNNN      a block of `ner_ray.viewer.index`, for some chunks
search/XX       a part of the table of `ner_ray.viewer.search`; only where there are many chunks
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from markupsafe import Markup

from ner_ray.errors import ErrorCode
from ner_ray.markup import colours, draw
from ner_ray.pages import page
from ner_ray.viewer.documents import HOWS, MOST_CHARACTERS, STATES, Shown, data, is_drawn
from ner_ray.viewer.index import Index, Numbers
from ner_ray.viewer.places import PARTS, InPage, Place
from ner_ray.viewer.search import Table, fold

CHUNK_DOCUMENTS = 256
CHUNK_CHARACTERS = 1 << 18
_BLOCK_DOCUMENTS = 1 << 16
_FEW_CHUNKS = 64  # are searched without a table
_MOST_LABELS = 2_000  # that the page lists
_WITHOUT_SCRIPTS = 100  # documents that are shown where no script may run


@dataclass(frozen=True, slots=True)
class Look:
    """What is known of a page beforehand.

    Attributes:
        states: names of what a document can be; `Shown.state` is a number among them.
        kinds: names of how entities compare, where they do: bit 1 for the first, 2 for the second, 4 for the third.
        sides: what is compared.
        symbols: of the kinds, to tell them apart without colours.
    """

    states: tuple[str, ...] = STATES
    kinds: tuple[str, ...] = ()
    sides: tuple[str, ...] = ()
    symbols: tuple[str, ...] = ()


DOCUMENTS = Look()
"""Of annotated documents."""


@dataclass(slots=True)
class Counts:
    """How many documents have each state and code, how many entities each label and kind, and pairs each kind."""

    states: Counter[int] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    labels: Counter[tuple[str, int]] = field(default_factory=Counter)
    kinds: Counter[int] = field(default_factory=Counter)
    scored: bool = False

    def add(self, shown: Shown) -> None:
        self.states[shown.state] += 1
        self.codes.update({error.code for error in shown.errors})
        self.labels.update(shown.counted())
        self.kinds.update(shown.kinds())
        self.scored = self.scored or any(mark.entity.score is not None for marks in shown.sides for mark in marks)


class Pages:
    """Takes the documents of a page one by one, and keeps none of them.

    Args:
        place: where the page goes.
        look: what is known of it.
    """

    def __init__(self, place: Place, look: Look = DOCUMENTS) -> None:
        self._place, self._look = place, look
        self._counts = Counts()
        self._chunk: list[Shown] = []
        self._characters = 0
        self._chunks: list[int] = []
        self._blocks: list[int] = []
        self._index = self._new_index()
        self._table = Table()
        self._first: list[Shown] = []

    def add(self, shown: Shown) -> None:
        """One more document."""
        self._counts.add(shown)
        self._index.add(shown.state, (error.code for error in shown.errors), shown.features())
        if isinstance(self._place, InPage) and len(self._first) < _WITHOUT_SCRIPTS:
            self._first.append(shown)
        self._chunk.append(shown)
        self._characters += min(len(shown.text), MOST_CHARACTERS)
        if len(self._chunk) >= CHUNK_DOCUMENTS or self._characters >= CHUNK_CHARACTERS:
            self._end_chunk()

    def finish(self, title: str, summary: Mapping[str, str], *, more: bool = False) -> None:
        """Writes what is left, and the page.

        Args:
            title: its heading.
            summary: figures below it, in their order.
            more: whether there are further documents, which the page does not have.
        """
        if self._chunk:
            self._end_chunk()
        self._end_block()
        search = len(self._chunks) > _FEW_CHUNKS
        for number, content in self._table.parts() if search else ():
            self._place.put(f"search/{number:02x}", json.dumps(content))
        meta = described(self._look, self._counts, self._chunks, self._blocks) | {
            "version": self._place.version,
            "search": search,
            "more": more,
        }
        within = self._place.parts if isinstance(self._place, InPage) else None
        self._place.finish(html(title, summary, meta, within, self._first, self._look))

    def _end_chunk(self) -> None:
        number = len(self._chunks)
        self._place.put(f"{number // 1000:03}/{number:06}", chunk(self._chunk))
        self._table.add(searched(shown) for shown in self._chunk)
        self._chunks.append(len(self._chunk))
        self._chunk, self._characters = [], 0
        if len(self._index) >= _BLOCK_DOCUMENTS:
            self._end_block()

    def _end_block(self) -> None:
        self._place.put(f"index/{len(self._blocks):04}", _json(self._index.block()))
        self._blocks.append(len(self._index))
        self._index = self._new_index()

    def _new_index(self) -> Index:
        return Index(np.bitwise_or if self._look.kinds else np.maximum)


def chunk(documents: Iterable[Shown]) -> str:
    """Some documents as JSON, as the page's script takes them."""
    labels = Numbers()
    listed = [data(shown, labels) for shown in documents]
    return _json({"labels": list(labels), "documents": listed})


def searched(shown: Shown) -> str:
    """What a search looks at."""
    return f"{shown.doc_id}\n{shown.text[:MOST_CHARACTERS]}"


def contains(shown: Shown, folded: str) -> bool:
    """Whether a search finds a document."""
    return folded in fold(searched(shown))


def described(look: Look, counts: Counts, chunks: Sequence[int], blocks: Sequence[int]) -> dict[str, Any]:
    """What the page's script is told: counts, names, colours, and the number of documents in each part."""
    totals = Counter[str]()
    for (label, _), times in counts.labels.items():
        totals[label] += times
    listed = sorted(totals, key=lambda label: (-totals[label], label))
    colour = colours(listed[:_MOST_LABELS])
    bits = [1 << number for number in range(len(look.kinds))]
    return {
        "parts": PARTS,
        "documents": sum(chunks),
        "chunks": list(chunks),
        "blocks": list(blocks),
        "states": [[name, counts.states[number]] for number, name in enumerate(look.states)],
        "kinds": [[*named, counts.kinds[bit]] for *named, bit in zip(look.kinds, look.symbols, bits, strict=True)],
        "sides": look.sides,
        "labels": [
            [label, colour[label], totals[label], [counts.labels[label, bit] for bit in bits]]
            for label in listed[:_MOST_LABELS]
        ],
        "codes": [[code, times, *_explained(code)] for code, times in counts.codes.most_common()],
        "hows": HOWS,
        "scored": counts.scored,
    }


def html(
    title: str,
    summary: Mapping[str, str],
    meta: Mapping[str, Any],
    within: Mapping[str, str] | None = None,
    first: Sequence[Shown] = (),
    look: Look = DOCUMENTS,
    *,
    live: bool = False,
) -> str:
    """The page.

    Args:
        title: its heading.
        summary: figures below it.
        meta: what its script is told.
        within: the parts, where they are in the page itself.
        first: documents to show where no script may run.
        look: what is known of the page.
        live: whether a server answers, and not files.
    """
    parts = None if within is None else ",".join(f"{json.dumps(name)}:{part}" for name, part in within.items())
    return page(
        "ner_ray.viewer",
        title=title,
        connects=live,
        loads=within is None and not live,
        summary=summary,
        meta=_block(_json({**meta, "live": live})),
        data=None if parts is None else _block(f"{{{parts}}}"),
        first=[_drawn(shown, look) for shown in first],
        rest=max(0, meta["documents"] - len(first)),
    )


def _explained(code: str) -> tuple[str, str]:
    """What an error code means, and what to do; empty for one of a model family from elsewhere."""
    return next(((known.meaning, known.remedy) for known in ErrorCode if known == code), ("", ""))


def _drawn(shown: Shown, look: Look) -> dict[str, Any]:
    """A document for readers without scripts."""
    text, number = shown.text[:MOST_CHARACTERS], Numbers()
    sides = [[mark.entity for mark in marks if is_drawn(mark, text)] for marks in shown.sides]
    names = [entity.label for entities in sides for entity in entities]
    return {
        "id": shown.doc_id,
        "state": look.states[shown.state],
        "errors": shown.errors,
        "unaligned": dict.fromkeys(mention.text for mention in shown.unaligned),
        "bodies": [draw(text, entities, {name: number[name] for name in names}, colours(names)) for entities in sides],
    }


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _block(content: str) -> Markup:
    """JSON for a data block of a page, which nothing in it can end."""
    return Markup(content.replace("<", "\\u003c"))  # noqa: S704 - no tag can begin
