"""Entities named in sentences, where the labels are known: "Ann is a person, and the place is Paris".

Tried where neither brackets nor lines are an answer. An entity must be in the passage, and what states its label must
be between the two; anything less plain ("Ann may be a person", "not a person", "a person?") states nothing.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence

from ner_ray.families.toolkit.guide import Guide, Item
from ner_ray.families.toolkit.languages import any_of, words
from ner_ray.families.toolkit.lines import split_values
from ner_ray.families.toolkit.lists import Text
from ner_ray.families.toolkit.statements import clean

# A longer answer is not a few sentences.
_LONGEST = 20_000
# Characters before a label in which its entity is searched for, and those that may stand between the two.
_BEFORE = 240
_BETWEEN = 60
_QUOTED = re.compile(r"[\"“„«「'‘`*]{1,2}(?P<quoted>[^\"“”„«»「」\n`*]{1,200}?)[\"”“»」'’`*]{1,2}\s*$")
_BOUND = re.compile(r"[.!?。！？;；:：,，、()\n]\s*|\b(?:and|that|while|but|und|et|y|e|en|и)\s+")
_OPENING = re.compile(
    r"\s*(?:(?:the|an?|entity|word|name|term|phrase|string|mention|token|so|therefore|thus|then|first|second|next|also"
    r"|here|finally|la|el|le|der|die|das)\s+|(?:实体|其中|文本中的|这里的))+",
    re.IGNORECASE,
)
_NOUN = (
    r"(?:\s?(?:entit(?:y|ies)|names?|types?|mentions?|labels?|tags?|category|categories|class|ones?"
    r"|实体|类型|类|です|だ|입니다|이다))*"
)
_STATED = re.compile(
    _NOUN + r"[\"'”’*_`)\s]*(?:$|[.,;!。，；！、\n]|\s(?:and|in|from|mentioned|who|which|that|because|since|as|here"
    r"|while|but|und|et|y|e|和)\b)"
)
_QUESTION = re.compile(_NOUN + r"[\"'”’*_`)\s]*[?？]")
_NAMES_ITS = re.compile(
    _NOUN + r"[\"'”’*_`]{0,3}(?:\s(?:mentioned|named|found|identified|in|the|this|that|text|sentence|passage|here|i|can"
    r"|find|see|present|listed|given)){0,8}\s?(?:is|are|was|were|include|includes|ist|sind|est|sont|es|son|è|sono|é|são"
    r"|是|有|为|包括|は|[:：])\s*[:：]?\s*",
    re.IGNORECASE,
)
_ENDING = re.compile(
    r"[\s,;，；]*(?:\b(?:and|while|but|as well as|und|et|y|e)\b)?\s*(?:\b(?:the|an?|its|der|die|das|la|el|le)\b)?\s*$"
)
_NEXT_WORD = re.compile(r"\.\s+\w+")
_SENTENCE = re.compile(r"[.!?](?=\s+[A-Z]|\s*\n|\s*$)|[。！？\n]")
_SUBJECT = re.compile(r"\b(?:entit(?:y|ies)|mentions?|names?|answers?)\b|实体", re.IGNORECASE)


def read_prose(answer: str, guide: Guide) -> list[Item]:
    """The entities to which the sentences of an answer give a label of the set.

    >>> guide = Guide(("person", "place"), "Ann went to Paris.")
    >>> [(item.entity.value, item.label.value) for item in read_prose("Ann is a person; the place is Paris.", guide)]
    [('Ann', 'person'), ('Paris', 'place')]
    """
    if len(answer) > _LONGEST or not (guide.names or guide.subject):
        return []
    named = _labels_in(answer, guide)
    bounds = [0, *(label.end for label in named)]
    ends = [*(label.start for label in named[1:]), len(answer)]
    found: list[Item] = []
    for label, begin, end in zip(named, bounds, ends, strict=False):
        entity = _before(answer, begin, label, guide)
        found += [_item(entity, label)] if entity else _behind(answer, begin, label, end, guide)
    # What a sentence repeats is no other mention.
    return list({(item.entity.value, item.label and item.label.value): item for item in reversed(found)}.values())[::-1]


def _item(entity: Text, label: Text) -> Item:
    return Item(entity, label, "prose")


def _labels_in(text: str, guide: Guide) -> list[Text]:
    named = guide.named_in(text)
    match = _SUBJECT.search(text) if guide.subject and not named else None
    return [Text(guide.subject, match.start(), match.end())] if match else named


def _before(answer: str, begin: int, label: Text, guide: Guide) -> Text | None:
    """The entity of which the words before a label say that it is one."""
    if not _STATED.match(answer, label.end) or _QUESTION.match(answer, label.end):
        return None
    begin = max(begin, label.start - _BEFORE)
    between = _states().search(answer, max(begin, label.start - _BETWEEN), label.start)
    return _entity(answer, begin, between.start(), guide) if between else None


def _entity(answer: str, begin: int, end: int, guide: Guide) -> Text | None:
    """The entity at the end of a stretch of prose: in quotes, or the longest part that the passage contains."""
    quoted = _QUOTED.search(answer, begin, end)
    if quoted:
        entity = clean(quoted["quoted"], quoted.start("quoted"))
        return entity if entity and guide.has(entity.value) else None
    for start in [begin, *(match.end() for match in _BOUND.finditer(answer, begin, end))]:
        opening = _OPENING.match(answer, start, end)
        for at in (start, opening.end() if opening else start):
            entity = clean(answer[at:end], at)
            if entity and guide.has(entity.value) and entity.value.casefold() not in words("pronouns"):
                return entity
    return None


def _behind(answer: str, begin: int, label: Text, end: int, guide: Guide) -> Sequence[Item]:
    """The entities that follow a label: "the places are Paris and Rome"."""
    opening = _NAMES_ITS.match(answer, label.end, end)
    if not opening or any_of("negation").search(answer[max(begin, label.start - _BETWEEN) : opening.end()].casefold()):
        return []
    stops = (match.start() for match in _SENTENCE.finditer(answer, opening.end(), end))
    stop = next((at for at in stops if not _is_inside(answer, opening.end(), at, guide)), end)
    values = _ENDING.sub("", answer[opening.end() : stop])
    found = split_values(values, opening.end(), guide)
    return [_item(value, label) for value in found] if found and all(guide.has(value.value) for value in found) else []


def _is_inside(answer: str, begin: int, stop: int, guide: Guide) -> bool:
    """Whether a full stop is part of an entity: `U.S.`, `Dr. Who`."""
    around = _NEXT_WORD.match(answer, stop)
    last = answer[begin:stop].rsplit(" ", maxsplit=1)[-1]
    return guide.is_abbreviated(last) or (around is not None and guide.has(last + around[0]))


@functools.cache
def _states() -> re.Pattern[str]:
    """What states that an entity is of the type that follows."""
    return re.compile(
        rf"\s*(?:{any_of('states').pattern})(?:\s*(?:{any_of('articles').pattern}))*[\s\"'“‘*_`(]*$", re.IGNORECASE
    )
