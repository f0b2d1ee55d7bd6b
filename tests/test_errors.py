"""Errors keep what they say on their way between processes, and every code of a row is explained."""

from __future__ import annotations

import ast
import pickle
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import ner_ray
from ner_ray import errors
from ner_ray.errors import ErrorCode, NerRayError

SOURCES = sorted(Path(ner_ray.__file__).parent.rglob("*.py"))
KINDS = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, NerRayError)]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_an_error_keeps_its_message_and_hint_between_processes(kind: type[NerRayError]) -> None:
    error = pickle.loads(pickle.dumps(kind("found 3", hint="try 4")))

    assert type(error) is kind
    assert str(error) == "found 3\n  hint: try 4"


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_the_tree_of_errors_shows_every_kind_below_its_parent(kind: type[NerRayError]) -> None:
    assert errors.__doc__
    lines = {
        line.strip(" │├└─").split()[0]: len(line) - len(line.lstrip(" │├└─"))
        for line in errors.__doc__.splitlines()
        if "Error" in line and line.startswith("    ")
    }

    parents = [parent.__name__ for parent in kind.__mro__[1:] if parent in KINDS]
    assert kind.__name__ in lines
    assert all(lines[parent] < lines[kind.__name__] for parent in parents)


@pytest.mark.parametrize("code", ErrorCode)
def test_a_code_is_a_plain_word_with_a_meaning_and_a_remedy(code: ErrorCode) -> None:
    assert re.fullmatch("[a-z0-9_]+", code)
    assert code.meaning.endswith(".")
    assert code.remedy.endswith(".")
    assert pickle.loads(pickle.dumps(code)) is code


def test_every_code_that_the_package_writes_is_in_the_enumeration_and_each_of_these_is_written() -> None:
    trees = [ast.parse(source.read_text("utf-8")) for source in SOURCES]
    used = {
        node.attr
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "ErrorCode"
    }

    assert {code for tree in trees for code in codes_in(tree)} <= set(ErrorCode)
    assert {code.name for code in ErrorCode} <= used


def codes_in(tree: ast.Module) -> Iterator[str]:
    """The literal codes of error records, wherever one is made."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
            firsts = node.args[:1] if name == "ErrorRecord" else []
            named = [word.value for word in node.keywords if word.arg == "code"]
            yield from (value.value for value in (*firsts, *named) if is_text(value))
        if isinstance(node, ast.Dict):
            pairs = zip(node.keys, node.values, strict=True)
            yield from (value.value for key, value in pairs if is_text(key) and key.value == "code" and is_text(value))


def is_text(node: ast.AST | None) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)
