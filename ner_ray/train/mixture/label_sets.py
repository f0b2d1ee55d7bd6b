"""Label sets to ask for: drawn anew for every line, so that a model learns to read them.

A type of the text is left out now and then, and with it its entities; types that do not occur are asked for as well;
types have other names, and other capitals; the order is random.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from ner_ray.train.mixture.config import MixtureConfig
from ner_ray.train.mixture.pools import VAGUE
from ner_ray.train.mixture.sentences import Sentence
from ner_ray.types import Entity

MISCELLANEOUS = "miscellaneous"
"""The type that stands for vague mentions."""

_KEPT = 0.85  # the probability that a type is asked for that could occur, but does not
_FOREIGN = 0.3  # the probability that types are asked for that the source does not mention
_MOST_FOREIGN = 4
_SPELLINGS: Sequence[tuple[float, Callable[[str], str]]] = (
    (0.76, str),
    (0.82, str.upper),
    (0.90, str.title),
    (0.95, str.capitalize),
    (1.0, lambda name: name.replace(" ", "_")),
)


class LabelSets:
    """Draws the label set of a line.

    Args:
        config: of the mixture.
        rng: all draws are its.
    """

    def __init__(self, config: MixtureConfig, rng: random.Random) -> None:
        self._config, self._rng = config, rng

    def draw(self, source: str, sentence: Sentence) -> tuple[tuple[str, ...], tuple[Entity, ...]]:
        """The labels to ask for, and the entities of the sentence that have one of them, by that name."""
        types = self._types(source, sentence)
        shown = self._shown(types)
        kept = (replace(entity, label=_type(entity.label)) for entity in sentence.entities)
        named = (replace(entity, label=shown[entity.label]) for entity in kept if entity.label in shown)
        return tuple(shown.values()), tuple(named)

    def _types(self, source: str, sentence: Sentence) -> list[str]:
        rng, most = self._rng, self._config.max_labels
        present = list(dict.fromkeys(_type(entity.label) for entity in sentence.entities))
        possible = list(dict.fromkeys(map(_type, sentence.labels)))
        rng.shuffle(present)
        asked = [label for label in present if rng.random() >= self._config.label_dropout][:most]
        others = [label for label in possible if label not in present and rng.random() < _KEPT]
        rng.shuffle(others)
        asked += others[: rng.randint(2, most) if len(others) > most else most]
        settings = self._config.sources.get(source)
        if settings and settings.absent and rng.random() < _FOREIGN:
            foreign = [label for label in settings.absent if label not in possible]
            asked += rng.sample(foreign, min(len(foreign), rng.randint(1, _MOST_FOREIGN)))
        asked = asked[:most] or present[:1] or possible[:1]
        rng.shuffle(asked)
        return asked

    def _shown(self, types: Sequence[str]) -> Mapping[str, str]:
        """Type -> the name that stands for it; no two types have the same."""
        chance = self._rng.random()
        spelling = next(change for bound, change in _SPELLINGS if chance < bound)
        shown: dict[str, str] = {}
        for label in types:
            others = self._config.names.get(label)
            other = others and self._rng.random() < self._config.other_names
            name = spelling(self._rng.choice(others) if others and other else label)
            shown[label] = name if name not in shown.values() else spelling(label)
        return shown


def _type(label: str) -> str:
    return MISCELLANEOUS if label == VAGUE else label
