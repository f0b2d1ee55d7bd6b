"""Imports between modules, as far as the contracts in `pyproject.toml` cannot say it without lists of names."""

from __future__ import annotations

import importlib
import itertools
import pkgutil
import re
import tomllib
from pathlib import Path

import grimp
import pytest

import ner_ray
from ner_ray import plugins

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def graph():
    return grimp.build_graph("ner_ray")


def kinds() -> list[str]:
    """Every kind of extension: what some `base` module declares a contract for."""
    modules = [module.name for module in pkgutil.walk_packages(ner_ray.__path__, "ner_ray.")]
    bases = [importlib.import_module(name) for name in modules if name.endswith(".base")]
    return [base.CONTRACT.kind for base in bases if isinstance(getattr(base, "CONTRACT", None), plugins.Contract)]


def test_all_kinds_of_extensions_are_found():
    assert {"families", "engines", "export", "retrieval.retrievers", "evaluate.papers"} <= set(kinds())


@pytest.mark.parametrize("kind", kinds())
def test_extensions_of_one_kind_do_not_import_each_other_even_indirectly(kind, graph):
    ours = [name for name in plugins.names(kind) if f"ner_ray.{kind}.{name}" in graph.modules]

    assert len(ours) > 1
    for importer, imported in itertools.permutations(ours, 2):
        chain = graph.find_shortest_chain(f"ner_ray.{kind}.{importer}", f"ner_ray.{kind}.{imported}")
        assert chain is None, " imports ".join(chain)


def test_every_module_has_its_place_in_the_layers():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = [layer for contract in contracts for layer in contract.get("layers", ())]
    placed = set(re.findall(r"ner_ray\.(\w+)", " ".join(layers)))
    modules = {module.name for module in pkgutil.iter_modules(ner_ray.__path__)}

    assert modules - placed <= {"__main__"}
