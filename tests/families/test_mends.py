"""The dialects find every kind of fault: with what reads a kind of answer taken out, gold no longer comes back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from ner_ray.families.toolkit import records
from ner_ray.families.toolkit.answers import Listed
from ner_ray.families.toolkit.guide import Guide, Item
from ner_ray.families.toolkit.lists import Group, Text, texts
from ner_ray.families.toolkit.thoughts import Answer
from tests import dialects
from tests.families.data import named
from tests.families.test_dialects import READABLE, read_dialect

_tuple = records._tuple


def _pairs_only(group: Group, guide: Guide, label: Text | None) -> Iterator[Item]:
    return _tuple(group, guide, label) if len(texts(group)) == 2 else iter(())


def _label_second(words: Sequence[Text], *_: object, **__: object) -> Iterator[Item]:
    return iter([Item(words[0], words[1])])


def _returning(value: Any) -> Callable[..., Any]:
    return lambda *_, **__: value


# What is taken out -> the functions of `families.toolkit` that do it, and what stands in for them.
MENDS: dict[str, dict[str, Callable[..., Any]]] = {
    "thoughts": {"transcript.answer_of": lambda completion, *_: Answer(completion)},
    "answer tags": {"thoughts._inside_answer_tags": lambda _, kept, __: kept},
    "nothing, in words": {"guide.says_nothing": _returning(False), "answers.says_nothing": _returning(False)},
    "all lists": {"answers._without_drafts": lambda parts, **_: list(parts[:1])},
    "drafts": {"answers._without_drafts": lambda parts, **_: list(parts)},
    "labels above lists": {"answers._heading": _returning("")},
    "records": {"records._record": _returning(None)},
    "tuples with more behind the pair": {"records._tuple": _pairs_only},
    "tuples that begin with the label": {"records._sides": _label_second},
    "types that hold entities": {"records._under_label": lambda *_: iter(())},
    "words with BIO tags": {"answers._joined": lambda found, *_, **__: list(found)},
    "lines": {"answers._from_lines": _returning(Listed((), understood=False))},
    "fields on lines": {"lines._fields": _returning(None)},
    "tables": {"lines._row": _returning([])},
    "tags": {"lines._tagged": _returning([])},
    "headings above lines": {"lines._heading": _returning(None)},
    "sentences": {"answers.read_prose": _returning([])},
    "questions": {"lines.question": _returning(None)},
    "tuples without quotes": {"lines.bare_tuples": _returning([])},
    "lists in strings": {"lists._encoded": _returning(None)},
    "continuations": {"thoughts.end_of_answer": lambda answer, *_, **__: len(answer)},
    "several entities behind a label": {"lines.split_values": lambda text, start, _: [Text(text, start, start)]},
}


@pytest.mark.parametrize("mend", MENDS)
def test_without_what_reads_a_kind_of_answer_gold_does_not_come_back(
    mend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, replacement in MENDS[mend].items():
        monkeypatch.setattr(f"ner_ray.families.toolkit.{name}", replacement)

    with pytest.raises((AssertionError, ValueError)):
        _gold_comes_back()


@settings(
    max_examples=1000,
    phases=[Phase.generate],
    database=None,
    report_multiple_bugs=False,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(dialects.cases().flatmap(lambda case: dialects.answers("instruct", case)))
def _gold_comes_back(answer: dialects.Answer) -> None:
    reading = read_dialect("instruct", answer.case, answer.text)
    if Counter(named(reading)) != Counter(answer.case.gold) or reading.verdict not in READABLE:
        raise AssertionError(answer.dialect)
