"""The starter's training file: annotated corpora and sentences of our own, varied, asked in cascade's two roles.

What varies a sentence: mentions are swapped for others of their type, the blanks that tokenised corpora put around
punctuation are taken out, some sentences are in capitals, some lose their full stop, some stand together. Label lists
for the classifier are shuffled and drawn anew for every question, with now and then another name for a type. A share
of the lines is practice in keeping one's place: words in no order, few of them distinct, and phrases and mentions that
come again and again, so that only what stands further back tells what comes next.
"""

from __future__ import annotations

import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice, pairwise
from pathlib import Path

from pydantic import Field

from ner_ray.config import Section, operational
from ner_ray.families.base import Step
from ner_ray.train.examples import to_line
from ner_ray.train.judge import annotated, steps_of
from ner_ray.train.prepare import Prepared
from ner_ray.train.starter.sentences import Sentence, load_grammar, sentences
from ner_ray.types import Entity, Exchange, Label, StepInput

VAGUE = "vague"
"""The label of mentions of which a corpus says only that they are none of its other types."""

_NAMES: dict[str, tuple[str, ...]] = {
    "person": ("people", "per", "human", "person name"),
    "organization": ("organisation", "company", "org", "group", "institution"),
    "location": ("place", "loc", "geographical place"),
    "event": ("event",),
    "product": ("object",),
    "work of art": ("creative work", "art", "title"),
    "miscellaneous": ("other", "misc"),
}
_CORE = ("person", "organization", "location")
_FINE = ("event", "product", "work of art")
_GRAMMAR_TYPES = {
    "PER": "person", "ORG": "organization", "LOC": "location", "EVT": "event", "PRD": "product",
    "WRK": "work of art", "MISC": "miscellaneous",
}  # fmt: skip
_BEFORE_PUNCTUATION = re.compile(r" (?=[,.;:!?%)\]]|'(?:s|re|ve|m|ll|d)\b|n't\b)|(?<=[(\[]) ")


class SourceConfig(Section):
    """Some annotated files and what their labels mean."""

    files: list[str] = operational(description="Parquet files, below the mixture's `folder`.")
    weight: float = Field(gt=0, description="How often a sentence is drawn from here, against the others.")
    labels: dict[str, str | None] = Field(
        description="The corpus' label -> a type of the starter, `vague`, or null for none."
    )
    style: str = Field(description="Mentions are swapped between sources of the same style.")
    capitals_only: bool = Field(default=False, description="Leave out mentions without a capital letter.")


class MixtureConfig(Section):
    """The configuration of the starter's training file."""

    folder: str = operational(description="Where the sources' files are.")
    sources: dict[str, SourceConfig]
    grammar_weight: float = Field(default=6.0, ge=0, description="Of our own sentences, against the sources.")
    grammar_sentences: int = Field(default=150_000, ge=1, description="Of them, distinct.")
    held_out: dict[str, int] = Field(
        default_factory=dict, description="Of a source, every n-th row is left out, to judge by."
    )
    examples: int = Field(default=400_000, ge=1, description="Lines to write.")
    classifier_share: float = Field(default=0.28, ge=0, le=1)
    classifier_weight: float = Field(
        default=3.0,
        gt=0,
        description="Of a classifier's line in the loss: its answer is but a word.",
    )
    copying_share: float = Field(default=0.12, ge=0, le=1, description="Practice in keeping one's place.")
    swap: float = Field(default=0.2, ge=0, le=1, description="The chance of a mention to be swapped.")
    join: float = Field(default=0.12, ge=0, lt=1, description="The chance of a further sentence behind one.")
    max_characters: int = Field(default=420, ge=20)
    output: str = operational(description="The JSON Lines file to write.")
    seed: int = 0


def prepare_mixture(config: MixtureConfig) -> Prepared:
    """Writes the training file; the same configuration and sources give the same bytes.

    Raises:
        InputError: a source cannot be read.
    """
    mixture = _Mixture(config)
    extractor, classifier = steps_of({"name": "cascade", "system": ""})
    counts: Counter[str] = Counter()
    target = Path(config.output)
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(target.name + ".part")
    with unfinished.open("w", encoding="utf-8") as file:
        while counts.total() < config.examples:
            for kind, line in mixture.draw(extractor, classifier):
                counts[kind] += 1
                file.write(line + "\n")
    unfinished.replace(target)
    rows = sum(map(len, mixture.pools.values()))
    return Prepared(str(target), rows, mixture.left_out, dict(sorted(counts.items())), dict(mixture.unsaid))


class _Mixture:
    """The sentences of all sources, and a way to draw from them."""

    def __init__(self, config: MixtureConfig) -> None:
        self.config = config
        self.rng = random.Random(config.seed)  # noqa: S311 - data, not secrets
        self.left_out = 0
        self.unsaid: Counter[str] = Counter()
        self.pools = {name: list(self._read(name, source)) for name, source in config.sources.items()}
        self.weights = {name: source.weight for name, source in config.sources.items()}
        if config.grammar_weight:
            drawn = sentences(load_grammar(), config.seed)
            distinct = {one.text: one for one in islice(drawn, config.grammar_sentences)}
            self.pools["grammar"] = [_renamed(one) for one in distinct.values()]
            self.weights["grammar"] = config.grammar_weight
        self.mentions = self._mentions()
        self.words = sorted({word for pool in self.pools.values() for one in pool for word in one.text.split()})
        self.plain = [word for word in self.words if word == word.lower() and "#" not in word] or ["and"]

    def draw(self, extractor: Step, classifier: Step) -> Iterator[tuple[str, str]]:
        """One line with its kind, or none where the sentence has nothing to ask about."""
        chance = self.rng.random()
        if chance < self.config.copying_share:
            practice = self._scrambled() if self.rng.random() < 0.5 else self._refrain()
            passage = StepInput(practice.text, ())
            yield from (("copying", to_line(one)) for one in self._targets(extractor, passage, practice.entities))
        elif chance < self.config.copying_share + self.config.classifier_share:
            sentence = self._sentence()
            if sentence.entities:
                passage, entity = self._question(sentence)
                for exchange in self._targets(classifier, passage, (entity,)):
                    yield "classifier", to_line(exchange, weight=self.config.classifier_weight)
        else:
            sentence = self._joined()
            passage = StepInput(sentence.text, ())
            yield from (("extractor", to_line(one)) for one in self._targets(extractor, passage, sentence.entities))

    def _targets(self, step: Step, passage: StepInput, entities: Sequence[Entity]) -> tuple[Exchange, ...]:
        targets = step.targets(passage, entities)
        self.unsaid.update(left_out.reason for left_out in targets.left_out)
        return targets.exchanges

    def _read(self, name: str, source: SourceConfig) -> Iterator[Sentence]:
        paths = [str(Path(self.config.folder) / file) for file in source.files]
        every = self.config.held_out.get(name)
        types = sorted({label for label in source.labels.values() if label})
        for at, (passage, entities) in enumerate(annotated(paths, types, source.labels)):
            flat = _flat(entities)
            if "##" in passage.text or len(passage.text) > self.config.max_characters or flat is None:
                self.left_out += 1
            elif not (every and at % every == 0):
                kept = (one for one in flat if not source.capitals_only or one.text != one.text.lower())
                yield Sentence(passage.text, tuple(kept))

    def _mentions(self) -> dict[tuple[str, str], list[str]]:
        """Mentions by style and type."""
        found: dict[tuple[str, str], list[str]] = defaultdict(list)
        for name, pool in self.pools.items():
            for entity in (entity for one in pool for entity in one.entities):
                if entity.label != VAGUE:
                    found[self._style(name), entity.label].append(entity.text)
        return found

    def _style(self, name: str) -> str:
        return name if name == "grammar" else self.config.sources[name].style

    def _sentence(self) -> Sentence:
        name = self.rng.choices(list(self.weights), list(self.weights.values()))[0]
        sentence = self.rng.choice(self.pools[name])
        if name != "grammar":
            other = "grammar" in self.pools and self.rng.random() < 0.5
            sentence = self._swapped(sentence, "grammar" if other else self._style(name))
            if self.rng.random() < 0.5:
                sentence = natural(sentence)
        return self._noisy(sentence)

    def _swapped(self, sentence: Sentence, style: str) -> Sentence:
        def surface(entity: Entity) -> str:
            others = self.mentions.get((style, entity.label))
            return self.rng.choice(others) if others and self.rng.random() < self.config.swap else entity.text

        return _rewritten(sentence, [surface(entity) for entity in sentence.entities])

    def _noisy(self, sentence: Sentence) -> Sentence:
        chance, text = self.rng.random(), sentence.text
        if chance < 0.03:
            changed = text.upper() if chance < 0.02 else text.lower()
            # Some letters are two when they are large (ß): then offsets would not hold.
            text = changed if len(changed) == len(text) else text
        elif chance < 0.06 and text.endswith((" .", " !", " ?")):
            text = text[:-2]
        entities = (replace(one, text=text[one.start : one.end]) for one in sentence.entities)
        return Sentence(text, tuple(one for one in entities if one.end <= len(text)))

    def _joined(self) -> Sentence:
        sentence = self._sentence()
        while self.rng.random() < self.config.join:
            more = self._sentence()
            start = len(sentence.text) + 1
            if start + len(more.text) > self.config.max_characters:
                break
            moved = (replace(one, start=one.start + start, end=one.end + start) for one in more.entities)
            sentence = Sentence(f"{sentence.text} {more.text}", (*sentence.entities, *moved))
        return sentence

    def _scrambled(self) -> Sentence:
        """Between 2 and 40 words, mostly short lists, of which a quarter to all are distinct."""
        length = round(2 * 20 ** self.rng.random())
        known = self.rng.choices(self.words, k=max(2, round(length * self.rng.uniform(0.25, 1))))
        return Sentence(" ".join(self.rng.choices(known, k=length)).replace("#", ""), ())

    def _refrain(self) -> Sentence:
        """Between 2 and 14 pieces out of a few that come again: some words without capitals, or a mention."""
        rng = self.rng
        pieces = [self._piece() for _ in range(rng.randint(2, 5))]
        text, entities = "", []
        for piece, label in rng.choices(pieces, k=rng.randint(2, 14)):
            if len(text) + len(piece) >= self.config.max_characters:
                break
            start = len(text) + bool(text)
            text = f"{text} {piece}" if text else piece
            if label:
                entities.append(Entity(start, len(text), piece, label))
        return Sentence(text, tuple(entities))

    def _piece(self) -> tuple[str, str | None]:
        if self.mentions and self.rng.random() < 0.3:
            (_, label), surfaces = self.rng.choice(list(self.mentions.items()))
            return self.rng.choice(surfaces), label
        return " ".join(self.rng.choices(self.plain, k=self.rng.randint(1, 5))), None

    def _question(self, sentence: Sentence) -> tuple[StepInput, Entity]:
        entity = self.rng.choice(sentence.entities)
        names, answer = self._labels(entity.label)
        labels = tuple(Label(name) for name in names)
        return StepInput(sentence.text, labels), replace(entity, label=answer)

    def _labels(self, label: str) -> tuple[list[str], str]:
        """A label list in which one is right for an entity, and that one."""
        rng = self.rng
        shown = {one: one if rng.random() < 0.8 else rng.choice(names) for one, names in _NAMES.items()}
        used = [one for one in _CORE if one == label or rng.random() < 0.93]
        right = label
        if label == VAGUE:
            right = "miscellaneous"
        else:
            used += [one for one in _FINE if rng.random() < 0.45]
            if label in _FINE and label not in used:
                right = label if rng.random() < 0.6 else "miscellaneous"
        if right not in used:
            used.append(right)
        if "miscellaneous" not in used and rng.random() < 0.6:
            used.append("miscellaneous")
        if len(used) < 2:
            used.append("person" if right != "person" else "location")
        rng.shuffle(used)
        return [shown[one] for one in used], shown[right]


def natural(sentence: Sentence) -> Sentence:
    """The sentence without the blanks that tokenised corpora put around punctuation and within quotation marks."""
    gone = {match.start() for match in _BEFORE_PUNCTUATION.finditer(sentence.text)}
    quotes = [at for at, char in enumerate(sentence.text) if char == '"']
    for opening, closing in zip(quotes[::2], quotes[1::2], strict=False):
        gone |= {at for at in (opening + 1, closing - 1) if sentence.text[at] == " "}
    moved = [0]
    for at in range(len(sentence.text)):
        moved.append(moved[-1] + (at not in gone))
    text = "".join(char for at, char in enumerate(sentence.text) if at not in gone)
    entities = ((moved[one.start], moved[one.end], one.label) for one in sentence.entities)
    return Sentence(text, tuple(Entity(start, end, text[start:end], label) for start, end, label in entities))


def _rewritten(sentence: Sentence, surfaces: Sequence[str]) -> Sentence:
    """The sentence with other surfaces for its entities."""
    text, last, entities = "", 0, []
    for entity, surface in zip(sentence.entities, surfaces, strict=True):
        text += sentence.text[last : entity.start]
        entities.append(Entity(len(text), len(text) + len(surface), surface, entity.label))
        text += surface
        last = entity.end
    return Sentence(text + sentence.text[last:], tuple(entities))


def _renamed(sentence: Sentence, names: Mapping[str, str] = _GRAMMAR_TYPES) -> Sentence:
    return Sentence(sentence.text, tuple(replace(one, label=names[one.label]) for one in sentence.entities))


def _flat(entities: Sequence[Entity]) -> list[Entity] | None:
    """The entities in order; None where some overlap, or where one is a mere `@`, as in some tweets."""
    ordered = sorted(entities, key=lambda one: one.start)
    overlap = any(one.end > other.start for one, other in pairwise(ordered))
    return None if overlap or any(one.text == "@" for one in ordered) else ordered
