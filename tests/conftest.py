"""Fixtures that several folders of tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

# No deadlines: the time of an example says more about the machine than about the code.
settings.register_profile("suite", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("suite")

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def reference_data() -> Path:
    """The folder of reference data that is not part of the project; tests that need it skip without it."""
    folder = Path(os.environ.get("NER_RAY_REFERENCE_DATA", REPOSITORY.parent / "shared"))
    if not (folder / "golden" / "golden.jsonl").is_file():
        pytest.skip("reference data is not at hand: set NER_RAY_REFERENCE_DATA to its folder")
    return folder
