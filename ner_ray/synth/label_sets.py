"""Which labels a training prompt offers: B2NER's label-set regularisation.

A model that always sees the same list learns the list. So each prompt offers only a part of it, with some labels
dropped, in random order (Yang et al., "Beyond Boundaries", 2024; github.com/UmeanNever/B2NER, commit 01858da,
`b2ner_dataset.py`). Random numbers are drawn in the same order as there, so a seeded `random.Random` gives the same
lists, except for sets above the limit: the published code fills such a list from all labels, so its list may be
shorter, in an order that depends on the process.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence

from ner_ray.synth.config import LabelSetOptions


def regularize(
    labels: Sequence[str], present: Iterable[str], options: LabelSetOptions, rng: random.Random
) -> list[str]:
    """The labels to offer; entities with any other label must be left out of the answer too.

    >>> regularize(["a", "b", "c"], ["c"], LabelSetOptions(max_labels=2, dropout=0, shuffle=False), random.Random(0))
    ['c', 'b']

    Args:
        labels: the labels of the data set.
        present: the labels of the passage's entities; any that are not in `labels` are offered like the others.
        options: limit, dropout, shuffling.
        rng: source of all random numbers.
    """
    offered = list(labels)
    if options.max_labels is not None and len(offered) > options.max_labels:
        offered = _limited(offered, list(dict.fromkeys(present)), options.max_labels, rng)
    if options.dropout:
        kept = [label for label in offered if rng.random() > options.dropout]
        offered = kept if kept or not offered else [rng.choice(offered)]
    return rng.sample(offered, len(offered)) if options.shuffle else offered


def _limited(labels: Sequence[str], present: Sequence[str], limit: int, rng: random.Random) -> list[str]:
    """The labels of the passage, and as many others as the limit allows."""
    kept = rng.sample(present, limit) if len(present) > limit else list(present)
    others = [label for label in labels if label not in set(present)]
    return [*kept, *rng.sample(others, min(limit - len(kept), len(others)))]
