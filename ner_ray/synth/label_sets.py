"""Which labels a training prompt offers: B2NER's label-set regularisation.

A model that always sees the same list learns the list. So each prompt offers a part of it, some labels less, in random
order (Yang et al., "Beyond Boundaries", 2024; github.com/UmeanNever/B2NER, commit 01858da, `b2ner_dataset.py`). Random
numbers are drawn as they draw them, so a seeded `random.Random` gives their lists, but for sets above the limit: there
they draw the labels that fill the list from all labels and so may show fewer, in an order that depends on the process.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence

from pydantic import BaseModel, ConfigDict, Field


class LabelSetOptions(BaseModel):
    """The defaults are those of the published training scripts."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_labels: int | None = Field(default=18, ge=1, description="The most labels of a prompt; null: all there are.")
    dropout: float = Field(
        default=0.1, ge=0, le=1, description="The probability that a label is left out, and with it its entities."
    )
    shuffle: bool = Field(default=True, description="Offer the labels in random order.")


def regularize(
    labels: Sequence[str], present: Iterable[str], options: LabelSetOptions, rng: random.Random
) -> list[str]:
    """The labels to offer; what is not among them is to be left out of the answer as well.

    Args:
        labels: of the data set.
        present: the labels of the passage's entities; one that is not among `labels` is offered like the others.
        options: what to do.
        rng: its state decides the draw.
    """
    offered = list(labels)
    if options.max_labels is not None and len(offered) > options.max_labels:
        offered = _limited(offered, list(dict.fromkeys(present)), options.max_labels, rng)
    if options.dropout:
        kept = [label for label in offered if rng.random() > options.dropout]
        offered = kept if kept or not offered else [rng.choice(offered)]
    return rng.sample(offered, len(offered)) if options.shuffle else offered


def _limited(labels: Sequence[str], present: Sequence[str], limit: int, rng: random.Random) -> list[str]:
    """The labels of the passage, and as many others as there is room for."""
    kept = rng.sample(present, limit) if len(present) > limit else list(present)
    others = [label for label in labels if label not in set(present)]
    return [*kept, *rng.sample(others, min(limit - len(kept), len(others)))]
