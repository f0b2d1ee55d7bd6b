"""UniversalNER's scorer and answer parser (github.com/universal-ner/universal-ner, commit 844e0e1).

From `src/eval/evaluate.py`. One row is one (text, type) question. The parser takes the first `[...]` at the
very beginning of the answer and reads it as JSON. Anything else (prose before the list, single quotes, a truncated
list) counts as an empty answer, indistinguishable from "no entity". Gold lists go through the same parser, so a gold
entity with a closing bracket costs its row all its gold.

The scorer forgives: case, ASCII punctuation (not CJK punctuation), English articles, repetitions, position, and
every label outside the set, since nobody asks for it.
"""

from __future__ import annotations

import json
import re

from ner_ray.evaluate.papers._matches import MatchSums, matches, precision_recall_f1, read_json_list
from ner_ray.evaluate.papers._queries import answered, gold_by_label, predicted_by_label
from ner_ray.evaluate.papers.base import Case, PaperScore

FAMILY = "universal_ner"
FORGIVES = "case, ASCII punctuation, articles, repeats, position; labels not in the set; unreadable answers"
Sums = MatchSums

_LIST = re.compile(r"\[(.*?)\]")


def count(case: Case) -> MatchSums:
    """Matches of mentions, one question for each label of the set."""
    total = MatchSums()
    gold, predicted = gold_by_label(case), predicted_by_label(case)
    for label in case.labels:
        total += score(
            answered(case, label) if case.answers is not None else _write(predicted[label]),
            _write(gold[label]),
        )
    return total


def scores(sums: MatchSums) -> PaperScore:
    """Micro-averaged fractions over all rows."""
    return PaperScore(*precision_recall_f1(sums))


def score(answer: str, gold: str) -> MatchSums:
    """The counts for one row, from the text of the answer and of the gold list."""
    return matches(read(answer), read(gold))


def read(answer: str) -> list[str | tuple[str, ...]]:
    """The normalised mentions, without duplicates; empty if the answer is not such a list."""
    found = _LIST.match(answer)
    try:
        return read_json_list(found.group()) if found else []
    except ValueError:
        return []


def response(output: str) -> str:
    """The model's turn in a decoded conversation."""
    return output.rpartition("ASSISTANT:")[2].strip()


def _write(mentions: list[str]) -> str:
    return json.dumps(mentions, ensure_ascii=False)
