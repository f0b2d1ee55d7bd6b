"""Where a checkpoint is, what is wrong with it, and what tells it from another."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from ner_ray.errors import ModelError
from ner_ray.models.checkpoints import STARTER, Checkpoint, check, identity


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The hub's cache, with two commits of one model."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.file_download.HF_HUB_CACHE", str(tmp_path), raising=False)
    folder = tmp_path / "models--some--model"
    for branch, commit in (("main", "c0ffee"), ("v2", "f00d")):
        (folder / "snapshots" / commit).mkdir(parents=True)
        (folder / "snapshots" / commit / "config.json").write_text("{}")
        (folder / "refs").mkdir(exist_ok=True)
        (folder / "refs" / branch).write_text(commit)
    return tmp_path


def test_the_model_that_ships_with_the_package_is_found_and_can_be_read() -> None:
    starter = Checkpoint(STARTER)

    check(starter)
    assert (Path(starter.location) / "config.json").is_file()
    assert starter.file("tokenizer.json")
    assert starter.file("no_such_file") is None


@pytest.mark.parametrize(
    ("model", "complaint"),
    [
        ("", "no model is named"),
        ("{folder}/nowhere", "no such model folder"),
        ("./nowhere", "no such model folder"),
        ("too/many/parts", "no such model folder"),
        ("{folder}", "has no config.json"),
    ],
)
def test_a_model_that_is_not_there_is_named(tmp_path: Path, model: str, complaint: str) -> None:
    with pytest.raises(ModelError, match=complaint):
        check(Checkpoint(model.format(folder=tmp_path)))


def test_a_configuration_that_is_not_json_is_named(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{")

    with pytest.raises(ModelError, match=r"the model's .*config\.json cannot be read"):
        check(Checkpoint(str(tmp_path)))


def test_an_adapter_is_checked_as_its_model_is(tiny_model: Path, adapter: Path) -> None:
    check(Checkpoint(str(tiny_model)), str(adapter))
    with pytest.raises(ModelError, match=r"the adapter folder .* has no adapter_config\.json"):
        check(Checkpoint(str(tiny_model)), str(tiny_model))


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    (tmp_path / "adapter_config.json").write_text(json.dumps({"r": 4}))
    return tmp_path


def test_a_folders_identity_changes_with_its_configuration_and_its_weights(tiny_model: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(tiny_model, copy)
    original = identity(Checkpoint(str(tiny_model)))

    assert original
    assert identity(Checkpoint(str(copy))) == original
    with (copy / "model.safetensors").open("ab") as weights:
        weights.write(b"\0")
    longer = identity(Checkpoint(str(copy)))
    (copy / "config.json").write_text("{}")
    assert len({original, longer, identity(Checkpoint(str(copy)))}) == 3


def test_a_model_of_the_hub_is_identified_by_its_commit(hub: Path) -> None:
    assert identity(Checkpoint("some/model")) == "c0ffee"
    assert identity(Checkpoint("some/model", revision="v2")) == "f00d"
    check(Checkpoint("some/model", revision="v2"))


def test_a_model_that_was_never_downloaded_has_the_revision_that_is_asked_for(hub: Path) -> None:
    assert identity(Checkpoint("other/model", revision="v3")) == "v3"
    assert identity(Checkpoint("other/model")) is None
    assert identity(Checkpoint("")) is None
