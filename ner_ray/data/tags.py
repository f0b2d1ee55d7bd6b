"""Tags of tokens as entities: BIO in all its forms (IOB1, IOB2, BIOES, BILOU, BMES), read by one rule.

The rule is that of the CoNLL evaluation script: B, S, U and W begin an entity; I, E, L and M go on with one of the same
label that is open, and begin one where none is. So `I-PER I-PER B-PER` in IOB1 is two entities, as it is in IOB2.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from ner_ray.types import Entity

OUTSIDE = "O"
_TAG = re.compile(r"([BIESLUMW])-(.*\S.*)")
_BEGIN, _END = frozenset("BSUW"), frozenset("ESULW")


class TagError(ValueError):
    """Tags that cannot be read, or tokens that are not in the text; says which."""


def is_tag(value: str) -> bool:
    """Whether a string is a tag of this kind."""
    return value == OUTSIDE or _TAG.fullmatch(value) is not None


def entities(text: str, tokens: Sequence[str], tags: Sequence[object], begins: Sequence[int]) -> tuple[Entity, ...]:
    """The entities that the tags mark.

    Args:
        text: the text.
        tokens: its tokens.
        tags: one per token.
        begins: where each token begins in the text.

    Raises:
        TagError: there are more or fewer tags than tokens, or one of them is not a tag.
    """
    if len(tags) != len(tokens):
        raise TagError(f"{len(tags)} tags for {len(tokens)} tokens")
    found = []
    for first, last, label in spans(tags):
        start, end = begins[first], begins[last] + len(tokens[last])
        found.append(Entity(start, end, text[start:end], label))
    return tuple(found)


def spans(tags: Sequence[object]) -> Iterator[tuple[int, int, str]]:
    """First token, last token and label of each entity.

    Raises:
        TagError: one of them is not a tag.

    >>> list(spans(["I-PER", "I-PER", "B-PER", "O", "S-LOC"]))
    [(0, 1, 'PER'), (2, 2, 'PER'), (4, 4, 'LOC')]
    """
    begun, open_label = 0, ""
    for number, tag in enumerate(tags):
        mark, label = _split(tag)
        if open_label and (mark in _BEGIN or label != open_label):
            yield begun, number - 1, open_label
            open_label = ""
        if label and not open_label:
            begun, open_label = number, label
        if mark in _END and open_label:
            yield begun, number, open_label
            open_label = ""
    if open_label:
        yield begun, len(tags) - 1, open_label


def begins(text: str, tokens: Sequence[str], starts: object = None, *, joined: bool = False) -> list[int]:
    """Where each token begins.

    Args:
        text: the text.
        tokens: its tokens, in order.
        starts: where they begin, where the data says so.
        joined: whether the text is the tokens joined by spaces.

    Raises:
        TagError: a token is not in the text, or not where it is said to be.
    """
    if isinstance(starts, Sequence) and len(starts) == len(tokens):
        for token, start in zip(tokens, starts, strict=True):
            if not isinstance(start, int) or text[start : start + len(token)] != token:
                raise TagError(f"token {token!r} is not at {start}")
        return list(starts)
    places, at = [], 0
    for token in tokens:
        place = at if joined else text.find(token, at)
        if place < 0:
            raise TagError(f"token {token!r} is not in the text after character {at}")
        places.append(place)
        at = place + len(token) + joined
    return places


def _split(tag: object) -> tuple[str, str]:
    """The mark of a tag and its label; both empty outside of entities."""
    if tag == OUTSIDE:
        return "", ""
    match = _TAG.fullmatch(tag) if isinstance(tag, str) else None
    if match is None:
        hint = "; tags that are numbers need names (ClassLabel)" if isinstance(tag, int) else ""
        raise TagError(f"{tag!r} is not a tag such as O, B-person or I-person{hint}")
    return match[1], match[2]
