"""Answers that copy the passage with the entities of one label in marks: `@@Ann## met @@Bo##`, `**Ann** met **Bo**`."""

from __future__ import annotations

import re

from ner_ray.families.toolkit.guide import Guide
from ner_ray.families.toolkit.lists import Text
from ner_ray.families.toolkit.statements import clean

# Marks that models were shown or choose, and whether they need a copy of the passage around them to be marks.
_MARKS = (
    (re.compile(r"@@(?P<entity>[^@#\n]{1,300}?)(?:##|@@)"), False),
    (re.compile(r"##(?P<entity>[^#\n]{1,300}?)##"), True),
    (re.compile(r"\*\*(?P<entity>[^*\n]{1,300}?)\*\*"), True),
    (re.compile(r"(?<!\w)__(?P<entity>[^_\n]{1,300}?)__(?!\w)"), True),
    (re.compile(r"\[\[(?P<entity>[^\[\]\n]{1,300}?)\]\]"), True),
    (re.compile(r"\{\{(?P<entity>[^{}\n]{1,300}?)\}\}"), True),
    (re.compile(r"<<(?P<entity>[^<>\n]{1,300}?)>>"), True),
    (re.compile(r"==(?P<entity>[^=\n]{1,300}?)=="), True),
)
_LONGEST = 20_000
_LEAST_SIMILARITY = 0.9


def marked(answer: str, guide: Guide) -> list[Text]:
    """The entities that an answer marks in a copy of the passage; empty if it is no such copy.

    >>> [entity.value for entity in marked("@@Ann## met Bo.", Guide(("person",), "Ann met Bo.", "person"))]
    ['Ann']
    """
    if len(answer) > _LONGEST:
        return []
    for mark, only_in_a_copy in _MARKS:
        entities = [
            entity
            for match in mark.finditer(answer)
            if not guide.has(match[0]) and (entity := clean(match["entity"], match.start("entity")))
        ]
        if entities and (not only_in_a_copy or _is_copy(answer, mark, guide.text)):
            return entities
    return []


def _is_copy(answer: str, mark: re.Pattern[str], text: str) -> bool:
    """Whether an answer is the passage but for its marks, and not all of it is marked."""
    from rapidfuzz.distance import Indel

    if not any(map(str.isalnum, mark.sub("", answer))):
        return False
    copy, source = " ".join(mark.sub(r"\g<entity>", answer).split()), " ".join(text.split())
    return Indel.normalized_similarity(copy, source) >= _LEAST_SIMILARITY or source in copy
