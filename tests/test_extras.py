"""A missing optional package is named together with the extra that installs it."""

from __future__ import annotations

import doctest
import sys

import pytest

from ner_ray import extras
from ner_ray.errors import MissingExtraError
from ner_ray.extras import is_installed, require


def test_the_examples_run() -> None:
    assert doctest.testmod(extras).attempted >= 3
    assert doctest.testmod(extras).failed == 0


def test_all_missing_packages_are_named_at_once_with_every_extra_that_has_them() -> None:
    with pytest.raises(MissingExtraError) as raised:
        require("json", "nowhere_one", "nowhere_two", extra=("gpu", "cpu"), purpose="the engine vllm")

    assert raised.value.message == "the engine vllm needs nowhere_one, nowhere_two, which are not installed"
    assert raised.value.hint == "pip install 'ner-ray[gpu]' or 'ner-ray[cpu]'"
    assert isinstance(raised.value, ImportError)


def test_a_package_is_not_imported_to_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)

    require("colorsys", extra="none")

    assert "colorsys" not in sys.modules


def test_a_module_whose_import_is_blocked_counts_as_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "peft", None)

    assert not is_installed("peft")
    with pytest.raises(MissingExtraError, match="peft is not installed"):
        require("peft", extra="transformers")
