"""The examples in docstrings do what they show."""

from __future__ import annotations

import doctest
import importlib
import inspect
from pathlib import Path

import pytest

import ner_ray

ROOT = Path(ner_ray.__file__).parent


def modules_with_examples() -> list[str]:
    paths = sorted(path for path in ROOT.rglob("*.py") if ">>>" in path.read_text("utf-8"))
    names = [".".join(("ner_ray", *path.relative_to(ROOT).with_suffix("").parts)) for path in paths]
    return [name.removesuffix(".__init__") for name in names]


@pytest.mark.parametrize("name", modules_with_examples())
def test_examples_run(name: str) -> None:
    found = doctest.testmod(importlib.import_module(name))

    assert found.attempted
    assert not found.failed


@pytest.mark.parametrize("name", ner_ray.__all__)
def test_the_docstring_of_every_public_name_shows_an_example(name: str) -> None:
    public = getattr(ner_ray, name)

    assert not callable(public) or ">>> " in inspect.getdoc(public)
