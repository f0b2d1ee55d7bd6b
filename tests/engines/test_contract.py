"""Every engine keeps the contract of `ner_ray.engines.base`, also one from outside."""

from __future__ import annotations

from types import ModuleType

import pytest

from ner_ray import plugins
from ner_ray.engines import base
from ner_ray.errors import ConfigError

NAMES = plugins.names("engines")


def test_only_engines_are_listed_as_engines() -> None:
    assert NAMES == ["openai", "replay", "transformers", "vllm"]


@pytest.mark.parametrize("name", NAMES)
def test_every_engine_defines_what_the_contract_lists(name: str) -> None:
    base.load(name)


def test_an_engine_that_lacks_something_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    half = ModuleType("half")
    half.check = half.token_counter = print
    monkeypatch.setattr(plugins, "names", lambda kind: ["half"])
    monkeypatch.setattr(plugins, "_import", lambda contract, name: half)

    with pytest.raises(ConfigError, match=r"does not define Options, create, prompt_counter, identity"):
        base.load("half")
