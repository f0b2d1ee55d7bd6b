"""Every module of an extension folder is found by its name, keeps its contract, and needs no list."""

from __future__ import annotations

from importlib.metadata import EntryPoint, EntryPoints
from types import ModuleType

import pytest

from ner_ray import plugins
from ner_ray.annotator.spec import family_steps
from ner_ray.errors import ConfigError
from ner_ray.evaluate.papers import base as papers
from ner_ray.export import base as export
from ner_ray.families import base as families
from ner_ray.retrieval import base as retrieval

KINDS = ["data.formats", "engines", "evaluate.papers", "export", "families", "retrieval.retrievers"]


@pytest.fixture
def register(monkeypatch):
    """Makes a module look as if another distribution had registered it."""

    def as_entry_point(kind: str, name: str, module: ModuleType | None = None) -> None:
        group = f"ner_ray.{kind}"
        point = EntryPoint(name, f"{name}_module", group)
        monkeypatch.setattr(plugins, "_registered", lambda wanted: EntryPoints([point]).select(group=wanted))
        if module:
            monkeypatch.setitem(__import__("sys").modules, f"{name}_module", module)

    return as_entry_point


@pytest.mark.parametrize("kind", KINDS)
def test_every_extension_of_ours_keeps_the_contract_of_its_kind(kind):
    for name in plugins.names(kind):
        assert plugins.load(kind, name).__name__ == f"ner_ray.{kind}.{name}"


@pytest.mark.parametrize("kind", KINDS)
def test_helpers_and_the_contract_itself_are_not_extensions(kind):
    assert not {"base", "toolkit", "templates"} & set(plugins.names(kind))
    assert not any(name.startswith("_") for name in plugins.names(kind))


@pytest.mark.parametrize("name", plugins.names("families"))
def test_every_family_has_steps_with_distinct_roles(name):
    roles = [step.role for step in family_steps({"name": name})]

    assert roles
    assert len(set(roles)) == len(roles)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("families", "no family named 'gnar'; known: b2ner, cascade, gner, "),
        ("engines", "no engine named 'gnar'; known: openai, "),
        (
            "export",
            "no export format named 'gnar'; known: argilla, bio, brat, conll, html, huggingface, jsonl, label_studio, ",
        ),
        ("retrieval.retrievers", "no retriever named 'gnar'; known: bm25, dense, hybrid"),
        ("evaluate.papers", "no scorer named 'gnar'; known: b2ner, "),
    ],
)
def test_an_unknown_name_lists_the_known_ones(kind, message):
    with pytest.raises(ConfigError) as refused:
        plugins.load(kind, "gnar")

    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("contract", "attributes", "fault"),
    [
        (families, {}, "does not define Options, steps"),
        (
            families,
            {"Options": int, "steps": len},
            "Options as <class 'int'>, not as a subclass of FamilyOptions",
        ),
        (families, {"Options": families.FamilyOptions, "steps": ()}, "defines steps as (), not as a function"),
        (export, {"write": None}, "defines write as None, not as a function"),
        (retrieval, {"PARTS": ()}, "does not define BuildOptions, SearchOptions, check, build, load"),
        (papers, {"FAMILY": 3, "FORGIVES": "", "Sums": int, "count": len, "scores": len}, "FAMILY as 3, not as a str"),
    ],
)
def test_a_module_that_breaks_its_contract_is_refused_with_what_is_wrong(register, contract, attributes, fault):
    kind, word = contract.CONTRACT.kind, contract.CONTRACT.word
    module = ModuleType("half_module")
    vars(module).update(attributes)
    register(kind, "half", module)

    with pytest.raises(ConfigError) as refused:
        contract.load("half")

    assert f"the {word} half (half_module) " in str(refused.value)
    assert fault in str(refused.value)
    assert f"{contract.__name__}." in refused.value.hint


def test_a_module_that_cannot_be_imported_is_refused_with_its_place_and_the_reason(register):
    register("families", "gone")

    with pytest.raises(ConfigError, match=r"the family gone \(gone_module\) cannot be imported: No module named"):
        families.load("gone")


def test_a_registered_module_is_taken_before_one_of_ours(register):
    other = ModuleType("gner_module")
    vars(other).update(Options=families.FamilyOptions, steps=lambda options: ())
    register("families", "gner", other)

    assert families.load("gner") is other


def test_an_unknown_option_of_a_family_is_refused_with_the_nearest():
    with pytest.raises(ConfigError, match="outside_label: no such setting; do you mean 'outside_labels'"):
        family_steps({"name": "gner", "outside_label": "keep"})
