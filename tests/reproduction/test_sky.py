"""Sky-NER's sample: every step as released, and `sky.md` says what is measured."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.reproduction import sky


@pytest.fixture(scope="module")
def compared(reference_data: Path) -> list[sky.Compared]:
    return sky.compare(reference_data / "data" / "sky")


def test_every_step_of_the_released_sample_is_reproduced(compared):
    assert [comparison for comparison in compared if comparison.same != comparison.total] == []
    assert {comparison.step for comparison in compared} == {
        "passages",
        "parse",
        "filter",
        "ground",
        "statistics",
        "conversations",
    }


def test_the_report_says_what_is_measured(compared):
    written = sky.REPORT.read_text(encoding="utf-8")

    assert written == sky.filled(written, sky.table(compared))
