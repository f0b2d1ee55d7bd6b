"""Sentence boundaries, found by sentencex, for any text whatsoever."""

from __future__ import annotations

from itertools import pairwise

import regex
import sentencex

# sentencex panics on some white space of several bytes, and cannot take lone surrogates: each of these is replaced by
# a single character of the same meaning, so that offsets remain valid.
_BREAKS = regex.compile(r"[\u000B\u000C\r\u001C-\u001E\u0085\u2028\u2029]")
_BLANKS = regex.compile(r"[^\S \n]")
_SURROGATES = regex.compile(r"[\uD800-\uDFFF]")

_SCRIPTS = {
    "ja": r"[\p{Hiragana}\p{Katakana}]",
    "ko": r"\p{Hangul}",
    "zh": r"\p{Han}",
    "th": r"\p{Thai}",
    "my": r"\p{Myanmar}",
    "km": r"\p{Khmer}",
    "am": r"\p{Ethiopic}",
    "hy": r"\p{Armenian}",
    "el": r"\p{Greek}",
    "ru": r"\p{Cyrillic}",
    "ar": r"\p{Arabic}",
    "he": r"\p{Hebrew}",
    "hi": r"\p{Devanagari}",
    "bn": r"\p{Bengali}",
    "ta": r"\p{Tamil}",
    "te": r"\p{Telugu}",
    "ml": r"\p{Malayalam}",
    "kn": r"\p{Kannada}",
    "gu": r"\p{Gujarati}",
    "pa": r"\p{Gurmukhi}",
    "or": r"\p{Oriya}",
}
_COUNTERS = {language: regex.compile(pattern) for language, pattern in _SCRIPTS.items()}
_SAMPLE = 2000
_KANA_SHARE = 0.1  # Japanese news is a third to a half kana; a Chinese text may quote a name in kana


def spans(text: str, language: str | None = None) -> list[tuple[int, int]]:
    """The half-open offsets of the sentences, which are contiguous and cover the text.

    White space after a sentence belongs to it. If no language is given (ISO 639-1), it is guessed from the script.
    """
    plain = _SURROGATES.sub("?", _BLANKS.sub(" ", _BREAKS.sub("\n", text)))
    found = sentencex.get_sentence_boundaries(language or guess_language(text), plain)
    starts = [0, *(sentence["start_index"] for sentence in found[1:]), len(text)]
    return [(start, end) for start, end in pairwise(starts) if start < end]


def guess_language(text: str) -> str:
    """A language whose sentence boundaries fit the prevailing script at the beginning; `en` for Latin script."""
    sample = text[:_SAMPLE]
    if sample.isascii():
        return "en"
    counts = {language: len(counter.findall(sample)) for language, counter in _COUNTERS.items()}
    if counts["ja"] > _KANA_SHARE * (counts["ja"] + counts["zh"]):
        counts["ja"] += counts["zh"]
    best = max(counts, key=counts.__getitem__)
    latin = sum(character.isascii() and character.isalpha() for character in sample)
    return best if 2 * counts[best] > latin else "en"
