"""Fixtures of the training tests."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent.parent)]


@pytest.fixture(scope="session")
def toy(tmp_path_factory) -> tuple[Path, Path]:
    """A training file for cascade's two roles, and gold sentences that are not in it."""
    from toy import write_toy_files

    return write_toy_files(tmp_path_factory.mktemp("toy"))


@pytest.fixture(scope="session")
def base(tmp_path_factory) -> Path:
    """A checkpoint with random weights."""
    from tiny_models import save_tiny_model

    return save_tiny_model(tmp_path_factory.mktemp("base"))


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    import torch

    torch.set_num_threads(1)
