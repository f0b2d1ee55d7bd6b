"""A page that shows annotated documents to people: one HTML file that needs nothing else.

Everything that comes from a document is escaped, and the page's own policy allows no script and no style but the
two that ship with this module, by their hash. Without scripts the page still shows everything.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from ner_ray.export.base import NO_CONTEXT, ExportContext, Exported
from ner_ray.types import Annotation, Document, DocumentStatus, Entity

MOST_DOCUMENTS = 1_000
MOST_CHARACTERS = 200_000  # of one document; a browser lays out more than that only with pain
_COLOURS = 24  # in page.css: c0 to c23, hues 15 degrees apart
_NEAR = 6  # hues that look alike, where others are free
_LONG = 3_000  # characters, from which a document is folded at first
_MOST_UNALIGNED = 30  # different ones of one document
_OPENING = 60  # characters of a document that stand for it in the list
# A browser would drop or change these, so they are drawn as pictures; a carriage return survives as a reference.
_DRAWN: dict[int, int | str] = {code: 0x2400 + code for code in range(32) if chr(code) not in "\t\n"}
_DRAWN |= {ord("\r"): "&#13;", 0x7F: 0x2421}


@dataclass(frozen=True, slots=True)
class _Legend:
    """What the labels of a page look like: their number on the page, and their colour."""

    number: Mapping[str, int]
    colour: Mapping[str, int]


def write(
    documents: Iterable[tuple[Document, Annotation]],
    path: str | Path,
    context: ExportContext = NO_CONTEXT,
    *,
    limit: int = MOST_DOCUMENTS,
) -> Exported:
    """Writes the first `limit` documents as one HTML file; what lies beyond `MOST_CHARACTERS` is left out.

    Args:
        documents: each with its annotation; not read further than the page goes.
        path: a local file; its folder is made.
        context: its title is the page's heading, its summary stands below.
        limit: the page says that there are more, where there are.
    """
    rest = iter(documents)
    shown = list(itertools.islice(rest, limit))
    page = (
        _environment()
        .get_template("page.html")
        .render(
            title=context.title,
            summary=context.summary,
            more=next(rest, None) is not None,
            **_page(shown),
        )
    )
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(page, encoding="utf-8", errors="replace", newline="\n")
    entities = [entity for _, annotation in shown for entity in annotation.entities]
    left_out = sum(entity.end > MOST_CHARACTERS for entity in entities)
    return Exported(len(shown), len(entities) - left_out, left_out)


def draw(text: str, entities: Sequence[Entity], number: Mapping[str, int], colour: Mapping[str, int]) -> Markup:
    """The text with its entities in `<mark>`s, one inside the other where spans nest.

    A span that crosses another's end is drawn in pieces; pieces of one entity carry the same `data-e`, so that
    what stands in them, put together, is the entity's text.

    Args:
        text: the document.
        entities: in any order; offsets into `text`.
        number: of each label on the page.
        colour: of each label.
    """
    order = sorted(range(len(entities)), key=lambda i: (entities[i].start, -entities[i].end))
    waiting = iter([*order, None])
    coming = next(waiting)
    out: list[Markup] = []
    stack: list[int] = []
    at = 0
    for place in sorted({edge for entity in entities for edge in (entity.start, entity.end)}):
        out.append(_escaped(text[at:place]))
        at = place
        for again in _close(stack, out, entities, place):
            out.append(_opening(again, entities, stack, number, colour))
            stack.append(again)
        while coming is not None and entities[coming].start == place:
            out.append(_opening(coming, entities, stack, number, colour))
            stack.append(coming)
            coming = next(waiting)
    out.append(_escaped(text[at:]))
    return Markup().join(out)


def colours(labels: Iterable[str]) -> dict[str, int]:
    """A colour's number for every label: the hue its name hashes to, or the free one farthest from all taken.

    So a label looks the same on most pages, and two labels of one page are easily told apart while there are few.
    """
    result: dict[str, int] = {}
    for rank, label in enumerate(sorted(set(labels))):
        taken = list(result.values())[rank - rank % _COLOURS :]
        result[label] = _hue(zlib.crc32(label.encode("utf-8", "replace")) % _COLOURS, taken)
    return result


def _hue(wanted: int, taken: Sequence[int]) -> int:
    def room(hue: int) -> int:
        return min((min((hue - other) % _COLOURS, (other - hue) % _COLOURS) for other in taken), default=_COLOURS)

    turns = [(wanted + step) % _COLOURS for step in range(_COLOURS)]
    return wanted if room(wanted) >= _NEAR else max(turns, key=room)


def _page(shown: Sequence[tuple[Document, Annotation]]) -> dict[str, Any]:
    counts = Counter(entity.label for _, annotation in shown for entity in annotation.entities)
    mentioned = {mention.label for _, annotation in shown for mention in annotation.unaligned if mention.label}
    labels = sorted(counts, key=lambda label: (-counts[label], label))
    names = [*labels, *sorted(mentioned - counts.keys())]
    legend = _Legend({label: number for number, label in enumerate(names)}, colours(names))
    style, script = _asset("page.css"), _asset("page.js")
    return {
        "documents": [_article(document, annotation, legend) for document, annotation in shown],
        "counts": [(label, legend.number[label], legend.colour[label], counts[label]) for label in labels],
        "legend": legend,
        "style": style,
        "script": script,
        "policy": f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; base-uri 'none'",
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


def _close(stack: list[int], out: list[Markup], entities: Sequence[Entity], place: int) -> list[int]:
    """Ends what ends here, with all that stands inside it; returns what of that must go on, outermost first."""
    lowest = next((depth for depth, i in enumerate(stack) if entities[i].end <= place), len(stack))
    inside = stack[lowest:]
    del stack[lowest:]
    out.extend([Markup("</mark>")] * len(inside))
    return [i for i in inside if entities[i].end > place]


def _opening(
    i: int, entities: Sequence[Entity], stack: Sequence[int], number: Mapping[str, int], colour: Mapping[str, int]
) -> Markup:
    entity = entities[i]
    goes_on = any(entities[outer].end < entity.end for outer in stack)
    return Markup(
        '<mark class="c{colour} {status}{goes_on}" data-e="{i}" data-k="{number}" data-label="{label}" title="{title}">'
    ).format(
        colour=colour[entity.label],
        status=entity.status.value,
        goes_on=" on" if goes_on else "",
        i=i,
        number=number[entity.label],
        label=entity.label,
        title=_title(entity),
    )


def _title(entity: Entity) -> str:
    score = "" if entity.score is None else f" · score {entity.score:.2f}"
    return f"{entity.label} · {entity.status.value}{score} · {entity.start}–{entity.end}"


def _escaped(text: str) -> Markup:
    return Markup(str(escape(text)).translate(_DRAWN))  # noqa: S704 - escaped in this very line


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("ner_ray.export"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@cache
def _asset(name: str) -> Markup:
    folder = Path(__file__).parent / "templates"
    return Markup((folder / name).read_text(encoding="utf-8"))  # noqa: S704 - our own file


def _hash(asset: str) -> str:
    """As a Content-Security-Policy names an inline script or style that may be used."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(asset.encode()).digest()).decode()}'"
