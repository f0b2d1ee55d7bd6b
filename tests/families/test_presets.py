"""Presets of released checkpoints fit the families and the configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from ner_ray import plugins
from ner_ray.config import ChunkConfig, EngineConfig, VoteConfig
from ner_ray.config.engine import resolve

PRESETS = sorted((Path(__file__).parents[2] / "conf" / "families").glob("*.yaml"))


@pytest.fixture(params=PRESETS, ids=lambda path: path.stem)
def preset(request: pytest.FixtureRequest) -> dict[str, Any]:
    return yaml.safe_load(request.param.read_text(encoding="utf-8"))


def _engines(preset: dict[str, Any]) -> dict[str, EngineConfig]:
    """The engine of each role; of no role where one engine plays them all."""
    engine = preset["engine"]
    roles = {"": engine} if "name" in engine else engine
    return {role: resolve(section) for role, section in roles.items()}


def test_a_preset_configures_its_family_and_an_engine_for_each_role(preset: dict[str, Any]) -> None:
    family = plugins.load("families", preset["family"].pop("name"))
    steps = family.steps(family.Options(**preset["family"]))
    roles = {step.role for step in steps}
    engines = _engines(preset)

    assert preset.keys() <= {"family", "engine", "chunk", "vote", "resources"}
    assert engines.keys() in ({""}, roles)
    assert not any(engine.trust_remote_code for engine in engines.values())


def test_a_presets_chunks_leave_room_for_the_answer(preset: dict[str, Any]) -> None:
    chunk = ChunkConfig(**preset["chunk"])

    for engine in _engines(preset).values():
        written = 0 if engine.name == "transformers" else engine.sampling.max_tokens
        assert engine.max_model_len is not None
        assert chunk.tokens + written < engine.max_model_len
    assert VoteConfig(**preset.get("vote", {}))


def test_every_family_with_a_checkpoint_has_a_preset() -> None:
    named = {yaml.safe_load(path.read_text(encoding="utf-8"))["family"]["name"] for path in PRESETS}

    assert named == {"b2ner", "cascade", "gner", "ra_it", "universal_ner"}
