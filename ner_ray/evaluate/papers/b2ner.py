"""B2NER's scorer and answer parser (github.com/UmeanNever/B2NER, commit 4cd1a5e).

From `src/evaluation/evaluator.py`. The parser formats the whole answer, cuts it at `;`, formats each piece
and keeps those with a `:`. The piece `label:entity` is the key. An entity that holds a `;` is cut; items on
separate lines become one.

The scorer forgives: case, blanks around punctuation, full-width punctuation, curly quotes, braces, an outer
pair of brackets or title marks, `organisation` for `organization`, `located` for `location`, repeats and
position. It does not forgive an article, a label outside the set, or a mention that is not in the text:
each is a false positive.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from ner_ray.evaluate.papers._matches import MatchSums, matches
from ner_ray.evaluate.papers.base import Case, PaperScore
from ner_ray.types import Entity

FAMILY = "b2ner"
FORGIVES = "case, spacing, width and outer brackets of a mention, two spellings, repeats, position"
Sums = MatchSums
ANSWER_PREFIXES = ("Answer:", "答案:", "Antwort:", "Antwoord:", "Respuesta:")

_SPACED = re.compile(r"\s*(,|:|\(|\)|\.|_|;|'|-)\s*")
_REPEATED = re.compile(r"([,.;])\1+")
_ALIKE = str.maketrans({"；": ";", "：": ":", "，": ",", "’": "'", "‘": "'", "“": '"', "”": '"'})
_TITLE = re.compile(r"《(.+?)》")
_BRACKETED = re.compile(r"^[《》<>（）()]+(.+?)[《》<>（）()]+$")
_SPECIAL_TOKENS = re.compile(r"</?s>|<unk>|<pad>")
_COMMAS = re.compile(r"[,、]")


def count(case: Case) -> MatchSums:
    """Matches of `label:entity` strings of one document."""
    gold = _write(case.gold)
    if case.answers is None:
        return score(_write(case.predicted), gold)
    exchanges = case.answers.get("tagger", ())
    return score(";".join(e.completions[0].text for e in exchanges if e.completions), gold)


def scores(sums: MatchSums) -> PaperScore:
    """Micro-averaged fractions; 0 where undefined."""
    precision = sums.correct / sums.predicted if sums.predicted else 0.0
    recall = sums.correct / sums.gold if sums.gold else 0.0
    f1 = 2 * precision * recall / (precision + recall) if sums.correct else 0.0
    return PaperScore(precision, recall, f1)


def score(answer: str, gold: str) -> MatchSums:
    """One document: the answer and the gold string, both as text."""
    return matches(read(answer), read(gold))


def read(answer: str) -> set[str]:
    """The `label:entity` strings of an answer."""
    return {piece for piece in map(tidy, tidy(answer).split(";")) if ":" in piece}


def tidy(text: str) -> str:
    """An answer, or a piece of one, as it is compared.

    Repeated signs become one before full-width signs become ASCII, so that only a second pass sees those.
    """
    spaced = _SPACED.sub(r"\1", " ".join(text.split())).lower()
    plain = _REPEATED.sub(r"\1", spaced.replace("{", "").replace("}", "")).translate(_ALIKE)
    plain = plain.replace("located", "location").replace("organisation", "organization")
    label, colon, entity = plain.rpartition(":")
    return label + colon + _bare(entity) if colon else plain


def split_commas(answer: str) -> str:
    """An answer with one item for each of `label: a, b`: the repair that the code gives GPT's answers.

    Of an item with a comma it keeps only what stands before a second colon: a time of day loses its minutes.
    """
    items: list[str] = []
    for item in answer.split(";"):
        if ":" in item and _COMMAS.search(item):
            label, entities = item.split(":")[:2]
            items += [f"{label}:{entity}" for entity in _COMMAS.split(entities)]
        else:
            items.append(item)
    return ";".join(items)


def response(decoded: str) -> str:
    """The answer in a decoded sequence of prompt and answer.

    The languages' prefixes are tried in a fixed order, wherever they stand: an English prefix inside a
    Chinese text takes the Chinese prompt for an English one.
    """
    for prefix in ANSWER_PREFIXES:
        if prefix in decoded:
            return _SPECIAL_TOKENS.sub("", decoded.rpartition(prefix)[2]).strip()
    return ""


def _bare(entity: str) -> str:
    """The entity without the signs around it: of `《a》和《b》` the first title, of `(a)` what it encloses."""
    title = _TITLE.search(entity.strip("@#"))
    inside = title[1] if title else entity.strip("@#")
    bracketed = _BRACKETED.search(inside)
    return bracketed[1] if bracketed else inside


def _write(entities: Sequence[Entity]) -> str:
    return "; ".join(f"{entity.label}: {entity.text}" for entity in entities) or "None"
