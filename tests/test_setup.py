"""The list of versions that `make` installs fits what the project asks for."""

from __future__ import annotations

import importlib.util
import re
import subprocess

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.conftest import REPOSITORY

SPEC = importlib.util.spec_from_file_location("lock", REPOSITORY / ".ci" / "lock.py")
lock = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(lock)

PINS = dict(re.findall(r"^([\w.-]+)==(\S+)$", lock.LOCK.read_text(encoding="utf-8"), flags=re.MULTILINE))


@pytest.mark.parametrize("requirement", lock.requirements(), ids=str)
def test_what_the_project_asks_for_is_on_the_list_in_a_version_that_fits(requirement: Requirement):
    version = PINS[canonicalize_name(requirement.name)]

    assert requirement.specifier.contains(version, prereleases=True)


def test_torch_is_the_cpu_build_and_nothing_that_breaks_transformers_is_on_the_list():
    assert PINS["torch"].endswith("+cpu")
    assert not lock.LEFT_OUT & PINS.keys()
    assert not [name for name in PINS if name.startswith("nvidia-")]


def test_make_alone_tells_what_every_target_does():
    told = subprocess.run(["make", "--no-print-directory"], cwd=lock.ROOT, capture_output=True, text=True, check=True)

    phony = re.search(r"^\.PHONY: (.*)$", (lock.ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert phony
    assert sorted(phony[1].split()) == sorted(re.findall(r"^  make (\S+) +\S", told.stdout, flags=re.MULTILINE))
