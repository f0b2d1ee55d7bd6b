"""`ner-ray init`: what it proposes, asks and writes, and that the file is one that the other commands run."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from ner_ray.cli import main
from ner_ray.commands import init, preview
from ner_ray.commands._drafts import presets
from ner_ray.config import AnnotateConfig
from ner_ray.config.load import load
from ner_ray.errors import ConfigError, InputError
from tests.answering import answering
from tests.conftest import REPOSITORY


@pytest.fixture(autouse=True)
def corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a folder `corpus` of two files, without a terminal and without a GPU."""
    columns = {
        "url": ["https://a.example/a-long-address-that-is-longer-than-its-text", "https://b.example/1"],
        "body": ["Ada met\x1b[2J Bo.", "Nobody came."],
        "types": [["person"], ["place"]],
        "year": [1843, 1844],
    }
    for day in ("01", "02"):
        folder = tmp_path / "corpus" / f"day={day}"
        folder.mkdir(parents=True)
        pq.write_table(pa.table(columns), folder / "a.parquet")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "")
    return tmp_path


def written(**given: object) -> AnnotateConfig:
    """The configuration in the file that `init` writes."""
    init.run(init.Config(input="corpus/", **given))
    return load(AnnotateConfig, given.get("file", "ner.yaml"))


def test_columns_labels_model_and_run_directory_are_proposed() -> None:
    config = written()

    assert (config.input.path, config.input.text, config.input.id) == ("corpus/", "body", "url")
    assert config.input.keep == ["body"]
    assert config.labels == ["person", "organization", "location"]
    assert config.engine_for("tagger").model == "smollm2"
    assert config.output.path == "runs/corpus"


@pytest.mark.parametrize(
    ("columns", "text", "doc_id"),
    [
        ({"id": [7, 7], "note": ["a", "b"], "story": ["much longer", "than the note"]}, "story", None),
        ({"ID": [7, 8], "Text": ["a", "b"], "summary": ["longer than the text", ""]}, "Text", "ID"),
        ({"uuid": [None, "b"], "title": ["a title", None]}, "title", None),
    ],
)
def test_a_column_is_told_by_its_name_or_by_its_values(columns: dict, text: str, doc_id: str | None) -> None:
    pq.write_table(pa.table(columns), "other.parquet")

    init.run(init.Config(input="other.parquet"))

    section = load(AnnotateConfig, "ner.yaml").input
    assert (section.text, section.id) == (text, doc_id)


def test_what_is_given_is_written_and_labels_stay_as_they_are() -> None:
    labels = ["NO", "ship: a vessel: one with a name", "C#, 1_000"]
    config = written(text="url", id="none", labels=labels, preset="gner-llama-7b", output="s3://runs/x")

    described = {"name": "ship", "description": "a vessel: one with a name"}
    assert config.labels == ["NO", described, "C#", "1_000"]
    assert (config.input.text, config.input.id, config.family["name"]) == ("url", None, "gner")
    assert config.output.path == "s3://runs/x"


def test_labels_may_come_from_a_file_or_a_column() -> None:
    Path("labels.txt").write_text("person\n")

    assert written(labels=["labels.txt"], file="a.yaml").labels == "labels.txt"
    assert written(labels=["column:types"], file="b.yaml").labels == "column:types"


def test_any_chat_model_can_be_named() -> None:
    config = written(preset="hub:some-organization/model")

    assert (config.family["name"], config.engine_for("tagger").model) == ("instruct", "hub:some-organization/model")


@pytest.mark.parametrize("preset", sorted(presets()))
def test_every_preset_can_be_named_and_says_what_it_is(preset: str) -> None:
    written(preset=preset)

    assert len(presets()[preset]) > 10
    assert f"# {presets()[preset]}\ndefaults:" in Path("ner.yaml").read_text()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"text": "bdy"}, "no column 'bdy'; it has: url, body, types, year, day"),
        ({"text": "year"}, "column 'year' must hold text"),
        ({"id": "types"}, "column 'types' must hold ids"),
        ({"labels": ["person", "person"]}, "the label 'person' is listed twice"),
        ({"labels": [","]}, "the label set is empty"),
        ({"labels": ["nowhere.yaml"]}, "nowhere.yaml"),
        ({"labels": ["column:year"]}, "column 'year' must hold lists of label names"),
        ({"preset": "gnar"}, "there is no preset and no model folder 'gnar'"),
        ({"input": "nowhere"}, "nowhere"),
        ({"input": None}, "INPUT is missing"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_written(given: dict, said: str) -> None:
    with pytest.raises((ConfigError, InputError), match=said.replace("[", r"\[")):
        init.run(init.Config(**{"input": "corpus/"} | given))

    assert not Path("ner.yaml").exists()


def test_a_corpus_without_any_text_and_a_file_that_exists_are_refused() -> None:
    pq.write_table(pa.table({"number": [1]}), "numbers.parquet")
    with pytest.raises(ConfigError, match=r"no column of numbers\.parquet holds text"):
        init.run(init.Config(input="numbers.parquet"))

    Path("ner.yaml").write_text("mine")
    with pytest.raises(ConfigError, match=r"ner\.yaml exists"):
        init.run(init.Config(input="corpus/"))
    assert Path("ner.yaml").read_text() == "mine"


def test_the_command_shows_the_corpus_and_the_next_three_commands(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["init", "corpus/", "my corpus.yaml"])

    shown = capsys.readouterr().out
    assert ended.value.code == 0
    assert "corpus/: 2 files, 4 rows" in shown
    assert "Ada met [2J Bo." in shown
    assert "  ner-ray preview 'my corpus.yaml'\n  ner-ray annotate 'my corpus.yaml'\n  ner-ray export" in shown
    assert "also there: types, year, day" in Path("my corpus.yaml").read_text()


def test_the_file_is_one_that_preview_runs() -> None:
    init.run(init.Config(input="corpus/", labels=["person"], preset="cascade-starter"))
    with answering(lambda asked: asked.replace("Ada", "##Ada##") if asked.startswith("Ada") else "person") as server:
        settings = [f"engine={json.dumps(server.engine())}", "family.context=passage"]
        shown = preview.run(load(preview.Config, "ner.yaml", settings)).documents

    found = [[entity["text"] for entity in row["entities"]] for row in shown if row["text"].startswith("Ada")]
    assert found
    assert all(names == ["Ada"] for names in found)


def test_in_a_terminal_it_asks_and_proposes(corpus: Path) -> None:
    """Through a real terminal: Enter takes a proposal, a wrong column is asked for again."""
    answers = ["corpus/", "nothing", "url", "", "person, ship", "", "a vessel", "gner-t5-base", "runs/mine"]
    env = {"PYTHONPATH": str(REPOSITORY), "PATH": "", "TERM": "dumb", "COLUMNS": "200"}
    shown, status = _typed([sys.executable, "-m", "ner_ray.cli", "init"], answers, env)

    assert status == 0, shown
    written = yaml.safe_load((corpus / "ner.yaml").read_text())
    assert written["input"] == {"path": "corpus/", "text": "url", "id": "url", "keep": ["url"]}
    assert written["labels"] == ["person", {"name": "ship", "description": "a vessel"}]
    assert written["defaults"] == ["families/gner-t5-base"]
    assert written["output"] == {"path": "runs/mine"}
    assert "Please select one of the available options" in shown


def test_at_the_end_of_input_it_stops_as_at_ctrl_c(corpus: Path) -> None:
    shown, status = _typed([sys.executable, "-m", "ner_ray.cli", "init"], ["\x04"], {"PYTHONPATH": str(REPOSITORY)})

    assert (status, "Traceback" in shown) == (130, False)
    assert not (corpus / "ner.yaml").exists()


def _typed(command: list[str], answers: list[str], env: dict[str, str]) -> tuple[str, int]:
    """What a command shows in a terminal, and its exit status, when the answers are typed one by one."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=env, start_new_session=True)
    os.close(theirs)
    waiting, shown = [*answers], ""
    while True:
        try:
            shown += os.read(ours, 4096).decode()
        except OSError:  # the other end is closed
            break
        if waiting and shown.endswith(": "):
            answer = waiting.pop(0)
            os.write(ours, answer.encode() if answer == "\x04" else f"{answer}\n".encode())
            shown += "\n"
    os.close(ours)
    return shown, process.wait(timeout=60)
