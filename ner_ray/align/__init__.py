"""What a model named, put onto the text: one contract for answers that repeat it and that list mentions.

Every entity comes with `start, end, status, score`, and `source[start:end] == entity.text`; what cannot be
placed comes back as an unaligned mention.
"""

from __future__ import annotations

from ner_ray.align.matching import match_words
from ner_ray.align.mentions import place_mentions
from ner_ray.align.votes import join
from ner_ray.align.words import align_copy
from ner_ray.config import AlignConfig
from ner_ray.types import Placement, Reading

__all__ = ["align_copy", "join", "match_words", "place", "place_mentions"]


def place(source: str, reading: Reading, config: AlignConfig) -> Placement:
    """Puts the mentions of a reading onto the text that it is about, by the kind of answer it came from."""
    if reading.copy is None:
        return place_mentions(source, reading.mentions, config)
    return align_copy(source, reading.copy, reading.mentions, config)
