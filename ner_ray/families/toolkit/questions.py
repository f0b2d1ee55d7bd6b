"""Answers that repeat questions: `Q: Which persons are there? A: Ann, Bo`, `Q: Is Ann a person? A: Yes`."""

from __future__ import annotations

import functools
import re
from typing import NamedTuple

from ner_ray.families.toolkit.guide import Guide, Item
from ner_ray.families.toolkit.languages import headings, plain
from ner_ray.families.toolkit.lists import Text
from ner_ray.families.toolkit.statements import clean

_ANSWER = re.compile(
    r"\W{0,6}(?P<title>A(?:ns)?|答|[^\W\d_][^\n:：]{0,20}?)\s?\d{0,3}[*_]{0,2}\s?[:：][*_]{0,2}", re.IGNORECASE
)
_ENTITY = re.compile(
    r"\W*(?:is|are|was|were|does)\s+(?P<entity>.+?)\s+(?:refer to |denote |labell?ed as )?(?:an?|the)?\s*$",
    re.IGNORECASE,
)
_REPLIES = frozenset({"a", "ans", "答"})


class Asked(NamedTuple):
    """What a question asks: for the entities of a label, or whether one entity has it."""

    label: Text
    item: Item | None


def question(line: str, start: int, guide: Guide) -> Asked | None:
    """What a line asks, if it is a question that names one label.

    >>> question("Q: Is Ann a person?", 0, Guide(("person", "place"), "Ann went to Paris.")).item.entity.value
    'Ann'
    """
    lead = _lead().match(line)
    named = guide.named_in(line[lead.end() :]) if lead else []
    if not lead or len({label.value for label in named}) != 1:
        return None
    shift = start + lead.end()
    asked = _ENTITY.match(line[lead.end() : lead.end() + named[0].start])
    entity = clean(asked["entity"], shift + asked.start("entity")) if asked else None
    label = named[0].moved(shift)
    return Asked(label, Item(entity, label) if entity and guide.has(entity.value) else None)


def is_question(line: str) -> bool:
    """Whether a line begins as questions do: `Q: ...`."""
    return _lead().match(line) is not None


def behind_answer(line: str, guide: Guide) -> int:
    """Where the answer begins in a line such as `A: Ann`; 0 in any other line."""
    match = _ANSWER.match(line)
    if match is None or guide.heading(match["title"]) or guide.label(line[match.end() :].strip()):
        return 0
    return match.end() if introduces(match["title"]) else 0


def introduces(title: str) -> bool:
    """Whether a title stands before a question or an answer, and names nothing itself."""
    return plain(title) in _REPLIES | headings("question") | headings("answer")


def affirms(answer: str) -> bool:
    """Whether an answer begins with a word for yes."""
    return bool(headings("affirms") & {plain(answer), plain(re.split(r"[\s,.;，。!]", answer.strip(), maxsplit=1)[0])})


@functools.cache
def _lead() -> re.Pattern[str]:
    """What stands before a question, from the beginning of its line."""
    titles = "|".join(map(re.escape, headings("question")))
    return re.compile(rf"\W{{0,6}}(?:{titles})\s?\d{{0,3}}[*_]{{0,2}}\s?[:：.)]", re.IGNORECASE)
