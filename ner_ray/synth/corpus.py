"""Which passages of a corpus the teacher is asked about: cut, filtered by language, drawn, deduplicated.

Every passage has a lot, determined by its id and the seed (`sampling.lot`), and of passages that repeat each other, the
one with the smallest lot stays. So the draw depends neither on the order nor on the number of machines, and a machine
passes on only what can still be drawn: from each source, the passages with the smallest lots, twice as many as wanted.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from ner_ray.errors import ConfigError
from ner_ray.models import tokenizers
from ner_ray.models.checkpoints import Checkpoint
from ner_ray.synth import duplicates
from ner_ray.synth.config import PassageConfig
from ner_ray.synth.language import LIKELY, language_of
from ner_ray.synth.passages import SEPARATORS, CountTokens, Span, move_sentence_ends, split
from ner_ray.synth.sampling import lot, quotas
from ner_ray.text import tokens

_SPARE = 2  # candidates per wanted passage, since some will be near duplicates
_TIKTOKEN = "tiktoken:"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A passage that may be drawn.

    Attributes:
        row: the number of its document in the whole corpus.
        document: the document's id.
        start: the offset of its first character in the document.
        end: the offset after its last character.
        source: the document's source; empty if there is no such column.
        text: the passage.
        lot: its number in [0, 1).
    """

    row: int
    document: str
    start: int
    end: int
    source: str
    text: str
    lot: float

    @property
    def passage_id(self) -> str:
        return passage_id(self.document, self.start, self.end)


@dataclass(slots=True)
class Draw:
    """What has been seen of a corpus, and what can still be drawn from it; adds in place.

    Attributes:
        limit: the maximum number of candidates per source; None for no limit.
        counts: the numbers of documents, of passages, and of what was left out, by reason.
        sizes: source -> the number of passages that could have been drawn.
    """

    limit: int | None
    counts: Counter[str] = field(default_factory=Counter)
    sizes: Counter[str] = field(default_factory=Counter)
    _kept: dict[str, dict[str, Candidate]] = field(default_factory=dict)

    def add(self, candidate: Candidate, *, repeats: bool) -> None:
        """Adds a candidate, unless one with the same words has a smaller lot (if `repeats`, even then)."""
        key = candidate.passage_id if repeats else duplicates.digest(candidate.text)
        self.sizes[candidate.source] += 1
        self._put(key, candidate)

    def update(self, other: Draw) -> None:
        """Adds what was seen in another part of the corpus."""
        self.counts += other.counts
        self.sizes += other.sizes
        for kept in other._kept.values():
            for key, candidate in kept.items():
                self._put(key, candidate)

    def candidates(self) -> list[Candidate]:
        """The candidates by ascending lot; of exact duplicates, only the first."""
        first: dict[str, Candidate] = {}
        for key, candidate in sorted(
            (item for kept in self._kept.values() for item in kept.items()), key=lambda item: _order(item[1])
        ):
            if first.setdefault(key, candidate) is not candidate:
                self.counts["exact_duplicates"] += 1
        return list(first.values())

    def trim(self) -> None:
        """Drops what can no longer be drawn."""
        for source, kept in self._kept.items():
            if self.limit is not None and len(kept) > self.limit:
                best = heapq.nsmallest(self.limit, kept.items(), key=lambda item: _order(item[1]))
                self._kept[source] = dict(best)

    def _put(self, key: str, candidate: Candidate) -> None:
        kept = self._kept.setdefault(candidate.source, {})
        if key in kept:
            self.counts["exact_duplicates"] += 1
            if _order(kept[key]) < _order(candidate):
                return
        kept[key] = candidate
        if self.limit is not None and len(kept) > 2 * self.limit:
            self.trim()


def passage_id(document: str, start: int, end: int) -> str:
    """A passage's id, made of its document and its place there."""
    return f"{document}:{start}-{end}"


def start_draw(config: PassageConfig) -> Draw:
    """A draw that has not seen anything yet."""
    return Draw(None if config.count is None else _SPARE * config.count)


def look_at(draw: Draw, row: int, document: str, source: str, text: str, config: PassageConfig, seed: int) -> None:
    """Cuts a document and adds the passages that may be drawn; the others are counted by reason."""
    draw.counts["documents"] += 1
    for start, end in cut(text, config):
        draw.counts["passages"] += 1
        passage = text[start:end]
        number = lot(passage_id(document, start, end), seed)
        if reason := _unfit(passage, number, config):
            draw.counts[reason] += 1
        else:
            candidate = Candidate(row, document, start, end, source, passage, number)
            draw.add(candidate, repeats=config.duplicates == "keep")


def cut(text: str, config: PassageConfig) -> list[Span]:
    """The spans of a document's passages."""
    separators = SEPARATORS[config.separators]
    return move_sentence_ends(text, split(text, token_counter(config.tokenizer), config.tokens, separators))


def choose(draw: Draw, config: PassageConfig) -> list[Candidate]:
    """The passages that are drawn, in the order of the corpus; near duplicates are counted in `draw`.

    Fewer than `count` if a source has too few, or if more than half of its candidates are near duplicates.
    """
    shares = _shares(draw, config)
    able = _first(draw.candidates(), {source: _SPARE * share for source, share in shares.items()})
    if config.duplicates == "near":
        alike = duplicates.near([candidate.text for candidate in able], config.similarity)
        draw.counts["near_duplicates"] += len(alike)
        able = [candidate for number, candidate in enumerate(able) if number not in alike]
    chosen = _first(able, shares)
    draw.counts["drawn"] = len(chosen)
    return sorted(chosen, key=lambda candidate: (candidate.row, candidate.start))


@lru_cache(maxsize=4)
def token_counter(name: str) -> CountTokens:
    """A function that counts the tokens of each of several texts with the tokenizer of that name.

    Raises:
        ConfigError: tiktoken has no such encoding.
        ModelError: there is no such model.
    """
    if name == "words":
        return lambda texts: [len(tokens.spans(text)) for text in texts]
    if name.startswith(_TIKTOKEN):
        encoding = _encoding(name.removeprefix(_TIKTOKEN))
        return lambda texts: [len(ids) for ids in encoding.encode_ordinary_batch(texts, num_threads=1)]
    return tokenizers.counter(Checkpoint(name))


def _encoding(name: str) -> Any:  # tiktoken's Encoding
    try:
        import tiktoken

        return tiktoken.get_encoding(name)
    except (ImportError, ValueError, OSError) as error:
        raise ConfigError(
            f"cannot load the encoding {name!r} of tiktoken: {error}",
            hint="pip install tiktoken, which downloads the encoding once; or set passages.tokenizer=words",
        ) from error


def _unfit(passage: str, number: float, config: PassageConfig) -> str:
    """The reason why a passage cannot be drawn; empty if it can."""
    if len(passage) < config.min_characters:
        return "too_short"
    if number >= config.rate:
        return "not_drawn_by_rate"
    if config.languages and language_of(passage, {*LIKELY, *config.languages}) not in config.languages:
        return "other_language"
    return ""


def _shares(draw: Draw, config: PassageConfig) -> dict[str, int]:
    if config.count is None:
        return dict(draw.sizes)
    return quotas(draw.sizes, config.count, config.spread)


def _first(candidates: Iterable[Candidate], most: dict[str, int]) -> list[Candidate]:
    """At most the given number of each source, in the order given."""
    taken: Counter[str] = Counter()
    found = []
    for candidate in candidates:
        if taken[candidate.source] < most[candidate.source]:
            taken[candidate.source] += 1
            found.append(candidate)
    return found


def _order(candidate: Candidate) -> tuple[float, str]:
    return candidate.lot, candidate.passage_id
