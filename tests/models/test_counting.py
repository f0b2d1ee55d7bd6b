"""Tokens are counted as the model's own tokenizer has them, by whichever library can read it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ner_ray.errors import ModelError
from ner_ray.models.checkpoints import STARTER, Checkpoint
from ner_ray.models.tokenizers import counter, load


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=60), max_size=5))
def test_counts_are_those_of_transformers(texts: list[str]) -> None:
    config = Checkpoint(STARTER)
    tokenizer = load(config)

    assert counter(config)(texts) == [len(tokenizer.encode(text, add_special_tokens=False)) for text in texts]


def test_a_tokenizer_that_cuts_or_fills_up_does_not_do_so_here(tmp_path: Path, tiny_model: Path) -> None:
    from tokenizers import Tokenizer

    core = Tokenizer.from_file(str(tiny_model / "tokenizer.json"))
    core.enable_truncation(4)
    core.enable_padding(length=8)
    core.save(str(tmp_path / "tokenizer.json"))

    counts = counter(Checkpoint(str(tmp_path)))(["a", "Ada met Bo in Rome and Kiel."])

    assert counts == counter(Checkpoint(str(tiny_model)))(["a", "Ada met Bo in Rome and Kiel."])
    assert counts[0] < 4 < counts[1]


def test_a_model_without_a_fast_tokenizer_is_counted_by_its_slow_one(tmp_path: Path) -> None:
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "ByT5Tokenizer"}))
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "t5"}))

    assert counter(Checkpoint(str(tmp_path)))(["abc", "ä"]) == [3, 2]


def test_a_broken_tokenizer_is_named(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text('{"model": 1}')

    with pytest.raises(ModelError, match=f"cannot load the tokenizer of {tmp_path}"):
        counter(Checkpoint(str(tmp_path)))


def test_counting_needs_neither_transformers_nor_torch() -> None:
    code = (
        "import sys\n"
        "from ner_ray.models.checkpoints import Checkpoint\n"
        "from ner_ray.models.tokenizers import counter\n"
        f"assert counter(Checkpoint({STARTER!r}))(['Ada met Bo.'])[0] > 2\n"
        "print(*{'transformers', 'torch'} & set(sys.modules))"
    )

    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert said.split() == []
