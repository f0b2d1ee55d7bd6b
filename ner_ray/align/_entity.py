"""The entity that a mention becomes once its place is known, by one rule for both aligners."""

from __future__ import annotations

from rapidfuzz.distance import Indel

from ner_ray.config import AlignConfig
from ner_ray.text.normalize import fold
from ner_ray.text.tokens import is_boundary
from ner_ray.types import Entity, Mention, SpanStatus

ROUNDING = 1e-9
"""Fractions in floating point reach a threshold if they fall short of it by less than this."""

CUTOFF = 1e-5
"""How far a `score_cutoff` must lie below a threshold: rapidfuzz gives 0 for a similarity that equals the cutoff."""


def entity_at(
    source: str, start: int, end: int, mention: Mention, config: AlignConfig, *, listed: bool
) -> Entity | None:
    """The entity that a mention becomes at `source[start:end]`, or None if `config` does not want such a match.

    `exact` means the same characters, `normalized` the same normal form. Everything else is `fuzzy`; its score is
    multiplied by the similarity of what was named and what was found. A mention without a score has that similarity as
    its score (1 unless fuzzy).

    A span that begins or ends inside a word is `inside_word`, however the answer named it. For listed mentions, white
    space counts as a character; in a copy of the text, it is the prompt's.
    """
    found = source[start:end]
    status, quality = SpanStatus.EXACT, 1.0
    if found != mention.text and (listed or _without_blanks(found) != _without_blanks(mention.text)):
        folded = _without_blanks(fold(found)), _without_blanks(fold(mention.text))
        if config.normalize and folded[0] == folded[1]:
            status = SpanStatus.NORMALIZED
        elif config.fuzzy:
            status, quality = SpanStatus.FUZZY, Indel.normalized_similarity(*folded)
        else:
            return None
    if status is not SpanStatus.FUZZY and not (is_boundary(source, start) and is_boundary(source, end)):
        status = SpanStatus.INSIDE_WORD
    score = quality if mention.score is None else mention.score * quality
    return Entity(start, end, found, mention.label, score, status)


def _without_blanks(text: str) -> str:
    return "".join(text.split())
