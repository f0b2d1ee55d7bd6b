"""The runner of golden cases, and the golden cases that are at hand."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.golden.differences import differing
from tests.golden.runner import FUNCTIONS, equal, load, run

FOLDER = Path(__file__).parent
PARSED = {
    "system": "UniversalNER",
    "case": "a list",
    "function": "src/eval/evaluate.parser",
    "input": {},
    "output_text": '["Ghent"]',
    "reference_result": ["ghent"],
}


@pytest.fixture(scope="module")
def golden(reference_data: Path) -> list[dict[str, Any]]:
    return load(reference_data / "golden" / "golden.jsonl")


def test_every_covered_golden_case_passes(golden: list[dict[str, Any]]) -> None:
    failed = [str(outcome) for outcome in run(golden) if outcome.state == "failed"]

    assert failed == []


def test_every_prompt_parser_and_scorer_of_the_five_systems_is_covered(golden: list[dict[str, Any]]) -> None:
    asked_or_read = re.compile(
        "parser|preprocess_instance|get_instruction|evaluat|predict_entities|categorize|_extract"
    )
    functions = {(case["system"], case["function"]) for case in golden if asked_or_read.search(case["function"])}

    assert functions - FUNCTIONS.keys() == set()


def test_the_table_of_differences_lists_what_our_parsers_read_otherwise_and_nothing_else(
    golden: list[dict[str, Any]],
) -> None:
    table = (FOLDER / "DIFFERENCES.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\w[^|]*?) \| ([^|]+?) \|", table, re.MULTILINE)
    found = {(case["system"], case["case"]) for case in differing(golden)}

    assert set(rows) - {("system", "case")} == found


def test_a_case_passes_fails_or_is_not_covered() -> None:
    wrong = {**PARSED, "reference_result": ["bruges"]}
    unknown = {**PARSED, "function": "of_nobody"}

    assert [outcome.state for outcome in run([PARSED, wrong, unknown])] == ["passed", "failed", "not covered"]


def test_every_golden_case_is_covered(golden: list[dict[str, Any]]) -> None:
    assert [str(outcome) for outcome in run(golden) if outcome.state == "not covered"] == []


def test_systems_that_name_their_functions_alike_have_checks_of_their_own() -> None:
    golds, answers = ['["paris"]', '["x"]'], ['["Paris"]', "[oops"]
    case = {"function": "NEREvaluator.evaluate", "case": "two rows", "input": {"golds": golds}, "output_text": answers}
    uniner = {**case, "system": "UniversalNER", "reference_result": {"precision": 1.0, "recall": 0.5, "f1": 2 / 3}}
    ra_it = {**case, "system": "RA-IT", "reference_result": {"precision": 100.0, "recall": 50.0, "f1": 66.67}}

    assert run([ra_it])[0].state == "passed"
    assert FUNCTIONS["UniversalNER", "NEREvaluator.evaluate"](uniner)["recall"] == pytest.approx(0.5)


def test_a_check_that_raises_is_a_failure_with_its_traceback() -> None:
    (outcome,) = run([{**PARSED, "output_text": {}}])

    assert outcome.state == "failed"
    assert "Traceback" in str(outcome)


@pytest.mark.parametrize(
    ("expected", "actual", "same"),
    [
        ([1, "a"], (1, "a"), True),
        ({"a": 0.1 + 0.2}, {"a": 0.3}, True),
        ({"a": 0.3}, {"a": 0.3001}, False),
        ({"a": 1}, {"a": 1, "b": 2}, False),
        ([1, 2], [1], False),
        (1, True, False),
        (None, [], False),
    ],
)
def test_values_are_compared_as_json(expected: Any, actual: Any, same: bool) -> None:
    assert equal(expected, actual) is same


@pytest.mark.parametrize(
    ("changed", "status", "last"),
    [
        ({}, 0, "1 passed, 0 failed, 0 not covered"),
        ({"reference_result": []}, 1, "0 passed, 1 failed, 0 not covered"),
        ({"function": "of_nobody"}, 1, "0 passed, 0 failed, 1 not covered"),
    ],
)
def test_the_command_prints_the_counts_and_fails_unless_all_passed(
    tmp_path: Path, changed: dict[str, Any], status: int, last: str
) -> None:
    file = tmp_path / "cases.jsonl"
    file.write_text(json.dumps({**PARSED, **changed}) + "\n", encoding="utf-8")

    done = subprocess.run(
        [sys.executable, "-m", "tests.golden", str(file)],
        cwd=FOLDER.parent.parent,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == status
    assert last in done.stdout
