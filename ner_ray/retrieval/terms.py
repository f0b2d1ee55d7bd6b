"""Tokenizers for search: the terms of a text, in an index and in a query alike.

    hybrid   words, folded; Han by jieba's words; kana, Hangul, Thai and their like by pairs of characters
    bigrams  words, folded; scripts without spaces, Han too, by pairs of characters
    words    words only, folded
    jieba    `jieba.lcut(text)`, unchanged, as RA-IT tokenizes Chinese
    spaces   `text.split(" ")`, unchanged, as RA-IT tokenizes English

*Folded* means NFKC and case folding. `jieba` and `spaces` keep punctuation; use stop words to remove it.
"""

from __future__ import annotations

import hashlib
import itertools
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import regex
from numpy.typing import NDArray

from ner_ray.retrieval import chinese
from ner_ray.text.tokens import UNSPACED

Name = Literal["hybrid", "bigrams", "words", "jieba", "spaces"]
Hashes = NDArray[np.uint64]

_PLAIN = ("jieba", "spaces")
"""Tokenizers that do not fold."""

_VERSION = 1
"""Increase it whenever the terms that a tokenizer returns change; older indexes are then refused."""

_PROBE = "The 2 Müllers’ iPhone１２在北京市长江大桥。東京都に住むハングル 한국어를 ไทย café naïve_x 3.5% don't"

_WORD = r"[\p{L}\p{M}\p{N}_]"
_RUNS = regex.compile(rf"(?V1)(?P<unspaced>[{UNSPACED}&&{_WORD}]+)|[{_WORD}--[{UNSPACED}]]+")
_ASCII_WORDS = regex.compile(r"[a-z0-9_]+")
_ALL_HAN = regex.compile(r"\p{Han}+")
_KANA = regex.compile(r"[\p{Hiragana}\p{Katakana}]")
_UNITS = regex.compile(rf"(?V1)[{UNSPACED}&&{_WORD}]|[{_WORD}--[{UNSPACED}]]+")


@dataclass(frozen=True, slots=True)
class Tokenizer:
    """A named tokenizer with a list of stop words.

    Attributes:
        name: one of those above.
        stop_words: terms to leave out, in the form in which the tokenizer returns them: folded if it folds.
    """

    name: Name = "hybrid"
    stop_words: frozenset[str] = frozenset()

    @classmethod
    def of(cls, name: Name, stop_words: Iterable[str] = ()) -> Tokenizer:
        """A tokenizer whose stop words are folded if its terms are."""
        return cls(name, frozenset(stop_words if name in _PLAIN else map(_fold, stop_words)))

    def __call__(self, text: str) -> list[str]:
        """The terms of a text, in order, with repetitions."""
        terms = _TOKENIZERS[self.name](text)
        return [term for term in terms if term not in self.stop_words] if self.stop_words else terms

    def identity(self) -> dict[str, str]:
        """Everything that determines the terms: equal identities give equal terms.

        The terms of a probe cover what no version number identifies: the Unicode tables of this interpreter.
        """
        stop_words = "\n".join(sorted(self.stop_words))
        facts = {
            "name": self.name,
            "version": str(_VERSION),
            "stop_words": _digest(stop_words) if self.stop_words else "",
            "probe": _digest("\n".join(_TOKENIZERS[self.name](_PROBE))),
        }
        return facts | (chinese.identity() if self.name in {"hybrid", "jieba"} else {})


def parse_stop_words(lines: Iterable[str]) -> frozenset[str]:
    """One word per line, stripped of white space; empty lines are skipped."""
    return frozenset(word for line in lines if (word := line.strip()))


def units(text: str) -> list[str]:
    """The units in which overlap of texts is counted: folded words, and single characters of scripts without spaces."""
    folded = _fold(text)
    return _ASCII_WORDS.findall(folded) if folded.isascii() else _UNITS.findall(folded)


@dataclass(slots=True)
class Hasher:
    """64-bit hashes of terms, the same in every process; recent ones are cached.

    Among a million terms, two share a hash with a probability of 3e-8, so hashes represent terms on disk.
    """

    limit: int = 1 << 17
    _known: dict[str, int] = field(default_factory=dict)

    def __call__(self, terms: Sequence[str]) -> Hashes:
        """One hash per term."""
        if len(self._known) > self.limit:
            self._known.clear()
        known = self._known
        for term in set(terms).difference(known):
            known[term] = _hash(term)
        return np.fromiter(map(known.__getitem__, terms), dtype=np.uint64, count=len(terms))


def hash_texts(texts: Sequence[Sequence[str]], hasher: Hasher) -> tuple[Hashes, NDArray[np.int64]]:
    """The hashes of the terms of all texts, concatenated, and `len(texts) + 1` offsets at which texts begin and end."""
    starts = np.zeros(len(texts) + 1, dtype=np.int64)
    np.cumsum([len(terms) for terms in texts], out=starts[1:])
    return hasher(list(itertools.chain.from_iterable(texts))), starts


def _hash(term: str) -> int:
    content = term.encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "little")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _fold(text: str) -> str:
    return text.lower() if text.isascii() else unicodedata.normalize("NFKC", text).casefold()


def _hybrid(text: str) -> list[str]:
    folded = _fold(text)
    if folded.isascii():
        return _ASCII_WORDS.findall(folded)
    # Kanji do not form Chinese words: in a text with kana, Han characters are paired, too, as the kana are.
    han = _pairs if _KANA.search(folded) else chinese.cut
    return list(_terms(folded, han))


def _bigrams(text: str) -> list[str]:
    folded = _fold(text)
    return _ASCII_WORDS.findall(folded) if folded.isascii() else list(_terms(folded, _pairs))


def _terms(folded: str, han: Callable[[str], Iterable[str]]) -> Iterator[str]:
    for match in _RUNS.finditer(folded):
        run = match.group()
        if match.lastgroup is None:
            yield run
        elif _ALL_HAN.fullmatch(run):
            yield from han(run)
        else:
            yield from _pairs(run)


def _pairs(run: str) -> list[str]:
    return [run[i : i + 2] for i in range(len(run) - 1)] or [run]


def _words(text: str) -> list[str]:
    return [match.group() for match in _RUNS.finditer(_fold(text))]


def _spaces(text: str) -> list[str]:
    return [word for word in text.split(" ") if word]


_TOKENIZERS: Mapping[Name, Callable[[str], list[str]]] = {
    "hybrid": _hybrid,
    "bigrams": _bigrams,
    "words": _words,
    "jieba": chinese.cut,
    "spaces": _spaces,
}
