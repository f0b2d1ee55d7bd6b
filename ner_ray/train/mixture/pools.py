"""Sentences to draw from: annotated corpora and the grammar, and how a sentence is varied.

Mentions are swapped for others of their type, the spaces that tokenised corpora put around punctuation are removed,
some sentences are in capitals, some lose their full stop, some are joined.
"""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice, pairwise
from pathlib import Path

from ner_ray.data import AnnotatedText, Reject
from ner_ray.train.gold import read_gold
from ner_ray.train.mixture.config import MixtureConfig, SourceConfig
from ner_ray.train.mixture.sentences import Sentence, load_grammar, sentences
from ner_ray.types import Entity

VAGUE = "vague"
"""The label of mentions that a corpus only says belong to none of its other types."""

GRAMMAR = "grammar"
"""The name of the pool of sentences from the grammar."""

_GRAMMAR_TYPES = {
    "PER": "person", "ORG": "organization", "LOC": "location", "EVT": "event", "PRD": "product",
    "WRK": "work of art", "MISC": "miscellaneous",
}  # fmt: skip
_GAPS, _GAP_WEIGHTS = (" ", "\n", "\n\n"), (0.7, 0.2, 0.1)  # between sentences that are joined
_BEFORE_PUNCTUATION = re.compile(r" (?=[,.;:!?%)\]]|'(?:s|re|ve|m|ll|d)\b|n't\b)|(?<=[(\[]) ")


@dataclass(frozen=True, slots=True)
class Counts:
    """What the sources had that is not in the pools.

    Attributes:
        rejected: rows that are not usable annotated texts.
        dropped: entities that the label maps leave out.
        left_out: texts that are too long, have marks of their own, or overlapping entities.
    """

    rejected: int = 0
    dropped: int = 0
    left_out: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.rejected + other.rejected, self.dropped + other.dropped, self.left_out + other.left_out)


class Pools:
    """The sentences of all sources, by the name of the source.

    Raises:
        InputError: a source cannot be read.
    """

    def __init__(self, config: MixtureConfig, rng: random.Random) -> None:
        self._config, self._rng = config, rng
        self.counts = Counts()
        self.by_source = {name: list(self._read(name, source)) for name, source in config.sources.items()}
        self._weights = {name: source.weight for name, source in config.sources.items()}
        if config.grammar_weight:
            drawn = sentences(load_grammar(), config.seed)
            distinct = {sentence.text: sentence for sentence in islice(drawn, config.grammar_sentences)}
            self.by_source[GRAMMAR] = [_renamed(sentence) for sentence in distinct.values()]
            self._weights[GRAMMAR] = config.grammar_weight
        self.mentions = self._mentions()

    @property
    def size(self) -> int:
        """The number of sentences."""
        return sum(map(len, self.by_source.values()))

    def draw(self) -> tuple[str, Sentence]:
        """The name of a source, and one of its sentences, varied."""
        name = self._rng.choices(list(self._weights), list(self._weights.values()))[0]
        return name, self._varied(name)

    def draw_joined(self) -> tuple[str, Sentence]:
        """The same, with further sentences of the same source behind it now and then."""
        name, sentence = self.draw()
        while self._rng.random() < self._config.join:
            more = self._varied(name)
            gap = self._rng.choices(_GAPS, _GAP_WEIGHTS)[0]
            start = len(sentence.text) + len(gap)
            if start + len(more.text) > self._config.max_characters:
                break
            moved = (replace(entity, start=entity.start + start, end=entity.end + start) for entity in more.entities)
            labels = tuple(dict.fromkeys((*sentence.labels, *more.labels)))
            sentence = Sentence(f"{sentence.text}{gap}{more.text}", (*sentence.entities, *moved), labels)
        return name, sentence

    def _read(self, name: str, source: SourceConfig) -> Iterator[Sentence]:
        paths = [str(Path(self._config.folder) / file) for file in source.files]
        every = self._config.held_out.get(name)
        types = sorted({label for label in (source.labels or {}).values() if label})
        for at, text in enumerate(read_gold(paths, types, source.labels)):
            if isinstance(text, Reject):
                self.counts += Counts(rejected=1)
                continue
            self.counts += Counts(dropped=len(text.dropped))
            flat = _flat(text.entities)
            if "##" in text.text or len(text.text) > self._config.max_characters or flat is None:
                self.counts += Counts(left_out=1)
            elif not (every and at % every == 0):
                kept = (entity for entity in flat if not source.capitals_only or entity.text != entity.text.lower())
                yield Sentence(text.text, tuple(kept), _inventory(source, text))

    def _mentions(self) -> dict[tuple[str, str], list[str]]:
        """Mentions by style and type."""
        found: dict[tuple[str, str], list[str]] = defaultdict(list)
        for name, pool in self.by_source.items():
            for entity in (entity for sentence in pool for entity in sentence.entities):
                if entity.label != VAGUE:
                    found[self._style(name), entity.label].append(entity.text)
        return found

    def _style(self, name: str) -> str:
        return name if name == GRAMMAR else self._config.sources[name].style

    def _varied(self, name: str) -> Sentence:
        sentence = self._rng.choice(self.by_source[name])
        if name != GRAMMAR:
            other = GRAMMAR in self.by_source and self._rng.random() < 0.5
            sentence = self._swapped(sentence, GRAMMAR if other else self._style(name))
            if self._rng.random() < 0.5:
                sentence = natural(sentence)
        return self._noisy(sentence)

    def _swapped(self, sentence: Sentence, style: str) -> Sentence:
        def surface(entity: Entity) -> str:
            others = self.mentions.get((style, entity.label))
            return self._rng.choice(others) if others and self._rng.random() < self._config.swap else entity.text

        return _rewritten(sentence, [surface(entity) for entity in sentence.entities])

    def _noisy(self, sentence: Sentence) -> Sentence:
        chance, text = self._rng.random(), sentence.text
        if chance < 0.03:
            changed = text.upper() if chance < 0.02 else text.lower()
            # Some letters become two in capitals (ß): offsets would no longer fit.
            text = changed if len(changed) == len(text) else text
        elif chance < 0.06 and text.endswith((" .", " !", " ?")):
            text = text[:-2]
        entities = (replace(entity, text=text[entity.start : entity.end]) for entity in sentence.entities)
        return Sentence(text, tuple(entity for entity in entities if entity.end <= len(text)), sentence.labels)


def natural(sentence: Sentence) -> Sentence:
    """The sentence without the spaces that tokenised corpora put around punctuation and inside quotation marks."""
    gone = {match.start() for match in _BEFORE_PUNCTUATION.finditer(sentence.text)}
    quotes = [at for at, char in enumerate(sentence.text) if char == '"']
    for opening, closing in zip(quotes[::2], quotes[1::2], strict=False):
        gone |= {at for at in (opening + 1, closing - 1) if sentence.text[at] == " "}
    moved = [0]
    for at in range(len(sentence.text)):
        moved.append(moved[-1] + (at not in gone))
    text = "".join(char for at, char in enumerate(sentence.text) if at not in gone)
    places = ((moved[entity.start], moved[entity.end], entity.label) for entity in sentence.entities)
    entities = tuple(Entity(start, end, text[start:end], label) for start, end, label in places)
    return Sentence(text, entities, sentence.labels)


def _rewritten(sentence: Sentence, surfaces: Sequence[str]) -> Sentence:
    """The sentence with other surfaces in place of its entities."""
    text, last, entities = "", 0, []
    for entity, surface in zip(sentence.entities, surfaces, strict=True):
        text += sentence.text[last : entity.start]
        entities.append(Entity(len(text), len(text) + len(surface), surface, entity.label))
        text += surface
        last = entity.end
    return Sentence(text + sentence.text[last:], tuple(entities), sentence.labels)


def _renamed(sentence: Sentence, names: Mapping[str, str] = _GRAMMAR_TYPES) -> Sentence:
    entities = tuple(replace(entity, label=names[entity.label]) for entity in sentence.entities)
    return Sentence(sentence.text, entities, tuple(names.values()))


def _inventory(source: SourceConfig, text: AnnotatedText) -> tuple[str, ...]:
    """The types that annotators looked for."""
    if source.labels is None:
        return tuple(label.name for label in text.labels or ())
    return tuple(dict.fromkeys(label for label in source.labels.values() if label))


def _flat(entities: Sequence[Entity]) -> list[Entity] | None:
    """The entities in order; None if any overlap, or if one is a mere `@`, as in some tweets."""
    ordered = sorted(entities, key=lambda entity: entity.start)
    overlap = any(left.end > right.start for left, right in pairwise(ordered))
    return None if overlap or any(entity.text == "@" for entity in ordered) else ordered
