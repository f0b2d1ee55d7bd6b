"""The starter's training file: annotated corpora and grammar sentences, varied, asked in cascade's two roles.

How sentences are varied: mentions are swapped for others of their type, the spaces that tokenised corpora put around
punctuation are removed, some sentences are in capitals, some lose their full stop, some are joined. Label lists for the
classifier are drawn and shuffled anew for every question, sometimes with another name for a type. A share of the lines
is practice in copying without losing one's place: words in random order, few of them distinct, and phrases and mentions
that keep recurring, so that only the words further back tell what comes next.
"""

from __future__ import annotations

import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice, pairwise
from pathlib import Path

from ner_ray.annotator.spec import family_steps
from ner_ray.data import Reject
from ner_ray.data.training import TrainingRow, json_line
from ner_ray.families.base import Step
from ner_ray.train.gold import read_gold
from ner_ray.train.prepare import Prepared
from ner_ray.train.starter.config import MixtureConfig, SourceConfig
from ner_ray.train.starter.sentences import Sentence, load_grammar, sentences
from ner_ray.types import Entity, Label, StepInput

VAGUE = "vague"
"""The label of mentions that a corpus only says belong to none of its other types."""

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


def prepare_mixture(config: MixtureConfig) -> Prepared:
    """Writes the training file; the same configuration and sources give the same bytes.

    Raises:
        InputError: a source cannot be read.
    """
    mixture = _Mixture(config)
    extractor, classifier = family_steps({"name": "cascade", "system": ""})
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
    return Prepared(
        output=str(target),
        rows=rows,
        rejected=mixture.rejected,
        too_long=mixture.left_out,
        dropped=mixture.dropped,
        examples=dict(sorted(counts.items())),
        left_out=dict(mixture.unsaid),
    )


class _Mixture:
    """The sentences of all sources, to draw lines from."""

    def __init__(self, config: MixtureConfig) -> None:
        self.config = config
        self.rng = random.Random(config.seed)  # noqa: S311 - data, not secrets
        self.rejected = self.dropped = self.left_out = 0
        self.unsaid: Counter[str] = Counter()
        self.pools = {name: list(self._read(name, source)) for name, source in config.sources.items()}
        self.weights = {name: source.weight for name, source in config.sources.items()}
        if config.grammar_weight:
            drawn = sentences(load_grammar(), config.seed)
            distinct = {sentence.text: sentence for sentence in islice(drawn, config.grammar_sentences)}
            self.pools["grammar"] = [_renamed(sentence) for sentence in distinct.values()]
            self.weights["grammar"] = config.grammar_weight
        self.mentions = self._mentions()
        self.words = sorted(
            {word for pool in self.pools.values() for sentence in pool for word in sentence.text.split()}
        )
        self.plain = [word for word in self.words if word == word.lower() and "#" not in word] or ["and"]

    def draw(self, extractor: Step, classifier: Step) -> Iterator[tuple[str, str]]:
        """One line with its kind; none where the sentence has nothing to ask about."""
        chance = self.rng.random()
        if chance < self.config.copying_share:
            practice = self._scrambled() if self.rng.random() < 0.5 else self._refrain()
            passage = StepInput(practice.text, ())
            yield from (("copying", line) for line in self._lines(extractor, passage, practice.entities))
        elif chance < self.config.copying_share + self.config.classifier_share:
            sentence = self._sentence()
            if sentence.entities:
                passage, entity = self._question(sentence)
                lines = self._lines(classifier, passage, (entity,), self.config.classifier_weight)
                yield from (("classifier", line) for line in lines)
        else:
            sentence = self._joined()
            passage = StepInput(sentence.text, ())
            yield from (("extractor", line) for line in self._lines(extractor, passage, sentence.entities))

    def _lines(self, step: Step, passage: StepInput, entities: Sequence[Entity], weight: float = 1.0) -> Iterator[str]:
        """The lines that teach a step's answers; what the answers cannot say is counted."""
        targets = step.targets(passage, entities)
        self.unsaid.update(left_out.reason for left_out in targets.left_out)
        for exchange in targets.exchanges:
            answer = exchange.completions[0].text
            yield json_line(TrainingRow.question(exchange.prompt.content, answer, weight=weight))

    def _read(self, name: str, source: SourceConfig) -> Iterator[Sentence]:
        paths = [str(Path(self.config.folder) / file) for file in source.files]
        every = self.config.held_out.get(name)
        types = sorted({label for label in source.labels.values() if label})
        for at, passage in enumerate(read_gold(paths, types, source.labels)):
            if isinstance(passage, Reject):
                self.rejected += 1
                continue
            self.dropped += len(passage.dropped)
            flat = _flat(passage.entities)
            if "##" in passage.text or len(passage.text) > self.config.max_characters or flat is None:
                self.left_out += 1
            elif not (every and at % every == 0):
                kept = (entity for entity in flat if not source.capitals_only or entity.text != entity.text.lower())
                yield Sentence(passage.text, tuple(kept))

    def _mentions(self) -> dict[tuple[str, str], list[str]]:
        """Mentions by style and type."""
        found: dict[tuple[str, str], list[str]] = defaultdict(list)
        for name, pool in self.pools.items():
            for entity in (entity for sentence in pool for entity in sentence.entities):
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
            # Some letters become two in capitals (ß): offsets would no longer fit.
            text = changed if len(changed) == len(text) else text
        elif chance < 0.06 and text.endswith((" .", " !", " ?")):
            text = text[:-2]
        entities = (replace(entity, text=text[entity.start : entity.end]) for entity in sentence.entities)
        return Sentence(text, tuple(entity for entity in entities if entity.end <= len(text)))

    def _joined(self) -> Sentence:
        sentence = self._sentence()
        while self.rng.random() < self.config.join:
            more = self._sentence()
            start = len(sentence.text) + 1
            if start + len(more.text) > self.config.max_characters:
                break
            moved = (replace(entity, start=entity.start + start, end=entity.end + start) for entity in more.entities)
            sentence = Sentence(f"{sentence.text} {more.text}", (*sentence.entities, *moved))
        return sentence

    def _scrambled(self) -> Sentence:
        """Between 2 and 40 words, mostly few, of which between a quarter and all are distinct."""
        length = round(2 * 20 ** self.rng.random())
        known = self.rng.choices(self.words, k=max(2, round(length * self.rng.uniform(0.25, 1))))
        return Sentence(" ".join(self.rng.choices(known, k=length)).replace("#", ""), ())

    def _refrain(self) -> Sentence:
        """Between 2 and 14 pieces drawn from a few that recur: some words without capitals, or a mention."""
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
        """A label list in which one label is right for an entity, and that label."""
        rng = self.rng
        shown = {name: name if rng.random() < 0.8 else rng.choice(others) for name, others in _NAMES.items()}
        used = [name for name in _CORE if name == label or rng.random() < 0.93]
        right = label
        if label == VAGUE:
            right = "miscellaneous"
        else:
            used += [name for name in _FINE if rng.random() < 0.45]
            if label in _FINE and label not in used:
                right = label if rng.random() < 0.6 else "miscellaneous"
        if right not in used:
            used.append(right)
        if "miscellaneous" not in used and rng.random() < 0.6:
            used.append("miscellaneous")
        if len(used) < 2:
            used.append("person" if right != "person" else "location")
        rng.shuffle(used)
        return [shown[name] for name in used], shown[right]


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
    entities = ((moved[entity.start], moved[entity.end], entity.label) for entity in sentence.entities)
    return Sentence(text, tuple(Entity(start, end, text[start:end], label) for start, end, label in entities))


def _rewritten(sentence: Sentence, surfaces: Sequence[str]) -> Sentence:
    """The sentence with other surfaces in place of its entities."""
    text, last, entities = "", 0, []
    for entity, surface in zip(sentence.entities, surfaces, strict=True):
        text += sentence.text[last : entity.start]
        entities.append(Entity(len(text), len(text) + len(surface), surface, entity.label))
        text += surface
        last = entity.end
    return Sentence(text + sentence.text[last:], tuple(entities))


def _renamed(sentence: Sentence, names: Mapping[str, str] = _GRAMMAR_TYPES) -> Sentence:
    return Sentence(sentence.text, tuple(replace(entity, label=names[entity.label]) for entity in sentence.entities))


def _flat(entities: Sequence[Entity]) -> list[Entity] | None:
    """The entities in order; None if any overlap, or if one is a mere `@`, as in some tweets."""
    ordered = sorted(entities, key=lambda entity: entity.start)
    overlap = any(left.end > right.start for left, right in pairwise(ordered))
    return None if overlap or any(entity.text == "@" for entity in ordered) else ordered
