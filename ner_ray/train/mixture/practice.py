"""Practice in copying without losing one's place, for models that learn to copy from nothing.

Words in random order, few of them distinct, and phrases and mentions that keep recurring, so that only the words
further back tell what comes next.
"""

from __future__ import annotations

import random

from ner_ray.train.mixture.config import MixtureConfig
from ner_ray.train.mixture.pools import Pools
from ner_ray.train.mixture.sentences import Sentence
from ner_ray.types import Entity


class Practice:
    """Texts to copy, made of the words and mentions of some pools."""

    def __init__(self, config: MixtureConfig, pools: Pools, rng: random.Random) -> None:
        self._config, self._rng = config, rng
        self._mentions = list(pools.mentions.items())
        found = (sentence.text.split() for pool in pools.by_source.values() for sentence in pool)
        self._words = sorted({word for words in found for word in words})
        self._plain = [word for word in self._words if word == word.lower() and "#" not in word] or ["and"]

    def draw(self) -> Sentence:
        """A text with the mentions in it; their labels are types."""
        return self._scrambled() if self._rng.random() < 0.5 else self._refrain()

    def _scrambled(self) -> Sentence:
        """Between 2 and 40 words, mostly few, of which between a quarter and all are distinct."""
        length = round(2 * 20 ** self._rng.random())
        known = self._rng.choices(self._words, k=max(2, round(length * self._rng.uniform(0.25, 1))))
        return Sentence(" ".join(self._rng.choices(known, k=length)).replace("#", ""), ())

    def _refrain(self) -> Sentence:
        """Between 2 and 14 pieces drawn from a few that recur: some words without capitals, or a mention."""
        pieces = [self._piece() for _ in range(self._rng.randint(2, 5))]
        text, entities = "", []
        for piece, label in self._rng.choices(pieces, k=self._rng.randint(2, 14)):
            if len(text) + len(piece) >= self._config.max_characters:
                break
            start = len(text) + bool(text)
            text = f"{text} {piece}" if text else piece
            if label:
                entities.append(Entity(start, len(text), piece, label))
        return Sentence(text, tuple(entities))

    def _piece(self) -> tuple[str, str | None]:
        if self._mentions and self._rng.random() < 0.3:
            (_, label), surfaces = self._rng.choice(self._mentions)
            return self._rng.choice(surfaces), label
        return " ".join(self._rng.choices(self._plain, k=self._rng.randint(1, 5))), None
