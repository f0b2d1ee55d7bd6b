"""Hybrid tokens: words where a script puts spaces between them, graphemes where it does not.

One token is:

- a run of letters, digits, and their combining marks, in a script that separates words by spaces;
- one grapheme of a script that does not (Han, kana, Thai, Khmer, Javanese, ...), or one syllable of Hangul: Korean
  has spaces, but particles attach to names, so entities end inside a spaced word;
- one punctuation mark or one symbol (an emoji sequence counts as one).

Which scripts have no spaces follows from Unicode's line-breaking classes (UAX #14), not from a list of scripts.

Apostrophes and hyphens are punctuation, not letters, so the entities in `Berlin-based` and `Rome's` end at a token
boundary. Joiners and soft hyphens belong to the word around them. A mark on a symbol belongs to the symbol. Tokens
contain no white space, and everything else in the text is part of exactly one token.
"""

from __future__ import annotations

from typing import NamedTuple

import regex

# Line-breaking classes that allow a break between any two letters: ideographs (ID; kana that may not begin a line are
# CJ and NS), Hangul (H2, H3 and the jamo JL, JV, JT), Southeast Asian scripts that need a dictionary (SA), and
# Brahmic scripts that break between orthographic syllables (AK, AP, AS, VF, VI). Tibetan (U+0F00 to U+0FFF) has
# ordinary letters in UAX #14, but writes its syllables without spaces.
_ANYWHERE = r"\p{LB=ID}\p{LB=CJ}\p{LB=NS}\p{LB=H2}\p{LB=H3}\p{LB=JL}\p{LB=JV}\p{LB=JT}\p{LB=SA}\p{Tibetan}"
_ANYWHERE += r"\p{LB=AK}\p{LB=AP}\p{LB=AS}\p{LB=VF}\p{LB=VI}"
UNSPACED = rf"[[{_ANYWHERE}]&&[\p{{L}}\p{{M}}\p{{Nl}}]]"
"""Letters between any two of which a word may end; for use inside a character class of `regex`'s version 1."""

BLANK = r"\s\x1C-\x1F"
"""White space as defined by `str.isspace`, for use inside a character class."""

_MARK = r"\p{M}\p{GCB=Extend}\p{GCB=SpacingMark}\u200C\u200D"
_EMOJI_STYLE = r"\uFE0F\u20E3"  # after a letter or a digit, these make it an emoji: ℹ️, 1️⃣
_LETTER = rf"[[\p{{L}}\p{{N}}]--[{UNSPACED}{_MARK}]](?![{_EMOJI_STYLE}])"
_INNER = rf"(?:{_LETTER}|[{_MARK}\u00AD])"
SYLLABLE = r"\p{GCB=L}*+(?:\p{GCB=V}++|\p{GCB=LV}\p{GCB=V}*+|\p{GCB=LVT})\p{GCB=T}*+|\p{GCB=L}++|\p{GCB=T}++"
"""A pattern for one syllable of Hangul, composed or not (UAX #29, GB6 to GB8)."""

_CONSONANT = rf"[{UNSPACED}&&\p{{InCB=Consonant}}]"
_EMOJI = r"[\p{Extended_Pictographic}--[0-9#*]]"
GRAPHEME = (
    rf"(?:{SYLLABLE}|{_CONSONANT}(?:[{_MARK}]*\p{{InCB=Linker}}[{_MARK}]*{_CONSONANT})*+"
    rf"|{_EMOJI}(?:[{_MARK}]*\u200D{_EMOJI})*+|\p{{RI}}{{2}}|[^{BLANK}])[{_MARK}]*"
)
"""A pattern for one grapheme with all its marks: a user-perceived character other than white space."""

_TOKEN = regex.compile(rf"(?V1)[a-zA-Z0-9]+(?![{_MARK}\u00AD]|{_LETTER})|{_LETTER}{_INNER}*+|{GRAPHEME}")
_AFTER_WORD = rf"(?<={_LETTER}[{_MARK}\u00AD]{{0,99}})"
_SPLITS_WORD = regex.compile(rf"(?V1){_AFTER_WORD}(?:{_LETTER}|\u00AD)")
_CLINGS = regex.compile(rf"(?V1)(?<![{BLANK}])[{_MARK}\p{{Emoji_Modifier}}]")
# What continues the grapheme before it: the next jamo of a syllable, the next consonant of a conjunct, the next emoji
# of a sequence, the second half of a flag.
_JOINS = regex.compile(
    r"(?V1)(?<=\p{GCB=L})[\p{GCB=L}\p{GCB=V}\p{GCB=LV}\p{GCB=LVT}]|(?<=[\p{GCB=LV}\p{GCB=V}])[\p{GCB=V}\p{GCB=T}]"
    r"|(?<=[\p{GCB=LVT}\p{GCB=T}])\p{GCB=T}"
    rf"|(?<={_CONSONANT}[{_MARK}]{{0,99}}\p{{InCB=Linker}}[{_MARK}]{{0,99}}){_CONSONANT}"
    rf"|(?<={_EMOJI}[{_MARK}]{{0,99}}\u200D){_EMOJI}|(?<=(?<!\p{{RI}})(?:\p{{RI}}{{2}}){{0,99}}\p{{RI}})\p{{RI}}"
)


class Word(NamedTuple):
    """A token with its offsets: `text == source[start:end]`."""

    start: int
    end: int
    text: str


def spans(text: str) -> list[tuple[int, int]]:
    """The half-open offsets of all tokens of the text, in order.

    >>> [text[start:end] for text in ["Łódź, 北京"] for start, end in spans(text)]
    ['Łódź', ',', '北', '京']
    """
    return [match.span() for match in _TOKEN.finditer(text)]


def words(text: str) -> list[Word]:
    """All tokens of the text with their offsets, in order."""
    return [Word(*match.span(), match[0]) for match in _TOKEN.finditer(text)]


def is_boundary(text: str, position: int) -> bool:
    """Whether a mention may begin or end here: neither inside a word of a spaced script nor inside a grapheme.

    >>> is_boundary("Parisian", 5), is_boundary("北京市", 2)
    (False, True)
    """
    if position <= 0 or position >= len(text):
        return True
    return _SPLITS_WORD.match(text, position) is None and is_grapheme_boundary(text, position)


def is_grapheme_boundary(text: str, position: int) -> bool:
    """Whether the text can be cut here without separating a mark from its base or the jamo of one syllable."""
    if position <= 0 or position >= len(text):
        return True
    return _CLINGS.match(text, position) is None and _JOINS.match(text, position) is None
