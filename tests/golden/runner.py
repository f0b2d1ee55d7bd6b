"""Runs cases of the golden format: what published code returned, against what runs here.

A case is a JSON object with `system`, `case`, `function`, `input`, `output_text` and `reference_result`. The
tables `FUNCTIONS` of this folder's modules map system and name of a published function (names repeat between systems)
to a function that takes a case and returns what must equal its `reference_result`. A function in no table is not
covered: no pass.
"""

from __future__ import annotations

import json
import math
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.golden import demonstrations, evaluation, families, synthesis

Case = dict[str, Any]
Check = Callable[[Case], Any]

Key = tuple[str, str]

FUNCTIONS: dict[Key, Check] = {
    **families.FUNCTIONS,
    **evaluation.FUNCTIONS,
    **demonstrations.FUNCTIONS,
    **synthesis.FUNCTIONS,
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a case: `passed`, `failed` or `not covered`, with what was found instead."""

    case: Case
    state: str
    actual: Any = None

    def __str__(self) -> str:
        name = f"{self.state}: {self.case['system']} / {self.case['case']} ({self.case['function']})"
        if self.state != "failed":
            return name
        expected = json.dumps(self.case["reference_result"], ensure_ascii=False)
        actual = (
            self.actual
            if isinstance(self.actual, str) and "Traceback" in self.actual
            else json.dumps(self.actual, ensure_ascii=False, default=str)
        )
        return f"{name}\n  expected {expected}\n  actual   {actual}"


def load(path: Path) -> list[Case]:
    """The cases of a file with one JSON object a line."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def run(cases: Iterable[Case], functions: dict[Key, Check] = FUNCTIONS) -> list[Outcome]:
    """The outcome of every case, in order; a check that raises is a failed one."""
    return [_run(case, functions.get((case["system"], case["function"]))) for case in cases]


def equal(expected: Any, actual: Any) -> bool:
    """Whether two JSON values are the same; numbers to 9 digits, tuples as lists."""
    if isinstance(expected, dict) and isinstance(actual, dict):
        return expected.keys() == actual.keys() and all(equal(expected[key], actual[key]) for key in expected)
    if isinstance(expected, list | tuple) and isinstance(actual, list | tuple):
        return len(expected) == len(actual) and all(map(equal, expected, actual))
    if isinstance(expected, float) and isinstance(actual, int | float):
        return math.isclose(expected, actual, rel_tol=1e-9, abs_tol=1e-12)
    return type(expected) is type(actual) and bool(expected == actual)


def _run(case: Case, check: Check | None) -> Outcome:
    if check is None:
        return Outcome(case, "not covered")
    try:
        actual = check(case)
    except Exception:  # noqa: BLE001 - whatever a case does, the others are run
        return Outcome(case, "failed", traceback.format_exc())
    return Outcome(case, "passed" if equal(case["reference_result"], actual) else "failed", actual)
