"""Where a checkpoint is, what is wrong with it, and what tells it from another."""

from __future__ import annotations

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest

from ner_ray.errors import ModelError
from ner_ray.models import copies, tokenizers
from ner_ray.models.checkpoints import STARTER, Checkpoint, check, fetch_folder, identity, pinned
from ner_ray.models.weights import fetch
from ner_ray.storage import Location


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
        ("org/name", "no such model folder: org/name\n.*hub:org/name"),
        ("gpt2", "no such model folder: gpt2\n.*hub:gpt2"),
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
    assert identity(Checkpoint("hub:some/model")) == "c0ffee"
    assert identity(Checkpoint("hub:some/model", revision="v2")) == "f00d"
    check(Checkpoint("hub:some/model", revision="v2"))


def test_a_model_that_was_never_downloaded_has_the_revision_that_is_asked_for(hub: Path) -> None:
    assert identity(Checkpoint("hub:other/model", revision="v3")) == "v3"
    assert identity(Checkpoint("hub:other/model")) is None
    assert identity(Checkpoint("")) is None


def test_a_name_says_where_the_model_is_and_at_which_revision() -> None:
    named = Checkpoint("hub:org/name@v1")

    assert (named.repository, named.location, named.wanted) == ("org/name", "org/name", "v1")
    assert Checkpoint("hub:org/name@v1", revision="v2").wanted == "v2"
    assert Checkpoint("hub:org/name").wanted is None
    assert Checkpoint("org/name").repository is None
    assert Checkpoint("./folder@home").wanted is None


def test_a_revision_is_pinned_to_its_commit(hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commit = "0123456789" * 4
    asked: list[tuple[object, ...]] = []

    def model_info(_: object, repository: str, *, revision: str | None, timeout: float) -> SimpleNamespace:
        asked.append((repository, revision))
        return SimpleNamespace(sha=commit)

    monkeypatch.setattr("huggingface_hub.HfApi.model_info", model_info)
    fixed = pinned(Checkpoint("hub:some/model@v2"))

    assert (fixed.model, fixed.revision) == ("hub:some/model", commit)
    assert pinned(fixed) == fixed
    assert pinned(Checkpoint("./folder")) == Checkpoint("./folder")
    assert asked == [("some/model", "v2")]


def test_without_the_hub_the_commit_in_the_cache_is_taken(hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)

    assert pinned(Checkpoint("hub:some/model@v2")).revision == "f00d"
    assert pinned(Checkpoint("hub:other/model")).revision is None


@pytest.fixture
def remote(bucket: str, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The tiny model on an object store, with weights in a second format that nobody needs."""
    monkeypatch.setenv("NER_RAY_CACHE", str(tmp_path / "cache"))
    uri = f"s3://{bucket}/models/tiny"
    place = Location(uri)
    for file in tiny_model.iterdir():
        place.upload(file, file.name)
    place.write("pytorch_model.bin", b"0" * 1000)
    return uri


def test_a_model_on_a_store_is_copied_once_its_weights_only_for_engines(
    remote: str, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = Checkpoint(remote)
    check(checkpoint)
    small = Path(checkpoint.location)

    assert identity(checkpoint) == identity(Checkpoint(str(tiny_model)))
    assert (small / "tokenizer.json").is_file()
    assert not [*small.glob("*.safetensors"), *small.glob("*.bin")]

    with ThreadPoolExecutor(4) as pool:
        [folder] = set(pool.map(lambda _: fetch(checkpoint), range(4)))
    monkeypatch.setattr(Location, "download", lambda *_: pytest.fail("copied again"))

    assert (Path(folder) / "model.safetensors").read_bytes() == (tiny_model / "model.safetensors").read_bytes()
    assert not [*Path(folder).glob("*.bin")]
    assert fetch(checkpoint) == checkpoint.location == folder == str(fetch_folder(remote))


def test_another_model_at_the_same_place_is_another_copy(remote: str) -> None:
    before = Checkpoint(remote).location
    Location(remote).write("generation_config.json", b"{}")
    copies.sizes.cache_clear()  # as in another process

    assert Checkpoint(remote).location != before


@pytest.mark.parametrize("uri", ["s3://{bucket}/nothing/here", "s3://no-such-bucket-{bucket}/model"])
def test_a_store_without_the_model_is_named(uri: str, bucket: str) -> None:
    with pytest.raises(ModelError, match="model"):
        check(Checkpoint(uri.format(bucket=bucket)))


def test_a_copy_that_fails_leaves_nothing_behind(remote: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Location, "download", _no_space)
        with pytest.raises(ModelError, match="cannot be copied to this node: no space"):
            fetch(Checkpoint(remote))

    assert (Path(fetch(Checkpoint(remote))) / "model.safetensors").is_file()


def _no_space(*_: object) -> None:
    raise OSError("no space")


@pytest.mark.parametrize("name", ["org/name", "models/mine", "gpt2"])
def test_a_name_without_hub_never_gets_to_the_hub(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By whichever way: a stranger may have registered it there."""
    for module in ("huggingface_hub.file_download.hf_hub_download", "transformers.utils.hub.hf_hub_download"):
        monkeypatch.setattr(module, lambda *_, **__: pytest.fail("the hub was asked"))
    ways = [
        lambda: check(Checkpoint(name)),
        lambda: check(Checkpoint(STARTER), name),
        lambda: fetch_folder(name),
        lambda: tokenizers.load(Checkpoint(name)),
        lambda: tokenizers.counter(Checkpoint(name)),
    ]

    for way in ways:
        with pytest.raises(ModelError, match=f"no such (model|adapter) folder: {name}"):
            way()
    assert Path(Checkpoint(name).location).is_absolute()  # whatever loads that
