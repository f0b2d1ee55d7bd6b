"""Every command, found by looking: it has what the contract lists, is quick to ask for help, and reaches the jobs."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest

from ner_ray import commands
from ner_ray.cli import main
from ner_ray.commands.base import ARGUMENT, OPTION, words_of
from ner_ray.config import Section
from tests.conftest import REPOSITORY

NAMES = sorted(commands.names())


def test_the_commands_are_found_with_those_of_folders() -> None:
    assert {"annotate", "status", "train", "prepare"} <= set(NAMES)
    assert set(commands.groups()) == {"train"}
    assert len(set(commands.names().values())) == len(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_command_has_a_configuration_a_result_and_a_help_text(name: str) -> None:
    command = commands.load(name)
    result = command.Result  # type: ignore[attr-defined]  # for people and tests; callers need only what `run` returns

    assert issubclass(command.Config, Section)
    assert dataclasses.is_dataclass(result)
    assert result.__dataclass_params__.frozen
    assert callable(result.to_dict)
    assert "exit_status" in {*dir(result), *(field.name for field in dataclasses.fields(result))}
    assert command.__doc__
    assert commands.described(command.__name__) == command.__doc__.strip()
    assert "\nFor example:\n" in command.__doc__


@pytest.mark.parametrize("name", NAMES)
def test_every_word_and_option_says_what_it_is_for(name: str) -> None:
    fields = commands.load(name).Config.model_fields

    for word in (*words_of(commands.load(name).Config, ARGUMENT), *words_of(commands.load(name).Config, OPTION)):
        assert str(fields[word].description).endswith(".")


@pytest.mark.parametrize("name", NAMES)
def test_help_shows_arguments_options_and_examples(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    module = commands.names()[name]
    group = next((group for group, package in commands.groups().items() if module.startswith(package)), None)
    words = [group, "run" if name == group else name] if group else [name]

    with pytest.raises(SystemExit) as ended:
        main([*words, "--help"])

    shown = capsys.readouterr().out
    assert ended.value.code == 0
    assert f"Usage: ner-ray {' '.join(words)}" in shown
    assert "For example" in shown
    for argument in words_of(commands.load(name).Config, ARGUMENT):
        assert argument.upper() in shown
    for option in words_of(commands.load(name).Config, OPTION):
        assert f"--{option.replace('_', '-')}" in shown


def test_commands_are_imported_without_what_their_work_needs() -> None:
    code = """
import sys
from ner_ray import commands
for name in commands.names():
    commands.load(name)
print(*sys.modules)
"""
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()

    assert not {"ray", "vllm", "torch", "transformers", "pandas"} & set(loaded)


@pytest.mark.parametrize("script", sorted((REPOSITORY / "jobs").glob("*.py")), ids=lambda script: script.stem)
def test_a_job_is_a_command_and_all_jobs_are_alike(script: Path) -> None:
    assert script.stem in NAMES
    template = (REPOSITORY / "jobs" / "annotate.py").read_text("utf-8")
    assert script.read_text("utf-8") == template.replace("annotate", script.stem)


def test_the_package_runs_as_a_module() -> None:
    shown = subprocess.run([sys.executable, "-m", "ner_ray", "--version"], check=True, capture_output=True, text=True)

    assert shown.stdout.strip()[0].isdigit()


@pytest.mark.parametrize("name", NAMES)
def test_the_schema_of_every_command_can_be_printed(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["schema", name])

    schema = json.loads(capsys.readouterr().out)
    assert "properties" in schema
    assert ">>>" not in schema["description"]
