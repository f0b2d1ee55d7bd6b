"""The time to read an answer grows with its length and no faster, whatever garbage it is."""

from __future__ import annotations

import pytest

from tests.benchmarks.parsing import SHAPES, seconds
from tests.families.data import tagger

# Four times the answer may take this many times as long: 16 would be quadratic. Less than the floor is not measured.
_MOST = 10
_FLOOR = 0.02


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("family", ["instruct", "b2ner", "universal_ner"])
def test_four_times_the_answer_takes_about_four_times_as_long(family: str, shape: str) -> None:
    step, make = tagger(family), SHAPES[shape]
    quarter, whole = seconds(step, make(20_000)), seconds(step, make(80_000))

    assert whole < _MOST * max(quarter, _FLOOR)
