"""What a model named, put onto the text: one contract for answers that repeat it and that list mentions.

Every entity comes with `start, end, status, score`, and `source[start:end] == entity.text`; what cannot be
placed comes back as an unaligned mention.
"""

from __future__ import annotations

from ner_ray.align.matching import match_words
from ner_ray.align.mentions import align_mentions
from ner_ray.align.votes import join
from ner_ray.align.words import align_copy
from ner_ray.config import AlignConfig
from ner_ray.types import Alignment, Reading

__all__ = ["align", "align_copy", "align_mentions", "join", "match_words"]


def align(source: str, reading: Reading, config: AlignConfig) -> Alignment:
    """Puts the mentions of a reading onto the text that it is about, by the kind of answer it came from."""
    if reading.copy is None:
        return align_mentions(source, reading.mentions, config)
    return align_copy(source, reading.copy, reading.mentions, config)
