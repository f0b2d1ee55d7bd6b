"""Extensions of another distribution: found by their entry points, held to the same contracts, with no file edited.

`toys` is a distribution with one extension of each kind; the examples in the contracts' own docstrings, and the family
in `examples/`, join it.
`faulty` has extensions that break their contracts, which must be noticed.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import textwrap
from itertools import takewhile
from pathlib import Path

import pytest

from ner_ray.engines import base as engines
from ner_ray.export import base as export
from ner_ray.families import base as families
from ner_ray.retrieval import base as retrieval

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
CONTRACTS = [
    "tests/families/test_contract.py",
    "tests/export/test_contract.py",
    "tests/retrieval/test_contract.py",
    "tests/engines/test_contract.py",
    "tests/test_plugins.py",
]
TOYS = """
    [ner_ray.families]
    toy_angle = outside_toys.angle
    toy_lines = outside_toys.lines
    toy_table = outside_toys.table

    [ner_ray.engines]
    toy_capitals = outside_toys.capitals
    toy_echo = outside_toys.echo

    [ner_ray.export]
    toy_tsv = outside_toys.tsv
    toy_plain = outside_toys.plain

    [ner_ray.retrieval.retrievers]
    toy_characters = outside_toys.characters
"""
FAULTY = """
    [ner_ray.families]
    toy_silent = faulty_toys.silent
    toy_lazy = faulty_toys.lazy
    toy_shifted = faulty_toys.shifted

    [ner_ray.engines]
    toy_half = faulty_toys.half

    [ner_ray.export]
    toy_hoarder = faulty_toys.hoarder

    [ner_ray.retrieval.retrievers]
    toy_backwards = faulty_toys.backwards
"""
# Which test notices which of them.
NOTICED = {
    ("test_targets_give_back_the_gold_that_is_not_left_out_and_nothing_else", "toy_silent"),
    ("test_plain_gold_is_never_left_out_and_comes_back_where_it_stands", "toy_lazy"),
    ("test_what_is_left_out_is_left_out_for_the_reason_given", "toy_lazy"),
    ("test_any_answer_gives_a_reading", "toy_shifted"),
    ("test_an_engine_defines_what_the_contract_lists_with_its_parameters", "toy_half"),
    ("test_what_was_written_is_counted", "toy_hoarder"),
    ("test_neighbours_are_distinct_examples_nearest_first", "toy_backwards"),
}
# What the examples in docstrings take for granted.
IMPORTS = """
from __future__ import annotations
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
import numpy as np
from pydantic import Field
from ner_ray.config import Section
from ner_ray.types import *
from ner_ray.{base}.base import *
"""
ENGINE = """
from typing import Literal
from ner_ray.config import EngineConfig, SamplingConfig
from ner_ray.errors import EngineError, RequestError
from ner_ray.models import tokenizers
from ner_ray.models.tokenizers import PromptCounter, TokenCounter
"""
TOOLKIT = """
from ner_ray.families.toolkit.labels import names
from ner_ray.families.toolkit.targets import listed
from ner_ray.families.toolkit.transcript import read_samples, settle
"""


@pytest.fixture(scope="module")
def toys(tmp_path_factory) -> Path:
    """A folder as `pip install` would fill it, to be put on the path."""
    folder = tmp_path_factory.mktemp("site-packages")
    _install(folder, "outside_toys", HERE / "toys", TOYS)
    package = folder / "outside_toys"
    (package / "lines.py").write_text(IMPORTS.format(base="families") + TOOLKIT + _example(families.__doc__))
    (package / "plain.py").write_text(IMPORTS.format(base="export") + _example(export.__doc__))
    (package / "characters.py").write_text(IMPORTS.format(base="retrieval") + _example(retrieval.__doc__))
    shutil.copy(ROOT / "examples" / "family" / "table.py", package)
    echo = _example(engines.__doc__).replace('"echo"', '"toy_echo"')
    (package / "echo.py").write_text(IMPORTS.format(base="engines") + ENGINE + echo)
    return folder


@pytest.fixture(scope="module")
def faulty(toys, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("site-packages")
    _install(folder, "faulty_toys", HERE / "faulty", FAULTY)
    return folder


@pytest.mark.timeout(900)
def test_extensions_from_outside_pass_the_very_contract_tests(toys):
    done = _run(["pytest", "-q", "-p", "no:xdist", "--hypothesis-profile=brief", *CONTRACTS, "-k", "toy_"], toys)

    assert done.returncode == 0, done.stdout
    (passed,) = re.findall(r"(\d+) passed", done.stdout)
    assert int(passed) > 40


@pytest.mark.timeout(900)
def test_extensions_that_break_a_contract_are_noticed(toys, faulty):
    chosen = " or ".join(f"({name} and {test})" for test, name in NOTICED)
    done = _run(["pytest", "-q", "-p", "no:xdist", *CONTRACTS, "-k", chosen], toys, faulty)
    failed = re.findall(r"^FAILED \S+::(\w+)\[(?:\w+-)?(toy_\w+)", done.stdout, re.MULTILINE)

    assert set(failed) == NOTICED


def test_a_family_from_outside_is_tried_on_one_sentence_with_an_engine_from_outside(toys):
    script = """
        from ner_ray import Annotator

        parts = {"family": {"name": "toy_angle"}, "engine": {"name": "toy_capitals"}}
        with Annotator(parts, labels=["person"]) as annotator:
            print([(found.start, found.text, found.label) for found in annotator("yesterday Ann met Rex.").entities])
    """
    done = _run(["-c", textwrap.dedent(script)], toys)

    assert done.stdout.strip() == "[(10, 'Ann', 'person'), (18, 'Rex', 'person')]", done.stderr


def _install(folder: Path, package: str, source: Path, entry_points: str) -> None:
    shutil.copytree(source, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / package / "__init__.py").write_text("")
    metadata = folder / f"{package}-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(textwrap.dedent(entry_points))


def _example(docstring: str | None) -> str:
    """The code of a docstring's example: its first indented block."""
    assert docstring
    lines = docstring[docstring.index("\n    ") + 1 :].splitlines()
    return textwrap.dedent("\n".join(takewhile(lambda line: not line or line.startswith("    "), lines)))


def _run(arguments: list[str], *folders: Path) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join(map(str, [ROOT, *folders]))
    command = [sys.executable, *(["-m"] if arguments[0] == "pytest" else []), *arguments]
    environment = os.environ | {"PYTHONPATH": path, "NO_COLOR": "1"}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
