"""What a mention becomes once its place is known; one rule for both aligners."""

from __future__ import annotations

from rapidfuzz.distance import Indel

from ner_ray.config import AlignConfig
from ner_ray.text.normalize import fold
from ner_ray.types import Entity, Mention, SpanStatus


def entity_at(
    source: str, start: int, end: int, mention: Mention, config: AlignConfig, *, blanks_count: bool
) -> Entity | None:
    """The entity that a mention is at `source[start:end]`: status and score by what stands there.

    `exact`: the same characters; `normalized`: the same normal form; all else is `fuzzy`, and its score is
    scaled by the similarity of what was named and what was found. A mention without a score has that
    similarity (1 where it is not fuzzy) as its score. None if the configuration does not want such a match.
    Where `blanks_count`, other white space makes `exact` into `normalized`.
    """
    found = source[start:end]
    named = mention.text
    status, quality = SpanStatus.EXACT, 1.0
    if found != named and (blanks_count or _without_blanks(found) != _without_blanks(named)):
        folded = _without_blanks(fold(found)), _without_blanks(fold(named))
        if config.normalize and folded[0] == folded[1]:
            status = SpanStatus.NORMALIZED
        elif config.fuzzy:
            status, quality = SpanStatus.FUZZY, Indel.normalized_similarity(*folded)
        else:
            return None
    score = quality if mention.score is None else mention.score * quality
    return Entity(start, end, found, mention.label, score, status)


def _without_blanks(text: str) -> str:
    return "".join(text.split())
