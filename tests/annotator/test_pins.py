"""A run's models are those of its first night, whatever is pushed to the hub afterwards."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from ner_ray.annotator import pools
from ner_ray.annotator.spec import Spec, resolve
from ner_ray.config import AnnotateConfig

_FIRST, _SECOND = "a" * 40, "b" * 40


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The hub, whose repositories are all at one commit."""
    newest = SimpleNamespace(sha=_FIRST)
    monkeypatch.setattr("huggingface_hub.HfApi.model_info", lambda *_, **__: newest)
    return newest


def _spec(**engine: object) -> Spec:
    section = {"name": "vllm", "model": "hub:org/model", **engine}
    places = {"input": {"path": "in"}, "output": {"path": "out"}, "labels": ["person"]}
    return resolve(AnnotateConfig.model_validate({"family": {"name": "gner"}, "engine": section, **places}))


def test_models_and_adapters_of_the_hub_stay_at_the_commits_that_a_run_began_with(hub: SimpleNamespace) -> None:
    first = pools.pin(_spec(adapter="hub:org/adapter"), {})
    recorded = pools.identities(first)
    hub.sha = _SECOND
    later = pools.pin(_spec(adapter="hub:org/adapter"), recorded)
    fresh = pools.pin(_spec(adapter="hub:org/adapter"), {})

    [role] = recorded
    assert recorded[role] == {"model": "hub:org/model", "revision": _FIRST, "adapter": f"hub:org/adapter@{_FIRST}"}
    assert later.pools == first.pools
    assert pools.identities(fresh)[role]["revision"] == _SECOND
    assert later.config == first.config  # and so the run's fingerprint


def test_what_is_not_on_the_hub_stays_as_it_is(hub: SimpleNamespace) -> None:
    spec = _spec(model="./folder", adapter="./adapter")

    assert pools.pin(spec, {}) == spec


def test_a_commit_that_is_asked_for_is_kept(hub: SimpleNamespace) -> None:
    pinned = pools.pin(_spec(revision=_SECOND), {})

    assert pinned.pools[0].engine.revision == _SECOND
