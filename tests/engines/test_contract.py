"""Every engine keeps the contract of `ner_ray.engines.base`: what it lists, and what it promises of it."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from ner_ray import plugins
from ner_ray.config.engine import options_of, resolve
from ner_ray.engines import base
from ner_ray.errors import ConfigError, EngineError, MissingExtraError, RequestError
from ner_ray.models.options import CheckpointOptions
from ner_ray.types import Message, Prompt
from tests.answering import MODEL, answering
from tests.engines.models import TEXT, ask

NAMES = plugins.names(base.CONTRACT.kind)


def _starts_slowly(name: str) -> bool:
    """An engine that loads a checkpoint may take a quarter of a minute."""
    try:
        return issubclass(options_of(name), CheckpointOptions)
    except ConfigError:  # the tests of the contract say what it lacks
        return False


every_engine = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.engine] if _starts_slowly(name) else []) for name in NAMES]
)


@pytest.fixture
def section(name: str, tiny_model: Path) -> Iterator[dict[str, Any]]:
    """Settings with which an engine works: the tiny model, or a server of known answers."""
    if "url" not in options_of(name).model_fields:
        yield {"name": name, "model": str(tiny_model), "max_model_len": 128, "max_num_seqs": 4}
        return
    with answering(lambda prompt: f"to {prompt}") as server:
        yield {"name": name, "model": MODEL, "url": server.url}


@pytest.mark.parametrize("name", NAMES)
def test_an_engine_defines_what_the_contract_lists_with_its_parameters(name: str) -> None:
    module = base.load(name)

    for function in ("check", "create", "token_counter", "prompt_counter", "identity"):
        promised = list(inspect.signature(getattr(base.EngineModule, function)).parameters)[1:]
        assert list(inspect.signature(getattr(module, function)).parameters) == promised


@every_engine
def test_an_engine_is_checked_created_asked_and_closed(name: str, section: dict[str, Any]) -> None:
    module, options = base.load(name), resolve(section)
    sampling = options.sampling.model_copy(update={"max_tokens": 5, "logprobs": False})

    module.check(options)
    engine = module.create(options)
    ((answer,),) = asyncio.run(_asked(engine, Prompt(TEXT[:20]), sampling))
    with pytest.raises(RequestError):
        asyncio.run(_asked(engine, Prompt(""), sampling))
    engine.close()
    engine.close()

    assert isinstance(answer.text, str)
    assert answer.prompt_tokens > 0
    assert answer.finish_reason in ("stop", "length")
    with pytest.raises(EngineError, match="closed"):
        ask(engine, TEXT)


async def _asked(engine: base.Engine, prompt: Prompt, sampling: Any) -> list[Any]:
    return [await engine.generate(prompt, sampling, None)]


@pytest.mark.parametrize("name", NAMES)
def test_an_engine_counts_tokens_and_identifies_its_model(name: str, section: dict[str, Any]) -> None:
    module, options = base.load(name), resolve(section | {"adapter": "some/adapter"})

    short, long, empty = module.token_counter(options)(["kalo", TEXT, ""])
    count = module.prompt_counter(options)
    who = module.identity(options)

    assert 0 <= empty <= short < long <= len(TEXT)
    assert count is None or count(Prompt(TEXT)) >= long
    assert count is None or count(Prompt((Message("user", TEXT),))) > long
    assert who.keys() == {"model", "revision", "adapter"}
    assert (who["model"], who["adapter"]) == (options.model, "some/adapter")


@pytest.mark.parametrize("name", NAMES)
def test_a_package_that_is_missing_is_found_by_the_check(
    name: str, section: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An engine of another distribution may need no package."""
    monkeypatch.setattr("ner_ray.extras.is_installed", lambda module: False)
    refusal = pytest.raises(
        MissingExtraError, match=rf"the engine {name} needs .* not installed\n.*pip install 'ner-ray\["
    )

    with refusal if base.load(name).__name__.startswith("ner_ray.") else nullcontext():
        base.load(name).check(resolve(section))


def test_an_engine_that_lacks_something_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    half = ModuleType("half")
    half.check = half.token_counter = print
    monkeypatch.setattr(plugins, "names", lambda kind: ["half"])
    monkeypatch.setattr(plugins, "_import", lambda contract, name: half)

    with pytest.raises(ConfigError, match=r"does not define Options, create, prompt_counter, identity"):
        base.load("half")
