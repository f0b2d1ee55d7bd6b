"""The recipes that ship: they load, and say what the papers' scripts say."""

from __future__ import annotations

from pathlib import Path

import pytest

from ner_ray import plugins
from ner_ray.config import load as compose
from ner_ray.errors import ConfigError
from ner_ray.train import TrainConfig
from ner_ray.train.config import PrepareConfig
from ner_ray.train.mixture import MixtureConfig

RECIPES = sorted((Path(__file__).parents[2] / "conf" / "train").glob("*.yaml"))


def _load(name: str, *overrides: str) -> TrainConfig:
    return compose.load(TrainConfig, next(path for path in RECIPES if path.stem == name), overrides)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_is_a_valid_configuration_and_names_its_source(path):
    config = compose.load(TrainConfig, path)

    assert path.read_text(encoding="utf-8").startswith("# ")
    if config.judge.family:
        assert config.judge.family["name"] in plugins.names("families")


@pytest.mark.parametrize(
    ("name", "rate", "batch", "epochs", "seed", "rank"),
    [
        ("gner-llama-7b", 2e-5, 256, 3, 1234, None),
        ("gner-t5-base", 5e-5, 256, 12, 1234, None),
        ("uniner-7b", 2e-5, 256, 3, 3, None),
        ("ra-it-qwen1.5-7b", 5e-5, 8, 3, 42, 8),
        ("b2ner-internlm2-7b", 3e-4, 128, 6, 42, 32),
    ],
)
def test_recipes_have_the_published_numbers(name, rate, batch, epochs, seed, rank):
    config = _load(name)
    optimizer = config.optimizer

    assert (rate, batch, epochs, seed) == (
        optimizer.learning_rate, optimizer.batch_size, optimizer.epochs, config.seed
    )  # fmt: skip
    assert rank == (config.model.lora and config.model.lora.r)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("optimizer.batch_size=7", "multiple of micro_batch"),
        ("model.base=x", "either `base`"),
        ("data.packing=true data.group_by_length=true", "group_by_length"),
        ("judge.gold=null", "needs judge.gold"),
        ("save_every=130", "multiple of evaluate_every"),
        ("optimizer.learning_rate=0", "greater than 0"),
        ("optimizer.lerning_rate=1", "learning_rate"),
    ],
)
def test_a_configuration_that_cannot_work_is_refused_before_anything_is_loaded(override, message):
    with pytest.raises(ConfigError, match=message):
        _load("starter-smoke", *override.split())


def test_the_starters_training_file_has_a_recipe_too():
    mixture = compose.load(MixtureConfig, RECIPES[0].parent / "data" / "starter.yaml")

    assert mixture.output in _load("starter").data.files
    assert not [file for source in mixture.sources.values() for file in source.files if "wikineural" in file]


def test_a_family_may_be_given_by_its_name():
    assert PrepareConfig(input="a", family="gner", output="b").family == {"name": "gner"}
