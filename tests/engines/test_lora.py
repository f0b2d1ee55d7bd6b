"""Adapters that vLLM does not serve are refused before an engine starts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ner_ray.engines import _lora
from ner_ray.errors import ModelError


def adapter(folder: Path, **settings: object) -> str:
    (folder / "adapter_config.json").write_text(json.dumps({"r": 32, "modules_to_save": None, **settings}))
    return str(folder)


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"modules_to_save": ["lm_head", "embed_tokens"]}, "modules_to_save"),
        ({"use_dora": True}, "DoRA"),
        ({"r": 1024}, "rank is 1024, more than 512"),
        ({"rank_pattern": {"q_proj": 600}}, "rank is 600"),
    ],
)
def test_what_vllm_does_not_serve_is_named(settings: dict[str, object], complaint: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=complaint) as refused:
        _lora.check(adapter(tmp_path, **settings))

    assert "ner-ray train merge" in str(refused.value)


@pytest.mark.parametrize(
    ("settings", "room"), [({}, 32), ({"r": 33}, 64), ({"rank_pattern": {"wqkv": 100}}, 128), ({"use_dora": False}, 32)]
)
def test_there_is_room_for_the_largest_rank(settings: dict[str, object], room: int, tmp_path: Path) -> None:
    named = adapter(tmp_path, **settings)

    _lora.check(named)
    assert _lora.room([named]) == room
