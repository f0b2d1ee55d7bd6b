"""The tutorial does what it says, from the first line to the last; a server that knows the answers is the model."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest

from ner_ray.cli import main
from tests.answering import MODEL, answering
from tests.conftest import REPOSITORY
from tests.test_documents import blocks

TUTORIAL = (REPOSITORY / "docs" / "tutorial.md").read_text("utf-8")
PEOPLE = {"Marie Curie": "Marie", "Neil Armstrong": "In 1969", "Ada Lovelace": "Ada"}  # and how their texts begin


def answer(asked: str) -> str:
    """Marks the people in a text; whatever else is asked about is a person."""
    for name, beginning in PEOPLE.items():
        if asked.startswith(beginning):
            return asked.replace(name, f"##{name}##")
    return asked if asked.startswith("The Danube") else "person"


@pytest.mark.filterwarnings("ignore:The minimum number of concurrent actors")
@pytest.mark.cluster
def test_the_tutorial_can_be_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    steps = [step for step in blocks(TUTORIAL, "python", "console") if step]
    with answering(answer) as server:
        for step in steps:
            if step.startswith("$ "):
                _typed(step)
                _with_engine(f"{{name: openai, url: '{server.url}', model: {MODEL}}}")
            else:
                exec(step, {})

    shown = capsys.readouterr().out
    assert "extractor is asked" in shown
    assert "text='Ada Lovelace'" in shown
    assert "Marie Curie" in Path("page.html").read_text("utf-8")


def _typed(step: str) -> None:
    for line in step.splitlines():
        with pytest.raises(SystemExit) as ended:
            main(shlex.split(line)[2:])
        assert not ended.value.code, line


def _with_engine(engine: Any) -> None:
    """Puts an engine into the configuration that the tutorial has written, and the family whose answers it knows."""
    config = Path("ner.yaml")
    written = config.read_text("utf-8").replace("families/b2ner-smollm2", "families/cascade-starter")
    if "\nengine:" not in written:
        config.write_text(f"{written}\nengine: {engine}\n", "utf-8")
