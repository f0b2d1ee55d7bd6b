"""How models say "nothing", "answer" and "draft" in many languages; the words are data (`languages.yaml`)."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping
from importlib import resources

import yaml

_SPACES = re.compile(r"\s+")
_EDGES = " \t\r\n.。!！…,，;；:：*_`#>\"'“”‘’「」«»()（）[]{}<-–—•·"
_WORD = re.compile(r"\w+")
# A longer answer says more than "nothing".
_LONGEST_NOTHING = 400
_SENTENCE_ENDS = re.compile(r"(?<=[.!?。！？\n])\s*")
# Scripts whose words are not separated by spaces: a word may occur anywhere.
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")


def says_nothing(text: str) -> bool:
    """Whether an answer, an item or a value says in words that there are no entities.

    >>> says_nothing("There are no named entities in the text.")
    True
    >>> says_nothing("该文本中没有任何实体。")
    True
    >>> says_nothing("Ann Smith")
    False
    """
    if len(text) > _LONGEST_NOTHING:
        return False
    bare = plain(text)
    if not bare:
        return text.strip() in _whole()
    if bare in _whole():
        return True
    folded = text.casefold()
    # A cheap test first, since most strings that are checked are names.
    return may_deny(folded) and any(_denies(sentence) for sentence in _SENTENCE_ENDS.split(folded))


def may_deny(folded: str) -> bool:
    """A quick test for whether case-folded text can say that there is nothing."""
    return not _first_words().isdisjoint(_WORD.findall(folded)) or _UNSPACED.search(folded) is not None


@functools.lru_cache(4096)
def plain(text: str) -> str:
    """Text in lower case, with single spaces, and without Markdown, quotes, brackets and punctuation at its ends."""
    return _SPACES.sub(" ", text).strip(_EDGES).casefold()


@functools.cache
def headings(kind: str) -> frozenset[str]:
    """The headings of a kind (`thoughts`, `answer`), in the form that `plain` returns."""
    return frozenset(plain(word) for word in _words(kind))


@functools.lru_cache(4096)
def announces(kind: str, text: str) -> bool:
    """Whether some prose contains a word of a kind (`final`, `draft`)."""
    return any_of(kind).search(text.casefold()) is not None


@functools.cache
def words(kind: str) -> frozenset[str]:
    """The words of a kind in all languages."""
    return frozenset(_words(kind))


@functools.cache
def any_of(kind: str) -> re.Pattern[str]:
    """A pattern for any word of a kind in case-folded text."""
    return one_of(_words(kind))


def one_of(choices: Iterable[str]) -> re.Pattern[str]:
    """A pattern for any of some words or phrases in case-folded text: whole words, in scripts that have spaces."""
    return re.compile("|".join(whole_word(word.casefold()) for word in sorted(choices, key=len, reverse=True)))


def whole_word(word: str) -> str:
    """The source of a pattern for a word or a phrase; with `*` at its end, for all words that begin so."""
    stem = re.escape(word.removesuffix("*")).replace(r"\ ", r"\s+")
    if _UNSPACED.search(word):
        return stem
    return rf"(?<!\w){stem}" + ("" if word.endswith("*") else r"(?!\w)")


@functools.cache
def _whole() -> frozenset[str]:
    words = list(_words("nothing"))
    return frozenset([*words, *(plain(word) for word in words if plain(word))])


def _denies(sentence: str) -> bool:
    return any(
        negation.search(sentence) is not None and entity.search(sentence) is not None for negation, entity in _denials()
    )


@functools.cache
def _first_words() -> frozenset[str]:
    return frozenset(word for negation in _words("negation") for word in _WORD.findall(negation.casefold())[:1])


@functools.cache
def _denials() -> tuple[tuple[re.Pattern[str], re.Pattern[str]], ...]:
    """For each language, patterns for what denies and for what is denied: both must be of the same language."""
    return tuple(
        (one_of(language["negation"]), one_of(language["entity"]))
        for language in _load().values()
        if "negation" in language
    )


def _words(kind: str) -> Iterable[str]:
    return (word for language in _load().values() for word in language.get(kind, ()))


@functools.cache
def _load() -> Mapping[str, Mapping[str, list[str]]]:
    text = resources.files(__package__).joinpath("languages.yaml").read_text(encoding="utf-8")
    loaded: Mapping[str, Mapping[str, list[str]]] = yaml.safe_load(text)
    return loaded
