"""RA-IT's scorer and answer parser (github.com/Emma1066/Retrieval-Augmented-IT-OpenNER, commit c9cb37e).

From `src/llm_tuning/evaluation/evaluate.py`. One row is one (text, type) question. The parser takes the first
`[...]` on one line anywhere in the answer and reads it as JSON; anything that is not a list of strings is counted as
unparsed, and scored as empty. Gold lists are written without escaping (a quotation mark or a tab inside an entity
breaks its row) and go through the same parser.

The scorer forgives what UniversalNER's forgives (case, ASCII but not CJK punctuation, English articles, repetitions,
position, labels outside the set), and also prose before the list.
"""

from __future__ import annotations

import json
import re

from ner_ray.evaluate.papers._matches import (
    MatchSums,
    matches,
    normalize,
    precision_recall_f1,
    read_json_list,
    unique,
)
from ner_ray.evaluate.papers._queries import answered, gold_by_label, predicted_by_label
from ner_ray.evaluate.papers.base import Case, PaperScore

FAMILY = "ra_it"
FORGIVES = "case, ASCII punctuation, articles, repeats, position, prose around the list; labels not in the set"
Sums = MatchSums

_LIST = re.compile(r"\[(.*?)\]")
_PAIR = re.compile(r"\((.*?),(.*?)\)")


def count(case: Case) -> MatchSums:
    """Matches of mentions, one question for each label of the set."""
    total = MatchSums()
    gold, predicted = gold_by_label(case), predicted_by_label(case)
    for label in case.labels:
        answer = answered(case, label) if case.answers is not None else json.dumps(predicted[label], ensure_ascii=False)
        total += score(answer, "[" + ", ".join(f'"{mention}"' for mention in gold[label]) + "]")
    return total


def scores(sums: MatchSums) -> PaperScore:
    """Micro-averaged percentages with two decimals, and the number of lists that could not be parsed."""
    precision, recall, f1 = (round(value * 100, 2) for value in precision_recall_f1(sums))
    counts = {
        "n_gold": sums.gold,
        "n_prediction": sums.predicted,
        "n_correct": sums.correct,
        "n_unparsed_gold": sums.unparsed_gold,
        "n_unparsed_pred": sums.unparsed_predicted,
    }
    return PaperScore(precision, recall, f1, unit="percent", counts=counts)


def score(answer: str, gold: str) -> MatchSums:
    """The counts for one row, from the text of the answer and of the gold list."""
    named, wanted = read(answer), read(gold)
    unparsed = MatchSums(unparsed_gold=wanted is None, unparsed_predicted=named is None)
    return matches(named or [], wanted or []) + unparsed


def read(answer: str) -> list[str | tuple[str, ...]] | None:
    """The normalised mentions, without duplicates; None if the list cannot be read."""
    found = _LIST.search(answer)
    try:
        return read_json_list(found.group()) if found else []
    except ValueError:
        return None


def read_pairs(answer: str) -> list[tuple[str, ...]]:
    """The normalised (mention, type) pairs in an answer of the single-turn format, `(mention, type)`."""
    return unique((normalize(mention), normalize(label)) for mention, label in _PAIR.findall(answer))
