"""GNER's scorer and answer parser (github.com/yyDing1/GNER, `evaluate.py`, commit 16d30d5).

The parser reads `word(tag) word(tag) ...` and transfers the tags to the source words in three steps: equal
lists, subsequence, longest common subsequence. It does not forgive a label in a different case, a comma
between the words, a parenthesis inside a label, or a substituted word inside an entity.

The scorer forgives case, punctuation and English articles (so a boundary that is off by `the` is correct). A
repeated entity counts once; a word that is not in the text and a label outside the set cost nothing,
because neither survives the alignment. Character offsets are ignored.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Sequence

import regex

from ner_ray.evaluate.papers._matches import MatchSums, matches, normalize, precision_recall_f1, unique
from ner_ray.evaluate.papers.base import Case, PaperScore
from ner_ray.types import Entity

FAMILY = "gner"
FORGIVES = "case, punctuation, articles, repeats, position; mentions not in the text, labels not in the set"
Sums = MatchSums
UNMATCHED = -1

_TAG = re.compile(r"\(B-.*?\)|\(I-.*?\)|\(O\)")
# Words as in the released demo, except that each character of a script without spaces is a word of its own, as in the
# benchmarks (the demo takes a whole run of them for one word).
_UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\u30FC\uFF70"
_WORD = regex.compile(rf"(?V1)[{_UNSPACED}]|[\w--[{_UNSPACED}]]+(?:[-_][\w--[{_UNSPACED}]]+)*|\S")


def count(case: Case) -> MatchSums:
    """Matches of (mention, label) pairs of one document."""
    gold = pairs(*_tagged(case, case.gold))
    if case.answers is None:
        return matches(pairs(*_tagged(case, case.predicted)), gold)
    words, _ = _tagged(case, ())
    return matches(pairs(words, tags(words, _answer(case), case.labels)), gold)


def scores(sums: MatchSums) -> PaperScore:
    """Micro-averaged fractions."""
    return PaperScore(*precision_recall_f1(sums))


def read(answer: str) -> tuple[list[str], list[str]]:
    """The words of an answer and their tags; an empty word is dropped together with its tag."""
    text, at = answer.strip(), 0
    words: list[str] = []
    found: list[str] = []
    for tag in _TAG.finditer(text):
        word = text[at : tag.start()].strip()
        at = tag.end()
        if word:
            words.append(word)
            found.append(tag.group()[1:-1].strip())
    return words, found


def tags(
    words: Sequence[str],
    answer: str,
    labels: Sequence[str],
    *,
    retokenize: Callable[[str], str] = lambda word: word,
) -> list[str]:
    """One tag for each source word: the one that the answer gives it, or `O`.

    Args:
        words: the source words.
        answer: the model's answer.
        labels: the label set; any other label becomes `O`.
        retokenize: returns what the model's tokenizer leaves of a lower-cased source word, as with the released
            script's `--tokenizer-path`: a character that the vocabulary lacks is missing from the answer, too.
    """
    legal = {f"{prefix}-{label}" for prefix in "BI" for label in labels}
    said, said_tags = read(answer)
    source = [retokenize(word.lower()) for word in words]
    copy = [word.lower() for word in said]
    places = subsequence(source, copy)
    if places is None:
        places = longest_common_subsequence(source, copy)
    return [said_tags[place] if place != UNMATCHED and said_tags[place] in legal else "O" for place in places]


def subsequence(source: Sequence[str], copy: Sequence[str]) -> list[int] | None:
    """For each source word, the index of the earliest available copied word; None if the copy is not a subsequence."""
    places, at = [UNMATCHED] * len(source), 0
    for index, word in enumerate(source):
        if at < len(copy) and word == copy[at]:
            places[index] = at
            at += 1
    return places if at == len(copy) else None


def longest_common_subsequence(source: Sequence[str], copy: Sequence[str]) -> list[int]:
    """For each source word, the index of the copied word that it is matched with, or `UNMATCHED`.

    Hunt and Szymanski's reduction to a longest increasing subsequence, by patience sorting. Among several
    longest ones, it returns the one that GNER's code returns: backwards from the last pile, the predecessor of each
    card is the card that was on top of the previous pile at the time.
    """
    positions: defaultdict[str, list[int]] = defaultdict(list)
    for index, word in enumerate(copy):
        positions[word].append(index)
    tops: list[int] = []
    piles: list[tuple[int, int, object]] = []
    for index, word in enumerate(source):
        for place in reversed(positions.get(word, ())):
            pile = bisect_left(tops, place)
            card = (index, place, piles[pile - 1] if pile else None)
            tops[pile : pile + 1] = [place]
            piles[pile : pile + 1] = [card]
    return _trace(piles[-1] if piles else None, len(source))


def pairs(words: Sequence[str], word_tags: Sequence[str]) -> list[tuple[str, str]]:
    """Normalised (mention, label) pairs without duplicates.

    A span ends before a tag that begins with B or O; an `I-` outside any span begins one; if the types within a span
    differ, the last one counts.
    """
    spans: list[tuple[list[str], str]] = []
    is_open = False
    for word, tag in zip(words, word_tags, strict=True):
        is_open = is_open and tag[0] not in "BO"
        if tag == "O":
            continue
        spans.append(((spans.pop()[0] if is_open else []) + [word], tag[2:]))
        is_open = True
    return unique((normalize(" ".join(span)), normalize(label)) for span, label in spans)


def _trace(card: object, length: int) -> list[int]:
    places = [UNMATCHED] * length
    while isinstance(card, tuple):
        index, place, card = card
        places[index] = place
    return places


def _answer(case: Case) -> str:
    exchanges = (case.answers or {}).get("tagger", ())
    return exchanges[0].completions[0].text if exchanges and exchanges[0].completions else ""


def _tagged(case: Case, entities: Sequence[Entity]) -> tuple[list[str], list[str]]:
    """The document's words and their BIO tags; a word belongs to an entity if it overlaps it."""
    spans = _offsets(case)
    word_tags = ["O"] * len(spans)
    for entity in sorted(entities, key=lambda entity: (entity.start, -entity.end)):
        touched = [i for i, (start, end) in enumerate(spans) if start < entity.end and end > entity.start]
        for rank, index in enumerate(i for i in touched if word_tags[i] == "O"):
            word_tags[index] = f"{'I' if rank else 'B'}-{entity.label}"
    return [case.text[start:end] for start, end in spans], word_tags


def _offsets(case: Case) -> list[tuple[int, int]]:
    if not case.words:
        return [match.span() for match in _WORD.finditer(case.text)]
    spans, at = [], 0
    for word in case.words:
        start = case.text.find(word, at)
        if start >= 0:
            at = start + len(word)
            spans.append((start, at))
    return spans
