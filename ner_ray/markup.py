"""Renders annotated text as HTML: entities as nested `<mark>`s, one colour per label."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence

from markupsafe import Markup, escape

from ner_ray.types import Annotation, DocumentStatus, Entity

_MIN_DISTANCE = 6  # of two hues, in steps; closer ones look alike
_COLOURS = 24  # in base.css: c0 to c23, hues 15 degrees apart
# Browsers drop or change control characters, so they are shown as symbols; a carriage return survives as a reference.
_DRAWN: dict[int, int | str] = {code: 0x2400 + code for code in range(32) if chr(code) not in "\t\n"}
_DRAWN |= {ord("\r"): "&#13;", 0x7F: 0x2421}
_HUE_OF_FIRST, _HUE_STEP = 10, 15  # degrees, as in base.css
_NOTE = 200  # characters of an error's message that are shown
_FRAGMENT_STYLE = """
.ner-ray .text { line-height: 2.1; white-space: pre-wrap; overflow-wrap: anywhere }
.ner-ray mark { background: hsl(var(--h) 80% 55% / .22); color: inherit; padding: .1em .25em; border-radius: .25em;
  border-bottom: 2px solid hsl(var(--h) 60% 45%) }
.ner-ray mark::after { content: "\\a0" attr(data-label); unicode-bidi: isolate;
  font: 600 .68em/1 sans-serif; opacity: .75; user-select: none }
.ner-ray mark.on { border-end-end-radius: 0; padding-inline-end: 0 }
.ner-ray mark.on::after { content: none }
.ner-ray ul { opacity: .8; font-size: .85em; margin: .3em 0 0 }
"""


def draw(text: str, entities: Sequence[Entity], number: Mapping[str, int], colour: Mapping[str, int]) -> Markup:
    """The text with its entities in `<mark>`s, which nest as spans do.

    A span that crosses the end of another is drawn in pieces. The pieces of an entity carry the same `data-e`; their
    contents, joined, are the entity's text.

    Args:
        text: the document.
        entities: in any order, with offsets into `text`.
        number: of each label on the page.
        colour: of each label, as returned by `colours`.
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
    """A colour number for each label: the hue to which its name hashes, or else the free hue farthest from all in use.

    So a label has the same colour on most pages, and the colours on a page are distinct while there are few labels.
    """
    result: dict[str, int] = {}
    for rank, label in enumerate(sorted(set(labels))):
        taken = list(result.values())[rank - rank % _COLOURS :]
        result[label] = _hue(zlib.crc32(label.encode("utf-8", "replace")) % _COLOURS, taken)
    return result


def _hue(preferred: int, taken: Sequence[int]) -> int:
    def room(hue: int) -> int:
        return min((min((hue - other) % _COLOURS, (other - hue) % _COLOURS) for other in taken), default=_COLOURS)

    turns = [(preferred + step) % _COLOURS for step in range(_COLOURS)]
    return preferred if room(preferred) >= _MIN_DISTANCE else max(turns, key=room)


def fragment(text: str, annotation: Annotation) -> str:
    """A text with its entities marked, for a notebook cell: self-contained HTML, with all data escaped."""
    names = [entity.label for entity in annotation.entities]
    number = {label: rank for rank, label in enumerate(dict.fromkeys(names))}
    colour = colours(names)
    hues = Markup().join(
        Markup(".ner-ray .c{} {{ --h: {} }}\n").format(place, _HUE_OF_FIRST + _HUE_STEP * place)
        for place in sorted(set(colour.values()))
    )
    body = draw(text, [entity for entity in annotation.entities if entity.start < entity.end], number, colour)
    notes = Markup().join(Markup("<li>{}</li>").format(note) for note in _notes(annotation))
    return Markup('<div class="ner-ray"><style>{}{}</style><div class="text" dir="auto">{}</div>{}</div>').format(
        Markup(_FRAGMENT_STYLE),  # noqa: S704  # our own
        hues,
        body,
        Markup("<ul>{}</ul>").format(notes) if notes else "",
    )


def _notes(annotation: Annotation) -> list[str]:
    """What the marks cannot show: status, errors, and mentions that were not found in the text."""
    errors = [f"{error.code} ({error.stage}): {error.message[:_NOTE]}" for error in annotation.errors]
    status = [] if annotation.status is DocumentStatus.OK else [f"status: {annotation.status.value}"]
    lost = [f"not found in the text: {mention.text} ({mention.label})" for mention in annotation.unaligned]
    return [*status, *errors, *lost]


def _close(stack: list[int], out: list[Markup], entities: Sequence[Entity], place: int) -> list[int]:
    """Closes the marks that end at `place` and all inside them; returns those to reopen, outermost first."""
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
