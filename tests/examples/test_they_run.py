"""The examples of `examples/` run as they stand, with the starter model in place of large ones."""

from __future__ import annotations

import ast
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ner_ray.cli import main
from ner_ray.config import AnnotateConfig
from ner_ray.config.load import load
from ner_ray.data import read_all
from tests.conftest import REPOSITORY
from tests.data.test_runs import write_run
from tests.replayed import write_corpus

EXAMPLES = REPOSITORY / "examples"
SMALL = ["engine.name=transformers"]  # the starter model without vLLM, which takes longer to start


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The examples in a folder where they may write, which is the working directory."""
    shutil.copytree(EXAMPLES, tmp_path / "examples")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "examples"


def cells(notebook: Path) -> Iterator[str]:
    for cell in json.loads(notebook.read_text("utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            yield "".join(cell["source"])


def shown(cell: str, names: dict[str, Any]) -> Any:
    """Runs a cell; the value of its last line, which a notebook shows."""
    tree = ast.parse(cell)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "cell", "exec"), names)
    return eval(compile(ast.Expression(last.value), "cell", "eval"), names) if last else None


def test_the_notebook_leads_from_strings_to_a_tuned_model(copied: Path) -> None:
    names: dict[str, Any] = {}
    results = []
    for cell in cells(copied / "strings_to_model.ipynb"):
        results.append(shown(cell, names))
        if "SETTINGS = []" in cell:
            names |= {"SETTINGS": SMALL, "STEPS": 3}

    first = next(result for result in results if result is not None)
    assert "Marie Curie" in first._repr_html_()
    assert Path("page.html").stat().st_size > 10_000
    assert set(names["before"]["status"]) <= {"ok", "partial"}
    assert names["tuned"].endswith("model")
    assert 0.5 < names["scores"]["before"] < 1, "there is something to correct"
    assert names["scores"]["after"] > 0.5


def test_the_notebook_is_kept_without_results() -> None:
    notebook = json.loads((EXAMPLES / "strings_to_model.ipynb").read_text("utf-8"))

    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)


def commands_of(script: Path) -> list[list[str]]:
    """The words of each command of a shell script of ours."""
    lines = re.findall(r"^(?:ner-ray|python) .*", script.read_text("utf-8"), re.MULTILINE)
    return [shlex.split(line, comments=True) for line in lines]


def ner_ray(words: list[str]) -> int:
    """Runs a command line in this process, and returns its exit status."""
    with pytest.raises(SystemExit) as ended:
        main(words[1:])
    return int(ended.value.code or 0)


@pytest.mark.cluster
@pytest.mark.filterwarnings("ignore:The minimum number of concurrent actors")
@pytest.mark.usefixtures("cluster")
def test_raw_text_becomes_an_adapter_that_answers(
    copied: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(copied / "synthesis")
    synth, train, preview = commands_of(Path("run.sh"))
    steps = ["optimizer.steps=2", "evaluate_every=2", "save_every=2"]

    assert ner_ray([*synth, "teacher.engine.name=transformers", "passages.count=6"]) == 0
    assert ner_ray([*train, *steps]) == 0
    assert ner_ray([*preview, *SMALL]) == 0

    assert Path("runs/synth/page.html").exists()
    assert Path("models/adapter/model/adapter_model.safetensors").exists()
    assert "extractor is asked" in capsys.readouterr().out


def test_documents_with_two_opinions_become_tasks_with_both(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over runs that are there already: the second has not seen Bo."""
    folder = copied / "second_opinion"
    monkeypatch.chdir(folder)
    first, second, evaluated, (_, script, *words) = commands_of(Path("run.sh"))
    assert set(second[1:]) - set(first[1:]) == {"output.path=runs/second", "family.context=passage"}
    for name, retried in {"first": "Bo", "second": ""}.items():
        (folder / name).mkdir()
        directory = write_run(folder / name, keep=True, retried=retried)
        (folder / "runs").mkdir(exist_ok=True)
        Path(directory.uri).rename(folder / "runs" / name)

    assert ner_ray(evaluated) == 0
    subprocess.run([sys.executable, script, *words], check=True, env=os.environ | {"PYTHONPATH": str(REPOSITORY)})

    tasks = json.loads(Path("tasks.json").read_text("utf-8"))
    opinions = [{opinion["model_version"]: len(opinion["result"]) for opinion in task["predictions"]} for task in tasks]
    assert opinions == [{"first": 1, "second": 0}]
    assert tasks[0]["data"]["text"] == "Bo sat."
    assert '<Label value="person"/>' in Path("tasks.xml").read_text("utf-8")
    assert Path("agreement.html").exists()
    assert len(read_all("tasks.json")[1]) == 1, "no gold before a person has chosen"


@pytest.mark.cluster
def test_a_night_annotates_and_verifies_and_tells_what_a_person_must_know(copied: Path) -> None:
    folder = copied / "nightly"
    write_corpus(folder / "in", shards=1, rows=3)
    (folder / "job.yaml").write_text("{family: gner, replay: true, input: {path: in}, labels: [person]}")
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])

    def night(*settings: str) -> subprocess.CompletedProcess[str]:
        command = ["./nightly.sh", "job.yaml", "run", "output.path=run", *settings]
        env = os.environ | {"PATH": path, "PYTHONPATH": str(REPOSITORY)}
        return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)

    good, wrong = night("max_partial_rate=1"), night("input.path=nowhere")

    assert good.returncode == 0, good.stderr
    assert "3 rows, 0 findings" in good.stdout
    assert (wrong.returncode, "the configuration or the input is wrong" in wrong.stderr) == (2, True)


def test_the_nightly_configuration_and_the_commands_of_the_dag_are_valid() -> None:
    config = load(AnnotateConfig, EXAMPLES / "nightly" / "job.yaml")
    dag = (EXAMPLES / "nightly" / "airflow_dag.py").read_text("utf-8")

    commands = re.findall(r'"ner-ray (\w+) \{(\w+)\}"', dag)
    run = re.search(r'^RUN = "(.*)"$', dag, re.MULTILINE)
    assert commands == [("annotate", "CONFIG"), ("verify", "RUN")]
    assert run
    assert run[1] == config.output.path


def test_every_example_is_told_of() -> None:
    told = (EXAMPLES / "README.md").read_text("utf-8")

    for path in EXAMPLES.iterdir():
        assert path.name == "README.md" or f"]({path.name}" in told
    assert all((EXAMPLES / target).exists() for target in re.findall(r"\]\(([^)#:]+)\)", told))


def test_shell_scripts_are_bash() -> None:
    for script in EXAMPLES.rglob("*.sh"):
        subprocess.run(["bash", "-n", script], check=True)
        assert os.access(script, os.X_OK)


def test_configurations_are_yaml() -> None:
    assert all(yaml.safe_load(path.read_text("utf-8")) for path in EXAMPLES.rglob("*.yaml"))
