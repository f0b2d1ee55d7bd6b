"""Words of a command line become a configuration, in whatever order people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ner_ray import commands
from ner_ray.cli._words import configuration
from ner_ray.errors import ConfigError

SETTINGS = ["input.path=corpus", "output.path=day=1/run", "labels=[person, 'a=b']", "family.context=chunk"]


@given(settings=st.permutations(SETTINGS), place=st.integers(0, len(SETTINGS)))
def test_the_file_may_stand_anywhere_among_the_settings(settings: list[str], place: int) -> None:
    words = [*settings[:place], "annotate/cascade", *settings[place:]]

    config = configuration(commands.load("annotate"), words, {})

    assert config == configuration(commands.load("annotate"), ["annotate/cascade", *SETTINGS], {})
    assert config.output.path == "day=1/run"
    assert config.labels == ["person", "a=b"]


@given(
    run=st.sampled_from(["runs/news", "s3://bucket/day=1/run", "day=1", "./a b"]),
    named=st.lists(st.sampled_from(["run", "out", "format"]), unique=True),
    turn=st.booleans(),
)
def test_words_with_a_place_can_be_given_by_name(run: str, named: list[str], *, turn: bool) -> None:
    values = {"run": run, "out": "page.html", "format": "html"}
    by_name = [f"{name}={values[name]}" for name in named]
    by_place = [values[name] for name in ("run", "out") if name not in named]

    config = configuration(commands.load("export"), by_place + by_name if turn else by_name + by_place, {})

    assert config.model_dump(include=values.keys()) == values


def test_options_win_over_settings_and_settings_over_the_file() -> None:
    plan = commands.load("plan")
    words = ["annotate/demo", "labels=[ship]", "sample=5"]

    assert configuration(plan, words, {}).sample == 5
    assert configuration(plan, words, {"sample": "7"}).sample == 7
    assert configuration(plan, words, {}).labels == ["ship"]
    assert configuration(plan, ["annotate/demo"], {}).sample == 256


@pytest.mark.parametrize("words", [["labels=[a,", "b]"], ["sources={a:", "b.parquet}"], ["labels=[[a,", "b],", "c]"]])
def test_a_value_that_the_shell_has_cut_is_put_together_in_the_hint(words: list[str]) -> None:
    with pytest.raises(ConfigError) as refused:
        configuration(commands.load("annotate"), ["annotate/demo", *words], {})

    assert f"'{' '.join(words)}'" in refused.value.hint


def test_the_words_of_the_demo_are_its_settings() -> None:
    demo = configuration(commands.load("demo"), ["engine.max_num_seqs=8", "labels=[ship]"], {"out": "elsewhere"})

    assert demo.settings == ["engine.max_num_seqs=8", "labels=[ship]"]
    assert demo.out == "elsewhere"
