"""The tiny decoder and its adapters, made once for all tests of this folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engines.models import save_random_adapter
from tests.tiny_models import save_tiny_model


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="session")
def adapters(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    folder = tmp_path_factory.mktemp("adapters")
    first, second = (save_random_adapter(tiny_model, folder / str(seed), seed) for seed in (1, 2))
    return str(first), str(second)
