"""Places surfaces that an answer lists, in the order in which it lists them.

For answers that say what they found, but not where. Candidate places for each surface are, in this order, and only as
far as the ones before are fewer than the times it is listed:

1. where it occurs verbatim;
2. where its normal form occurs;
3. where it occurs verbatim, but only inside a longer word (`inside_word`): a name with an Arabic or Hebrew prefix, an
   inflected one, a number with its unit, words that OCR glued together;
4. where something similar occurs, if there is nothing else.

A path through the candidates then picks one for each mention. A path pays for going back in the text, for overlaps, for
places inside a longer listed mention, and for inexact places; the cheapest path wins. Order is thus preferred, not
required, and lists sorted by label, or not at all, are placed too.
"""

from __future__ import annotations

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, pairwise
from typing import NamedTuple

import regex
from rapidfuzz import process
from rapidfuzz.distance import Indel

from ner_ray.align._entity import CUTOFF, ROUNDING, entity_at
from ner_ray.config import AlignConfig
from ner_ray.text.normalize import Normalized, fold, normalize
from ner_ray.text.tokens import UNSPACED, is_boundary, is_grapheme_boundary, spans
from ner_ray.types import Alignment, Entity, Mention

# What a path pays. Going back costs more than overlaps or inexact places, so that order decides wherever a list has
# one. A place outside the core costs more than going there and back; one inside a word, more than anything else.
_BACK = 1.0
_NESTED = 0.5
_OVERLAP = 0.25
_INEXACT = 0.25
_OUTSIDE_CORE = 3.0
_INSIDE_WORD = 10.0

_MAX_PLACES = 1000  # per surface; more do not matter in a text that a model reads at once
_MAX_TRIED = 20_000  # occurrences of one surface, most of them inside words: a text of one letter, repeated
_MAX_CHOICES = 1 << 15  # places that the mentions of an answer choose from together; more have only repeated letters
_MAX_SIMILAR = 8
_WIDER = range(-1, 3)  # tokens that a similar window may have more than the surface

_UNSPACED = regex.compile(rf"(?V1)[{UNSPACED}]")


class _Place(NamedTuple):
    start: int
    end: int
    cost: float


@dataclass(frozen=True, slots=True)
class _Occurrences:
    """Where a surface occurs: as whole words, and inside longer ones; each sorted and without overlaps."""

    whole: list[_Place]
    inside: list[_Place]


def align_mentions(
    source: str, mentions: Sequence[Mention], config: AlignConfig, core: tuple[int, int] | None = None
) -> Alignment:
    """Places listed mentions in `source`; total, and sorted by offset.

    A surface listed several times with one label takes as many different places; if there are fewer, the last mentions
    are unaligned. With `config.occurrences` "all", each surface takes every place it has, except those inside a longer
    listed mention if it has others: for models that list each surface once (UniversalNER, RA-IT). The default,
    "listed", makes no entity that the model did not name.

    Args:
        source: the text.
        mentions: in the order of the answer; their `start` and `end` are ignored.
        config: which kinds of match are wanted.
        core: the half-open range of `source` in which entities must start to be kept (the rest is kept by the
            neighbouring chunks). A mention that occurs both outside and inside of it is found inside.

    >>> [entity.start for entity in align_mentions("Rome, Paris, Rome", [Mention("Rome")], AlignConfig()).entities]
    [0]
    >>> align_mentions("aspirin 100mg", [Mention("100")], AlignConfig()).entities[0].status.value
    'inside_word'
    """
    places = _places(source, mentions, config)
    if config.occurrences == "all":
        chosen = _everywhere(mentions, places)
    else:
        chosen = _in_order(mentions, _preferring(core, places) if core else places)
    entities: dict[tuple[int, int, str], Entity] = {}
    placed: set[int] = set()
    for index, place in chosen:
        mention = replace(mentions[index], text=mentions[index].text.strip())
        entity = entity_at(source, place.start, place.end, mention, config, listed=True)
        if entity is not None:
            placed.add(index)
            entities.setdefault((entity.start, entity.end, entity.label), entity)
    unaligned = tuple(mention for index, mention in enumerate(mentions) if index not in placed)
    return Alignment(tuple(entities[key] for key in sorted(entities)), unaligned)


def _places(source: str, mentions: Sequence[Mention], config: AlignConfig) -> dict[str, list[_Place]]:
    """The candidate places of each distinct surface, sorted and without overlaps."""
    wanted = _wanted(mentions)
    found = {surface: _exact(source, surface) for surface in wanted}
    lacking = [surface for surface, times in wanted.items() if len(found[surface].whole) < times]
    normal = normalize(source) if lacking and (config.normalize or config.fuzzy) else None
    if normal is not None and config.normalize:
        found.update(_all_normalized(source, normal, lacking))
    places = {surface: _enough(found[surface], times, config) for surface, times in wanted.items()}
    if normal is not None and config.fuzzy:
        _add_similar(source, normal, places, config)
    return _with_nested(places)


def _wanted(mentions: Sequence[Mention]) -> dict[str, int]:
    """How many different places each surface needs: the most times it is listed with one label."""
    listed = Counter((mention.text.strip(), mention.label) for mention in mentions)
    wanted: dict[str, int] = {}
    for (surface, _), times in listed.items():
        if surface:
            wanted[surface] = max(times, wanted.get(surface, 0))
    return wanted


def _enough(found: _Occurrences, times: int, config: AlignConfig) -> list[_Place]:
    """Whole words; of the places inside longer words only as many as are still needed."""
    needed = times - len(found.whole)
    if needed <= 0 or not config.inside_words:
        return found.whole
    everywhere = config.occurrences == "all" and not found.whole
    return sorted(found.whole + (found.inside if everywhere else found.inside[:needed]))


def _exact(source: str, surface: str) -> _Occurrences:
    found = _Occurrences([], [])
    at = source.find(surface)
    for _ in range(_MAX_TRIED):
        if at < 0 or len(found.whole) >= _MAX_PLACES:
            break
        taken = _add(found, source, at, at + len(surface), 0.0)
        at = source.find(surface, at + len(surface) if taken else at + 1)
    return found


def _add(found: _Occurrences, source: str, start: int, end: int, cost: float, *, verbatim: bool = True) -> bool:
    """Adds a place if it is one; returns whether it is a place of whole words."""
    if is_boundary(source, start) and is_boundary(source, end):
        found.whole.append(_Place(start, end, cost))
        return True
    free = len(found.inside) < _MAX_PLACES and not (found.inside and start < found.inside[-1].end)
    if verbatim and free and is_grapheme_boundary(source, start) and is_grapheme_boundary(source, end):
        found.inside.append(_Place(start, end, _INSIDE_WORD))
    return False


def _all_normalized(source: str, normal: Normalized, surfaces: Sequence[str]) -> Iterator[tuple[str, _Occurrences]]:
    """Places of the normal forms; spaces do not count where scripts without them are involved."""
    squeezed = _without_blanks(normal)
    for surface in surfaces:
        found = _normalized(source, normal, surface)
        if not found.whole and _UNSPACED.search(surface):
            found = _normalized(source, squeezed, "".join(surface.split()))
        yield surface, found


def _normalized(source: str, normal: Normalized, surface: str) -> _Occurrences:
    needle = fold(surface)
    canonical = unicodedata.normalize("NFC", surface)
    found = _Occurrences([], [])
    at = normal.text.find(needle) if needle else -1
    for _ in range(_MAX_TRIED):
        if at < 0 or len(found.whole) >= _MAX_PLACES:
            break
        stop = at + len(needle)
        start, end = normal.to_source(at, stop)
        same = source[start:end] == surface
        taken = normal.is_whole(at, stop) and _add(
            found,
            source,
            start,
            end,
            0.0 if same else _INEXACT,
            verbatim=same or unicodedata.normalize("NFC", source[start:end]) == canonical,
        )
        at = normal.text.find(needle, stop if taken else at + 1)
    return found


def _without_blanks(normal: Normalized) -> Normalized:
    """The form in which spaces, which models like to put between scripts, make no difference."""
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
        score_cutoff=threshold - CUTOFF,
        limit=16 * _MAX_SIMILAR,
    )
    least = max(threshold - ROUNDING, ROUNDING)
    found: list[_Place] = []
    for _, similarity, index in ranked:
        start, end = normal.to_source(*windows[index])
        free = all(end <= other.start or other.end <= start for other in found)
        whole = normal.is_whole(*windows[index]) and is_boundary(source, start) and is_boundary(source, end)
        if similarity >= least and free and whole and (start, end) not in taken and len(found) < _MAX_SIMILAR:
            found.append(_Place(start, end, _INEXACT + 1 - similarity))
    return sorted(found)


def _preferring(core: tuple[int, int], places: Mapping[str, list[_Place]]) -> dict[str, list[_Place]]:
    """The same places; those that start outside the core cost more."""
    return {
        surface: [
            place if core[0] <= place.start < core[1] else place._replace(cost=place.cost + _OUTSIDE_CORE)
            for place in found
        ]
        for surface, found in places.items()
    }


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
    """Every place of each mention; a repeated mention has the first of them once more."""
    seen: set[tuple[str, str]] = set()
    for index, mention in enumerate(mentions):
        key = mention.text.strip(), mention.label
        found = places.get(key[0], [])
        outermost = found[:1] if key in seen else [place for place in found if place.cost < _NESTED]
        seen.add(key)
        for place in outermost or found:
            yield index, place


def _in_order(mentions: Sequence[Mention], places: Mapping[str, list[_Place]]) -> Iterator[tuple[int, _Place]]:
    """One place for each mention that can have a place of its own."""
    keys = [(mention.text.strip(), mention.label) for mention in mentions]
    listed: Counter[tuple[str, str]] = Counter()
    numbered: list[tuple[int, int]] = []
    for index, key in enumerate(keys):
        if listed[key] < len(places.get(key[0], ())):
            numbered.append((index, listed[key]))
            listed[key] += 1
    share = max(1, _MAX_CHOICES // max(1, len(numbered)))
    steps = [_eligible(places[keys[index][0]], number, listed[keys[index]], share) for index, number in numbered]
    used: defaultdict[tuple[str, str], set[int]] = defaultdict(set)
    for (index, number), choice in zip(numbered, _cheapest(steps), strict=True):
        found, taken = places[keys[index][0]], used[keys[index]]
        at = number + choice
        own = next(place for place in chain(range(at, len(found)), range(at)) if place not in taken)
        taken.add(own)
        yield index, found[own]


def _eligible(found: list[_Place], number: int, times: int, share: int) -> list[_Place]:
    """The places that the mention of this number can have, if all of its kind come in the order of the text."""
    last = len(found) - times + number
    return found[number : min(last, number + share - 1) + 1]


def _cheapest(steps: Sequence[list[_Place]]) -> list[int]:
    """The place of each step on the cheapest path, the earliest of several; linear in the places."""
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
    """The cost of the cheapest path to each place, and the place before it: going forward is free, all else costs."""
    anywhere = min(range(len(before)), key=costs.__getitem__)
    ended = begun = -1  # the cheapest that ends before this place, and the cheapest that begins before it
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
