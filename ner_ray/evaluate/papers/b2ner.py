"""B2NER's scorer and answer parser (github.com/UmeanNever/B2NER, commit 4cd1a5e).

From `src/evaluation/evaluator.py`. The parser normalises the whole answer, splits it at `;`, normalises each piece
and keeps those with a `:`. The piece `label:entity` is the key. An entity that contains a `;` is split; items on
separate lines become one.

The scorer forgives: case, spaces around punctuation, full-width punctuation, curly quotes, braces, an outer
pair of brackets or title marks, `organisation` for `organization`, `located` for `location`, repetitions and
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
    """The counts for one document, from the answer and the gold string."""
    return matches(read(answer), read(gold))


def read(answer: str) -> set[str]:
    """The `label:entity` strings in an answer."""
    return {piece for piece in map(tidy, tidy(answer).split(";")) if ":" in piece}


def tidy(text: str) -> str:
    """An answer, or a piece of one, in the form in which it is compared.

    Repeated signs are collapsed before full-width signs become ASCII, so only a second pass collapses the latter.
    """
    spaced = _SPACED.sub(r"\1", " ".join(text.split())).lower()
    plain = _REPEATED.sub(r"\1", spaced.replace("{", "").replace("}", "")).translate(_ALIKE)
    plain = plain.replace("located", "location").replace("organisation", "organization")
    label, colon, entity = plain.rpartition(":")
    return label + colon + _bare(entity) if colon else plain


def split_commas(answer: str) -> str:
    """An answer with one item for each of `label: a, b`: the repair that the released code applies to GPT's answers.

    Of an item with a comma, only what precedes a second colon is kept: a time of day loses its minutes.
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

    The prefixes of the languages are tried in a fixed order, wherever they occur: an English prefix inside a
    Chinese text makes the Chinese prompt pass for an English one.
    """
    for prefix in ANSWER_PREFIXES:
        if prefix in decoded:
            return _SPECIAL_TOKENS.sub("", decoded.rpartition(prefix)[2]).strip()
    return ""


def _bare(entity: str) -> str:
    """The entity without the signs around it: of `《a》和《b》` the first title, of `(a)` the enclosed text."""
    title = _TITLE.search(entity.strip("@#"))
    inside = title[1] if title else entity.strip("@#")
    bracketed = _BRACKETED.search(inside)
    return bracketed[1] if bracketed else inside


def _write(entities: Sequence[Entity]) -> str:
    return "; ".join(f"{entity.label}: {entity.text}" for entity in entities) or "None"
