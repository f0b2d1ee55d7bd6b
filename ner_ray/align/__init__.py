"""Places what a model named in the text: one contract for answers that repeat it or list mentions.

Every entity comes with `start`, `end`, `status` and `score`, and `source[start:end] == entity.text`; mentions that
cannot be placed are returned as unaligned.
"""

from __future__ import annotations

from ner_ray.align.matching import match_words
from ner_ray.align.mentions import align_mentions
from ner_ray.align.votes import join
from ner_ray.align.words import align_copy
from ner_ray.config import AlignConfig
from ner_ray.types import Alignment, Reading

__all__ = ["align", "align_copy", "align_mentions", "join", "match_words"]


def align(source: str, reading: Reading, config: AlignConfig, core: tuple[int, int] | None = None) -> Alignment:
    """Places the mentions of a reading in the text that was annotated, according to the kind of answer.

    Args:
        source: the text that the model was given.
        reading: the family's interpretation of the answer.
        config: which kinds of match are wanted.
        core: if known, the half-open range of `source` whose entities are kept; see `align_mentions`.
    """
    if reading.copy is None:
        return align_mentions(source, reading.mentions, config, core)
    return align_copy(source, reading.copy, reading.mentions, config)
