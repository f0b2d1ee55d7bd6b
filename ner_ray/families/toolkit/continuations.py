"""Where an answer ends that runs on: models that are shown examples write further ones, or the user's next turn."""

from __future__ import annotations

import functools
import re

from ner_ray.families.toolkit.guide import TYPE_FIELDS, field_name
from ner_ray.families.toolkit.languages import headings

# Special tokens of chat templates; behind one of them, somebody else speaks or nobody.
_TURN = re.compile(
    r"<\|(?:im_start|im_end|eot_id|start_header_id|user|human|system|endoftext|end_of_text|eom_id|end_of_turn|eos|pad)\|>"
    r"|<(?:start|end)_of_turn>|</s>|<s>|\[/?INST\]|<<SYS>>|<｜(?:User|Assistant|end▁of▁sentence)｜>|<\|END_OF_TURN_TOKEN\|>"
)
# The name of a field: `text: Ann, label: person` is a record.
_FIELD = re.compile(r"[^\W\d]\w{1,24}(?=[*_`\"']{0,3}\s?[:：=])")
_WORD = re.compile(r"\w+")
# The rest of a line, or, if that is blank, the next line.
_LINE = re.compile(r"[ \t*_\"']*\n?[^\n]*")
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
# A text of fewer words, or of fewer characters in a script without spaces, may be a name.
_LEAST_WORDS = 4
_LEAST_CHARACTERS = 8
# Shorter words occur in every text.
_LEAST_LETTERS = 4
# A text that shares this much with the passage is an echo of it.
_ECHO = 0.6
_LEAST_SIMILARITY = 80
_SENTENCE_ENDS = (".", "!", "?", "。", "！", "？")
_MOST_EXAMPLES = 16
_EDGES = " \t\n*_\"'“”"


def end_of_answer(answer: str, text: str, *, cut: bool = False) -> int:
    r"""The offset at which an answer ends and something else begins: another turn, or an example with another text.

    An example begins with a heading such as `Text:` and a text that is not the passage. Unless that is a sentence,
    another heading (`Entities:`) or nothing more must follow. What comes before must not be blank.

    >>> end_of_answer('["Ann"]\n\nText: Bo went home in the rain.\nEntities: ["Bo"]', "Ann sleeps.")
    9

    Args:
        answer: without thoughts.
        text: the passage; what it contains is no mark, and an echo of it no other example.
        cut: whether the end of the answer is missing.
    """
    first = len(answer) - len(answer.lstrip())
    turns = (match.start() for match in _TURN.finditer(answer) if match.start() > first and match[0] not in text)
    end = min(turns, default=len(answer))
    examples = [match for match in _heading("input").finditer(answer, 0, end) if match.start() > first]
    if not examples:
        return end
    answered = max((match.start() for match in _heading("answer").finditer(answer, 0, end)), default=0)
    last = 0 if cut else len(answer[:end].rstrip())
    for match in examples[:_MOST_EXAMPLES]:
        line = _LINE.match(answer, match.end(), end)
        written = line[0].strip(_EDGES) if line else ""
        between = line is None or answered < line.end() < last
        if _is_another(written, text) and (not between or written.endswith(_SENTENCE_ENDS)):
            return match.start()
    return end


def _is_another(written: str, text: str) -> bool:
    """Whether a string is too long for a name, and no echo of the passage."""
    words = len(_WORD.findall(written))
    sentence = words > 1 and written.endswith(_SENTENCE_ENDS)
    if words < _LEAST_WORDS and not sentence and len(_UNSPACED.findall(written)) < _LEAST_CHARACTERS:
        return False
    if any(field_name(match[0]) in TYPE_FIELDS for match in _FIELD.finditer(written)):
        return False
    return not is_echo(written, text) or _similarity(written, text) < _LEAST_SIMILARITY


def _similarity(written: str, text: str) -> float:
    """The similarity, from 0 to 100, of the shorter of two strings to the most similar part of the other."""
    from rapidfuzz import fuzz

    return fuzz.partial_ratio(written.casefold(), text.casefold())


def is_echo(written: str, text: str) -> bool:
    """Whether most of the longer words of a string are in a text."""
    words = _words(written)
    folded = text.casefold()
    return sum(word in folded for word in words) >= _ECHO * len(words)


def _words(text: str) -> list[str]:
    words = _WORD.findall(text.casefold())
    long = [word for word in words if len(word) >= _LEAST_LETTERS and not _UNSPACED.search(word)]
    characters = _UNSPACED.findall(text)
    return long + characters or words


@functools.cache
def _heading(kind: str) -> re.Pattern[str]:
    titles = "|".join(re.escape(title) for title in sorted(headings(kind), key=len, reverse=True))
    return re.compile(
        rf"^[ \t>*_#\d.)(-]{{0,12}}(?:{titles})[ \t]?\d{{0,3}}[*_]{{0,3}}[ \t]?(?:[:：][*_]{{0,3}}|$)",
        re.MULTILINE | re.IGNORECASE,
    )
