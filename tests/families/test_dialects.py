"""Gold comes back from every dialect in which a model may answer, and nothing else does."""

from __future__ import annotations

from collections import Counter
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ner_ray.families.base import Step
from ner_ray.types import Completion, Exchange, Label, Reading, StepInput, Verdict
from tests import dialects
from tests.dialects import Case
from tests.families.data import named, tagger

FAMILIES = ("instruct", "b2ner", "universal_ner", "ra_it", "teacher")
READABLE = {Verdict.OK, Verdict.RECOVERED}

# Tags that are named like stages of work may hold the answer.
STAGES = ("<plan>", "<step>", "<work_notes>")
# A heading alone does not tell that the answer behind it is missing, unless the limit was reached.
UNCLOSED = [
    (opening, reason)
    for opening, _ in dialects.THOUGHTS
    for reason in ("length", "stop")
    if opening and (reason == "length" or not opening.startswith(("#", "*", "Thought ", *STAGES)))
]

every_family = pytest.mark.parametrize("family", FAMILIES)


@cache
def _step(family: str) -> Step:
    options = {
        "instruct": {},
        "teacher": {"prompt": "annotation"},
        "b2ner": {"wrapper": "chat"},
        "universal_ner": {"wrapper": "chat"},
        "ra_it": {"wrapper": "chat"},
    }
    return tagger("instruct" if family == "teacher" else family, **options[family])


def read_dialect(family: str, case: Case, answer: str, finish_reason: str = "stop") -> Reading:
    """A family's reading; a family that asks for one label at a time hears nothing but `[]` about the others."""
    labels = () if family == "teacher" else tuple(Label(name) for name in case.labels)
    passage, step = StepInput(case.text, labels), _step(family)
    asked = case.gold[0][1] if case.gold else case.labels[0]
    exchanges = [
        Exchange(
            prompt,
            (Completion(answer, finish_reason) if prompt.subject in ("", "0", asked) else Completion("[]"),),
        )
        for prompt in step.ask(passage, ())
    ]
    (reading,) = step.read(passage, exchanges)
    return reading


def _cases(family: str, min_size: int = 0) -> st.SearchStrategy[Case]:
    """Cases of which a family can say the gold: one that asks for a label at a time, of one label."""
    drawn = dialects.cases(min_size=min_size)
    if family in dialects.ASKED:
        return drawn.map(lambda case: Case(case.text, case.labels, tuple((s, case.labels[0]) for s, _ in case.gold)))
    return drawn


@every_family
@settings(max_examples=150)
@given(data=st.data())
def test_gold_comes_back_from_every_dialect_and_nothing_else_does(family: str, data: st.DataObject) -> None:
    answer = data.draw(_cases(family).flatmap(lambda case: dialects.answers(family, case)), label="answer")

    reading = read_dialect(family, answer.case, answer.text)

    assert Counter(named(reading)) == Counter(answer.case.gold)
    assert reading.dropped == ()
    assert reading.verdict in READABLE
    assert (reading.verdict is Verdict.RECOVERED) == bool(reading.repairs)


@every_family
@settings(max_examples=150)
@given(data=st.data())
def test_cut_anywhere_an_answer_gives_a_prefix_of_its_gold(family: str, data: st.DataObject) -> None:
    answer, cut = data.draw(
        _cases(family, 1).flatmap(lambda case: dialects.cut_answers(family, case)), label="answer, cut"
    )
    whole = named(read_dialect(family, answer.case, answer.text))

    reading = read_dialect(family, answer.case, cut, "length")

    assert named(reading) == whole[: len(reading.mentions)]
    assert reading.verdict is Verdict.TRUNCATED or ("continuation" in reading.repairs and named(reading) == whole)


@every_family
@pytest.mark.parametrize("nothing", dialects.NOTHING)
def test_nothing_here_is_an_answer_in_any_shape_and_language(family: str, nothing: str) -> None:
    reading = read_dialect(family, Case("Once it rained.", dialects.LABEL_SETS[0], ()), nothing)

    assert (reading.mentions, reading.dropped, reading.errors) == ((), (), ())
    assert reading.verdict in READABLE


@every_family
@pytest.mark.parametrize(("opening", "finish_reason"), UNCLOSED)
def test_nothing_but_thoughts_is_truncated_and_says_so(family: str, opening: str, finish_reason: str) -> None:
    case = Case("Once Ann met Bo.", dialects.LABEL_SETS[0], ())

    reading = read_dialect(
        family, case, f'{opening}Perhaps ["Ann"], [{{"Bo": "place"}}] or place: Bo, but', finish_reason
    )

    assert (reading.mentions, reading.verdict) == ((), Verdict.TRUNCATED)
    assert "all tokens were spent on thinking" in reading.errors[0].message
