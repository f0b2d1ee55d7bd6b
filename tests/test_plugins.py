"""Every module of an extension folder is found by its name, keeps its contract, and needs no list."""

from __future__ import annotations

import pytest

from ner_ray import plugins
from ner_ray.annotator.spec import family_steps
from ner_ray.errors import ConfigError
from ner_ray.families.base import FamilyOptions


@pytest.mark.parametrize("name", plugins.names("families"))
def test_every_family_has_options_with_defaults_and_steps_with_distinct_roles(name: str) -> None:
    assert issubclass(plugins.load("families", name).Options, FamilyOptions)

    roles = [step.role for step in family_steps({"name": name})]

    assert roles
    assert len(set(roles)) == len(roles)


@pytest.mark.parametrize("name", plugins.names("export"))
def test_every_exporter_can_write(name: str) -> None:
    assert callable(plugins.load("export", name).write)


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"no family named 'gnar'; known: .*gner"):
        plugins.load("families", "gnar")


def test_an_unknown_option_of_a_family_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="outside_label: no such setting; do you mean 'outside_labels'"):
        family_steps({"name": "gner", "outside_label": "keep"})
