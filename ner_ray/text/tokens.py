"""Hybrid word tokens: per word where writing has blanks, per character where it has none.

What is one token:

- a run of letters, digits and their marks of a script that puts blanks between words;
- one grapheme of a script that does not (Han, kana, Bopomofo, Yi, Thai, Lao, Khmer, Myanmar, Tibetan), and
  one syllable of Hangul: Korean has blanks, but its particles are written onto names, so entities end
  inside a spaced word, and corpora annotate it by syllable;
- each sign of punctuation and each symbol (an emoji sequence is one).

Apostrophes and hyphens are signs, not letters: `Berlin-based` and `Rome's` hold an entity that ends there.
Joiners and soft hyphens belong to the word around them. A token holds no white space, and all that is not
white space is in some token.
"""

from __future__ import annotations

from typing import NamedTuple

import regex

UNSPACED = (
    r"\p{Han}\p{Hiragana}\p{Katakana}\p{Bopomofo}\p{Hangul}\p{Yi}"
    r"\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tibetan}\u30FC\uFF70"
)
"""Scripts in which a word may begin or end between any two graphemes, for use inside a character class."""

BLANK = r"\s\x1C-\x1F"
"""White space as `str.isspace` has it, for use inside a character class."""

_LETTER = rf"[[\p{{L}}\p{{N}}]--[{UNSPACED}]]"
_INNER = rf"[[\p{{L}}\p{{M}}\p{{N}}\u200C\u200D\u00AD]--[{UNSPACED}]]"
# A grapheme that starts with a prepended mark could take the blank after it along, hence the look-ahead.
_TOKEN = regex.compile(
    rf"(?V1)[a-zA-Z0-9]+(?!{_INNER})|{_LETTER}{_INNER}*+|(?=[^{BLANK}\p{{GCB=Prepend}}])\X|[^{BLANK}]"
)
_SPLIT_WORD = regex.compile(rf"(?V1){_INNER}{_INNER}")
_CLINGS = regex.compile(r"(?V1)[\p{M}\u200C\u200D\p{Emoji_Modifier}]")


class Word(NamedTuple):
    """A token and its place: `text == source[start:end]`."""

    start: int
    end: int
    text: str


def spans(text: str) -> list[tuple[int, int]]:
    """The half-open places of all tokens of the text, in order."""
    return [match.span() for match in _TOKEN.finditer(text)]


def words(text: str) -> list[Word]:
    """All tokens of the text with their places, in order."""
    return [Word(*match.span(), match[0]) for match in _TOKEN.finditer(text)]


def is_boundary(text: str, position: int) -> bool:
    """Whether a mention may begin or end here: not inside a word of a spaced script, nor in a grapheme."""
    if position <= 0 or position >= len(text):
        return True
    if _CLINGS.match(text, position):
        return False
    return _SPLIT_WORD.match(text, position - 1) is None
