"""Annotated corpora in many languages, and what they show: ideal answers come back, corrupted ones mostly.

`round_trip`: gold is rendered as the answer that a perfect model would give, parsed and aligned again.
`corrupted`: the same words are corrupted for two readers of each answer format, the paper's and ours.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import pyarrow.parquet as pq

from ner_ray import plugins
from ner_ray.align import align
from ner_ray.annotator.document import ReadingRules, read_step
from ner_ray.config import AlignConfig
from ner_ray.evaluate.papers import cascade as cascade_paper
from ner_ray.evaluate.papers import gner as gner_paper
from ner_ray.families import cascade, gner
from ner_ray.families.base import Step
from ner_ray.text import tokens
from ner_ray.text.overlaps import without_overlaps
from ner_ray.types import Completion, Entity, Exchange, Label, Prompt, StepInput
from tests.reproduction.formats import bio_spans

CORPORA = Path("data") / "corpora"
CONFIG = AlignConfig()
RULES = ReadingRules()
FAULTS = ("omit", "add", "substitute", "repeat")
FAMILIES = ("gner", "cascade", "b2ner", "universal_ner", "ra_it", "instruct")
REASONS = ("blank ends", "mark beside it", "separator in it", "two labels", "elsewhere too", "inside a character")


@dataclass(frozen=True, slots=True)
class Document:
    """A text with its flat gold: of overlapping entities the first, of these the longest."""

    text: str
    labels: tuple[str, ...]
    gold: tuple[Entity, ...]


@dataclass(frozen=True, slots=True)
class Piece:
    """A word of a text, with the white space before it and the number of the entity that it belongs to."""

    blank: str
    word: str
    entity: int | None


@dataclass(frozen=True, slots=True)
class Recovered:
    """How many gold spans were found, and how many spans that are not gold."""

    right: int = 0
    wrong: int = 0

    def __add__(self, other: Recovered) -> Recovered:
        return Recovered(self.right + other.right, self.wrong + other.wrong)


def files(reference: Path) -> list[Path]:
    """All corpora, in the order of their names."""
    return sorted((reference / CORPORA).rglob("*.parquet"))


def documents(path: Path, limit: int | None = None) -> Iterator[Document]:
    """The first documents of a corpus."""
    for row in pq.read_table(path).slice(0, limit).to_pylist():
        entities = [Entity(e["start"], e["end"], e["text"], e["label"]) for e in row["entities"]]
        yield Document(row["text"], tuple(row["labels"]), tuple(without_overlaps(entities)[0]))


def language(path: Path) -> str:
    """The corpus's language code."""
    return str(pq.read_table(path, columns=["lang"]).column("lang")[0])


def round_trip(document: Document, family: str) -> set[tuple[int, int, str]]:
    """The spans that come back from a family's ideal answer."""
    passage = StepInput(document.text, tuple(Label(name) for name in document.labels))
    for step in _steps(family):
        ideal = step.targets(passage, document.gold).exchanges
        found = read_step(step, passage, ideal, RULES)
        passage = replace(passage, entities=found.entities)
    return {(entity.start, entity.end, entity.label) for entity in passage.entities}


def unsaid(document: Document, entity: Entity, family: str) -> str:
    """Why a family's answer format cannot say where or what this entity is; empty where it can.

    No format keeps white space at the ends of an entity. CascadeNER's marks are told from a `#` by nothing, and
    its classifier is asked about a surface, so that a surface with two labels gets one. Lists of mentions have
    no places: see `_unsaid_by_list`.
    """
    if entity.text != entity.text.strip():
        return "blank ends"
    if family == "gner":
        return ""
    same = [other for other in document.gold if other.text == entity.text]
    two_labels = "two labels" if len({entity.label for entity in same}) > 1 else ""
    if family == "cascade":
        around = document.text[max(entity.start - 1, 0) : entity.end + 1]
        return "mark beside it" if "#" in around else two_labels
    if family == "b2ner" and ";" in entity.text:
        return "separator in it"
    return _unsaid_by_list(document, entity, len(same)) or two_labels or _unplaceable(document, entity, len(same))


def _unsaid_by_list(document: Document, entity: Entity, annotated: int) -> str:
    """A mention that occurs elsewhere too may be any; it is placed inside a word only if it occurs nowhere else."""
    return "elsewhere too" if document.text.count(entity.text) > annotated else ""


def _unplaceable(document: Document, entity: Entity, annotated: int) -> str:
    """A whole word in other case is preferred to a place inside a word; no place begins or ends inside a character.

    (Leading jamo, as in Korean laughter, make one character with the syllable after them.)
    """
    if document.text.casefold().count(entity.text.casefold()) > annotated:
        return "elsewhere too"
    edges = (entity.start, entity.end)
    inside = not all(tokens.is_grapheme_boundary(document.text, edge) for edge in edges)
    return "inside a character" if inside else ""


def lost(document: Document, family: str) -> Iterator[str]:
    """For each gold span that the ideal answer does not bring back, the reason; empty where there is none."""
    found = round_trip(document, family)
    for entity in document.gold:
        if (entity.start, entity.end, entity.label) not in found:
            yield unsaid(document, entity, family)


@functools.cache
def _steps(family: str) -> tuple[Step, ...]:
    module = plugins.load("families", family)
    steps: tuple[Step, ...] = module.steps(module.Options())
    return steps


def pieces(document: Document) -> list[Piece]:
    """The words of a text, cut where entities begin and end."""
    edges = sorted({edge for entity in document.gold for edge in (entity.start, entity.end)})
    cut: list[tuple[int, int]] = []
    for start, end in tokens.spans(document.text):
        inside = [start, *(edge for edge in edges if start < edge < end), end]
        cut += pairwise(inside)
    found, at = [], 0
    for start, end in cut:
        owner = next((i for i, e in enumerate(document.gold) if e.start <= start and end <= e.end), None)
        found.append(Piece(document.text[at:start], document.text[start:end], owner))
        at = end
    return found


def corrupt(words: Sequence[Piece], rate: float, chance: random.Random) -> list[Piece]:
    """The words with a share of them omitted, repeated, substituted, or with another one before them."""
    out: list[Piece] = []
    for piece in words:
        fault = chance.choice(FAULTS) if chance.random() < rate else None
        if fault == "omit":
            continue
        if fault == "add":
            out.append(Piece(piece.blank or " ", chance.choice(words).word, None))
        if fault == "repeat":
            out.append(piece)
        out.append(replace(piece, word=_misspelt(piece.word, chance)) if fault == "substitute" else piece)
    return out


def corrupted(document: Document, rate: float, seed: int) -> dict[str, Recovered]:
    """What each reader finds in the same corrupted answers."""
    whole = pieces(document)
    said = corrupt(whole, rate, random.Random(f"{seed} {document.text}"))
    gold = {(entity.start, entity.end, entity.label) for entity in document.gold}
    bare = {(start, end, "") for start, end, _ in gold}
    tagged, marked = _tagged(said, document), _marked(said)
    return {
        "gner, published": _recovered(_gner_published(document, whole, tagged), gold),
        "gner, ner_ray": _recovered(_ours(gner, document, tagged), gold),
        "cascade, published": _recovered(_cascade_published(document, marked), bare),
        "cascade, ner_ray": _recovered(_ours(cascade, document, marked), bare),
    }


def _ours(family: object, document: Document, answer: str) -> set[tuple[int, int, str]]:
    passage = StepInput(document.text, tuple(Label(name) for name in document.labels))
    step = family.steps(family.Options())[0]  # type: ignore[attr-defined]
    (reading,) = step.read(passage, [Exchange(Prompt(""), (Completion(answer),))])
    return {(entity.start, entity.end, entity.label) for entity in align(document.text, reading, CONFIG).entities}


def _gner_published(document: Document, whole: Sequence[Piece], answer: str) -> set[tuple[int, int, str]]:
    starts, at = [], 0
    for piece in whole:
        starts.append(at + len(piece.blank))
        at = starts[-1] + len(piece.word)
    words = [piece.word for piece in whole]
    tags = gner_paper.tags(words, answer, document.labels)
    return {
        (starts[entity.start], starts[entity.end - 1] + len(words[entity.end - 1]), entity.label)
        for entity in bio_spans(tags)
    }


def _cascade_published(document: Document, answer: str) -> set[tuple[int, int, str]]:
    return {(start, end, "") for start, end in cascade_paper.union([cascade_paper.read(document.text, answer)])}


def _tagged(said: Sequence[Piece], document: Document) -> str:
    out, last = [], None
    for piece in said:
        label = None if piece.entity is None else document.gold[piece.entity].label
        prefix = "I" if piece.entity == last else "B"
        out.append(f"{piece.word}({'O' if label is None else f'{prefix}-{label}'})")
        last = piece.entity
    return " ".join(out)


def _marked(said: Sequence[Piece]) -> str:
    out, last = "", None
    for piece in [*said, Piece("", "", None)]:
        if last is not None and piece.entity != last:
            out += "##"
        out += piece.blank + ("##" if piece.entity is not None and piece.entity != last else "") + piece.word
        last = piece.entity
    return out


def _misspelt(word: str, chance: random.Random) -> str:
    """The word with one letter doubled, dropped or replaced by another of its letters."""
    at = chance.randrange(len(word))
    other = chance.choice((word[at] * 2, "" if len(word) > 1 else word * 2, chance.choice(word).swapcase()))
    return word[:at] + other + word[at + 1 :]


def _recovered(found: set[tuple[int, int, str]], gold: set[tuple[int, int, str]]) -> Recovered:
    return Recovered(len(found & gold), len(found - gold))
