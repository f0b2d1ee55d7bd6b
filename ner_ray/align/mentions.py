"""Listed surfaces put onto the text, in the order in which they are listed.

For answers that list what they found, without its place. Each surface has candidate places: where it stands
exactly; if these are fewer than the times it is listed, where its normal form stands; if there are none,
where something similar stands. A path through the candidates then picks one for each mention. It pays for
going back in the text, for overlaps, for places inside a longer listed mention, and for inexact places, and
the cheapest path wins; so order is preferred, not demanded: lists by label, or by nothing, are placed too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import NamedTuple

import regex
from rapidfuzz import process
from rapidfuzz.distance import Indel

from ner_ray.align._entity import entity_at
from ner_ray.config import AlignConfig
from ner_ray.text.normalize import Normalized, fold, normalize
from ner_ray.text.tokens import UNSPACED, is_boundary, spans
from ner_ray.types import Alignment, Entity, Mention

# What a path pays. Going back costs most, so that order decides wherever the list has one.
_BACK = 1.0
_NESTED = 0.5
_OVERLAP = 0.25
_INEXACT = 0.25

_MAX_PLACES = 1000  # of one surface: more cannot matter in a text that a model reads at once
_MAX_SIMILAR = 8
_WIDER = range(-1, 3)  # tokens that a similar window may have more than the surface

_UNSPACED = regex.compile(rf"[{UNSPACED}]")


class _Place(NamedTuple):
    start: int
    end: int
    cost: float


def align_mentions(source: str, mentions: Sequence[Mention], config: AlignConfig) -> Alignment:
    """Puts listed mentions onto `source`; total, and sorted by place.

    A mention never begins or ends inside a word of an alphabetic script. A surface listed several times with
    one label takes as many different places; if there are fewer, the last listings are unaligned. With
    `config.occurrences` "all" each listed surface takes every place it has, but those inside a longer listed
    mention, unless it has no other: for answers of models that list each surface once (UniversalNER, RA-IT).
    The default is "listed", which makes no entity that the model did not name.
    """
    places = _places(source, mentions, config)
    choose = _everywhere if config.occurrences == "all" else _in_order
    entities: dict[tuple[int, int, str], Entity] = {}
    placed: set[int] = set()
    for index, place in choose(mentions, places):
        mention = replace(mentions[index], text=mentions[index].text.strip())
        entity = entity_at(source, place.start, place.end, mention, config, blanks_count=True)
        if entity is not None:
            placed.add(index)
            entities.setdefault((entity.start, entity.end, entity.label), entity)
    unaligned = tuple(mention for index, mention in enumerate(mentions) if index not in placed)
    return Alignment(tuple(entities[key] for key in sorted(entities)), unaligned)


def _places(source: str, mentions: Sequence[Mention], config: AlignConfig) -> dict[str, list[_Place]]:
    """The candidate places of each distinct surface, in order and without overlaps."""
    listed = Counter((mention.text.strip(), mention.label) for mention in mentions)
    wanted: dict[str, int] = {}
    for (surface, _), times in listed.items():
        if surface:
            wanted[surface] = max(times, wanted.get(surface, 0))
    places = {surface: _exact(source, surface) for surface in wanted}
    short = [surface for surface, times in wanted.items() if len(places[surface]) < times]
    if short and (config.normalize or config.fuzzy):
        normal = normalize(source)
        if config.normalize:
            squeezed = _without_blanks(normal)
            for surface in short:
                places[surface] = _normalized(source, normal, surface)
                if not places[surface] and _UNSPACED.search(surface):
                    places[surface] = _normalized(source, squeezed, "".join(surface.split()))
        if config.fuzzy:
            _add_similar(source, normal, places, config)
    return _with_nested(places)


def _exact(source: str, surface: str) -> list[_Place]:
    places: list[_Place] = []
    at = source.find(surface)
    while at >= 0 and len(places) < _MAX_PLACES:
        end = at + len(surface)
        whole = is_boundary(source, at) and is_boundary(source, end)
        if whole:
            places.append(_Place(at, end, 0.0))
        at = source.find(surface, end if whole else at + 1)
    return places


def _normalized(source: str, normal: Normalized, surface: str) -> list[_Place]:
    needle = fold(surface)
    places: list[_Place] = []
    at = normal.text.find(needle) if needle else -1
    while at >= 0 and len(places) < _MAX_PLACES:
        stop = at + len(needle)
        start, end = normal.to_source(at, stop)
        whole = normal.is_whole(at, stop) and is_boundary(source, start) and is_boundary(source, end)
        if whole:
            places.append(_Place(start, end, 0.0 if source[start:end] == surface else _INEXACT))
        at = normal.text.find(needle, stop if whole else at + 1)
    return places


def _without_blanks(normal: Normalized) -> Normalized:
    """The form in which blanks, which models like to put between scripts, make no difference."""
    seen = [index for index, character in enumerate(normal.text) if character != " "]
    return Normalized(normal.text.replace(" ", ""), normal.origins[seen])


def _add_similar(source: str, normal: Normalized, places: dict[str, list[_Place]], config: AlignConfig) -> None:
    """Gives surfaces without a place those of the most similar windows of tokens, within the budget."""
    taken = {(place.start, place.end) for found in places.values() for place in found}
    budget = config.fuzzy_budget
    tokens: list[tuple[int, int]] | None = None
    for surface in [surface for surface, found in places.items() if not found]:
        needle = fold(surface)
        tokens = spans(normal.text) if tokens is None else tokens
        width = len(spans(needle))
        cost = len(_WIDER) * len(tokens) * (1 + len(needle) // 64)
        if not width or cost > budget:
            continue
        budget -= cost
        windows = [
            (left[0], right[1])
            for size in [width + more for more in _WIDER if width + more > 0]
            for left, right in zip(tokens, tokens[size - 1 :], strict=False)
        ]
        places[surface] = _similar(source, normal, needle, windows, taken=taken, threshold=config.threshold)


def _similar(
    source: str,
    normal: Normalized,
    needle: str,
    windows: Sequence[tuple[int, int]],
    *,
    taken: set[tuple[int, int]],
    threshold: float,
) -> list[_Place]:
    ranked = process.extract(
        needle,
        [normal.text[start:end] for start, end in windows],
        scorer=Indel.normalized_similarity,
        score_cutoff=threshold,
        limit=16 * _MAX_SIMILAR,
    )
    found: list[_Place] = []
    for _, similarity, index in ranked:
        start, end = normal.to_source(*windows[index])
        free = all(end <= other.start or other.end <= start for other in found)
        whole = normal.is_whole(*windows[index]) and is_boundary(source, start) and is_boundary(source, end)
        if similarity > 0 and free and whole and (start, end) not in taken and len(found) < _MAX_SIMILAR:
            found.append(_Place(start, end, _INEXACT + 1 - similarity))
    return sorted(found)


def _with_nested(places: Mapping[str, list[_Place]]) -> dict[str, list[_Place]]:
    """The same places; those inside a place of a longer surface cost more."""
    everything = sorted(
        {place[:2] for found in places.values() for place in found}, key=lambda span: (span[0], -span[1])
    )
    nested: set[tuple[int, int]] = set()
    reach = -1
    for span in everything:
        if span[1] <= reach:
            nested.add(span)
        reach = max(reach, span[1])
    return {
        surface: [place._replace(cost=place.cost + _NESTED) if place[:2] in nested else place for place in found]
        for surface, found in places.items()
    }


def _everywhere(mentions: Sequence[Mention], places: Mapping[str, list[_Place]]) -> Iterator[tuple[int, _Place]]:
    for index, mention in enumerate(mentions):
        found = places.get(mention.text.strip(), [])
        outermost = [place for place in found if place.cost < _NESTED]
        for place in outermost or found:
            yield index, place


def _in_order(mentions: Sequence[Mention], places: Mapping[str, list[_Place]]) -> Iterator[tuple[int, _Place]]:
    """One place for each mention that can have one of its own."""
    listed: Counter[tuple[str, str]] = Counter()
    steps: list[tuple[int, list[_Place]]] = []
    for index, mention in enumerate(mentions):
        key = mention.text.strip(), mention.label
        found = places.get(key[0], [])
        if listed[key] < len(found):
            listed[key] += 1
            steps.append((index, found))
    used: dict[tuple[str, str], set[int]] = {}
    for (index, found), choice in zip(steps, _cheapest([found for _, found in steps]), strict=True):
        taken = used.setdefault((mentions[index].text.strip(), mentions[index].label), set())
        free = [k for k in range(len(found)) if k not in taken] if choice in taken else [choice]
        own = next((k for k in free if k >= choice), free[0])
        taken.add(own)
        yield index, found[own]


def _cheapest(steps: Sequence[list[_Place]]) -> list[int]:
    """The place of each step on the cheapest path, the earliest if several are. Linear in the places."""
    if not steps:
        return []
    costs = [place.cost for place in steps[0]]
    back: list[list[int]] = []
    for before, places in pairwise(steps):
        costs, previous = _step(before, costs, places)
        back.append(previous)
    choices = [min(range(len(costs)), key=costs.__getitem__)]
    for previous in reversed(back):
        choices.append(previous[choices[-1]])
    return choices[::-1]


def _step(before: Sequence[_Place], costs: Sequence[float], places: Sequence[_Place]) -> tuple[list[float], list[int]]:
    """The cheapest way to each place, and from where: from behind for nothing, else at a price."""
    anywhere = min(range(len(before)), key=costs.__getitem__)
    ended = begun = -1  # the cheapest that ends before the place, that begins before it
    next_ended = next_begun = 0
    totals: list[float] = []
    previous: list[int] = []
    for place in places:
        while next_ended < len(before) and before[next_ended].end <= place.start:
            ended = next_ended if ended < 0 or costs[next_ended] < costs[ended] else ended
            next_ended += 1
        while next_begun < len(before) and before[next_begun].start <= place.start:
            begun = next_begun if begun < 0 or costs[next_begun] < costs[begun] else begun
            next_begun += 1
        ways = [(costs[anywhere] + _BACK, anywhere)]
        if begun >= 0:
            ways.append((costs[begun] + _OVERLAP, begun))
        if ended >= 0:
            ways.append((costs[ended], ended))
        total, source = min(ways, key=lambda way: way[0])
        totals.append(total + place.cost)
        previous.append(source)
    return totals, previous
