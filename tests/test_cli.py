"""The command line: quick to start, quick to refuse, stopped and gone on with."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ner_ray.cli import main
from ner_ray.errors import EXIT_BAD_CONFIG_OR_INPUT
from ner_ray.store.run import RunDirectory
from tests.answering import MODEL, answering
from tests.replayed import write_corpus
from tests.tiny_models import save_tiny_model

QUICK = 60.0  # seconds, on a slow machine that is busy with other tests; 4 on a quiet one


HELP = """
import sys
from ner_ray.cli import main
try:
    main(["--help"])
except SystemExit:
    pass
"""


def ner_ray(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ner_ray.cli", *words]
    env = os.environ | {"HF_HUB_OFFLINE": "1"} | environment
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, env=env)


HEAVY = ("ray", "vllm", "torch", "transformers", "pyarrow", "pandas", "numpy", "omegaconf")


def modules_after(code: str) -> list[str]:
    """What a new interpreter has loaded when it has run some code."""
    told = f"{code}\nimport sys; print(*sys.modules)"
    shown = subprocess.run([sys.executable, "-c", told], check=True, capture_output=True, text=True).stdout
    return shown.splitlines()[-1].split()


def test_the_package_and_the_help_come_without_anything_heavy() -> None:
    """Modules are counted, since seconds are the machine's: `tests/benchmarks/start.py` tells these."""
    package, command = modules_after("import ner_ray"), modules_after(HELP)

    assert not set(HEAVY) & {*package, *command}
    assert len(package) < 100
    assert len(command) < 450


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("ner-ray ann", "annotate"),
        ("ner-ray annotate annotate/c", "annotate/cascade"),
        ("ner-ray train pre", "prepare"),
        ("ner-ray export --min", "--min-score"),
    ],
)
def test_a_shell_completes_commands_options_and_configurations(
    typed: str, completed: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in {
        "COMP_WORDS": typed,
        "COMP_CWORD": str(typed.count(" ")),
        "_NER_RAY_COMPLETE": "complete_bash",
    }.items():
        monkeypatch.setenv(name, value)

    with pytest.raises(SystemExit):
        main([])

    assert completed in capsys.readouterr().out.split()


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    table = pa.table({"body": ["Ada met Bo."], "number": [1], "tags": [["person"]]})
    pq.write_table(table, tmp_path / "in" / "a.parquet")
    return tmp_path


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_model(tmp_path_factory.mktemp("model"))


WRONG = [
    (["input.path={folder}/nowhere"], "no such file or folder"),
    (["input.path={folder}"], "no Parquet file"),
    (["input.text=missing"], "no column 'missing'; it has: body, number, tags"),
    (["input.text=number"], "column 'number' must hold text, but is int64"),
    (["input.keep=[absent]"], "no column 'absent'"),
    (["labels=[]"], "the label set is empty"),
    (["labels=column:number"], "column 'number' must hold lists of label names"),
    (["labels=no/such/file"], "no configuration file"),
    (["family.name=gnar"], "no family named 'gnar'; known: "),
    (["engine.name=vlm"], "no engine named 'vlm'; known: "),
    (["engine.model={folder}/model"], "no such model folder"),
    (["engine.model={folder}/in"], "has no config.json"),
    (["chunk.token=9"], "chunk.token: no such setting; do you mean 'tokens'?"),
    (["engine.sampling.n=3"], "3 samples for the tagger at temperature 0 would all be the same"),
    (["engine.max_model_len=20"], "the prompt without any text has"),
]
WRONG_AS_A_COMMAND = [
    (["engine.model=nobody/nothing"], "no such model folder: nobody/nothing"),
    (["resources.gpus=4"], "1 engine needs 4 GPUs, the cluster has 0"),
]


@pytest.fixture
def job(corpus: Path, model: Path) -> Path:
    """A configuration with which nothing is wrong."""
    config = corpus / "job.yaml"
    config.write_text(
        json.dumps(
            {
                "input": {"path": str(corpus / "in"), "text": "body"},
                "labels": ["person"],
                "family": {"name": "gner"},
                "engine": {"name": "vllm", "model": str(model)},
                "chunk": {"tokens": 64},
                "output": {"path": str(corpus / "run")},
            }
        )
    )
    (corpus / "notes").mkdir()
    return config


@pytest.mark.parametrize(("changes", "said"), WRONG, ids=[changes[0] for changes, _ in WRONG])
def test_what_is_wrong_is_said_with_status_2_before_anything_starts(
    job: Path, changes: list[str], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    changes = [
        change.format(folder=job.parent / ("notes" if change.endswith("={folder}") else ".")) for change in changes
    ]
    monkeypatch.setattr(sys, "argv", ["ner-ray", "annotate", str(job), *changes])

    with pytest.raises(SystemExit) as ended:
        main()

    assert ended.value.code == EXIT_BAD_CONFIG_OR_INPUT
    assert said in capsys.readouterr().err
    assert not (job.parent / "run" / "data").exists()


@pytest.mark.parametrize(("changes", "said"), WRONG_AS_A_COMMAND, ids=[changes[0] for changes, _ in WRONG_AS_A_COMMAND])
def test_a_command_says_what_is_wrong_and_ends_in_seconds(job: Path, changes: list[str], said: str) -> None:
    began = time.monotonic()

    result = ner_ray("annotate", str(job), *changes)

    assert result.returncode == EXIT_BAD_CONFIG_OR_INPUT, result.stderr
    assert said in result.stderr
    assert "Traceback" not in result.stderr
    assert time.monotonic() - began < QUICK
    assert not (job.parent / "run" / "data").exists()


@pytest.mark.parametrize(
    ("job", "sections"),
    [
        ("annotate", {"input", "labels", "family", "engine", "chunk", "output", "resources"}),
        ("index", {"pool", "output"}),
        ("synth", {"input", "passages", "teacher", "filters", "forms"}),
        ("train", {"data", "model", "output", "workers"}),
        ("prepare", {"family", "output"}),
        ("mixture", {"sources", "output", "examples"}),
        ("curate", {"sources", "taxonomy", "options"}),
        ("evaluate", {"columns", "scorers"}),
    ],
)
def test_the_schema_describes_every_section(
    job: str, sections: set[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["ner-ray", "schema", job])
    with pytest.raises(SystemExit):
        main()

    assert sections <= json.loads(capsys.readouterr().out)["properties"].keys()


@pytest.fixture
def known() -> Iterator[list[str]]:
    """Settings for an engine of known answers, about 50 a second: slow enough to be stopped on the way."""
    with answering(lambda text: text) as server:
        server.seconds = 0.15
        yield ["engine.name=openai", f"engine.url={server.url}", f"engine.model={MODEL}", "engine.max_num_seqs=8"]


@pytest.fixture
def real(model: Path) -> list[str]:
    """Settings for vLLM with a model of random weights."""
    return [f"engine.model={model}", "engine.sampling.max_tokens=48", "engine.sampling.tokens_per_prompt_token=null"]


# A shell has what it starts in the background ignore Ctrl-C, the tests as well, and children inherit that.
HEARS_CTRL_C = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from ner_ray.cli import main
main()
"""


@pytest.mark.cluster
@pytest.mark.parametrize(
    ("number", "engine"),
    [
        (signal.SIGINT, "known"),
        (signal.SIGTERM, "known"),
        pytest.param(signal.SIGINT, "real", marks=[pytest.mark.faults, pytest.mark.engine]),
    ],
)
def test_a_signal_says_how_to_go_on_and_the_same_command_ends_with_every_row_once(
    tmp_path: Path, request: pytest.FixtureRequest, number: signal.Signals, engine: str
) -> None:
    rows = 300
    (tmp_path / "in").mkdir()
    filler = "and walked on " * 20  # makes many small blocks, which are written one after the other
    texts = [f"Ada {number} met Bo {filler}." for number in range(rows)]
    pq.write_table(pa.table({"text": texts}), tmp_path / "in" / "a.parquet")
    words = [
        "annotate",
        "annotate/cascade",
        f"input.path={tmp_path}/in",
        f"output.path={tmp_path}/run",
        *request.getfixturevalue(engine),
        "output.min_rows_per_file=40",
        "resources.block_kib=16",
        "max_error_rate=1",
    ]
    process = subprocess.Popen(
        [sys.executable, "-c", HEARS_CTRL_C, *words], stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    data = tmp_path / "run" / "data" / "wave=00000"
    deadline = time.monotonic() + 200
    while not (data.is_dir() and list(data.glob("*.parquet"))) and time.monotonic() < deadline:
        time.sleep(0.2)
    process.send_signal(number)
    _, said = process.communicate(timeout=100)
    written = sum(pq.read_metadata(file).num_rows for file in data.glob("*.parquet"))

    assert process.returncode == 128 + number, said
    assert "SIGTERM received" not in said, "Ray's own handler, which dumps its stack and aborts"
    assert not (tmp_path / "run" / "lease.json").exists()
    assert "To continue: ner-ray annotate" in said
    assert 0 < written < rows

    again = ner_ray(*words, "--json")
    summary = json.loads(again.stdout)
    ids = RunDirectory(str(tmp_path / "run")).dataset().to_table(columns=["row_id"])["row_id"].to_pylist()

    assert again.returncode == 0, again.stderr
    assert sorted(ids) == list(range(rows))
    assert summary["counts"]["documents"] <= rows - written


@pytest.mark.cluster
def test_a_preview_shows_prompts_answers_and_entities_and_leaves_nothing(tmp_path: Path) -> None:
    text = "Ada met\x1b[2J Bo. " + "More was said. " * 200
    pq.write_table(pa.table({"text": [text], "id": ["first"], "labels": [["person", "ship"]]}), tmp_path / "a.parquet")

    with answering(lambda asked: asked.replace("Ada", "##Ada##") if asked.startswith("Ada") else "person") as server:
        shown = ner_ray(
            *("preview", "annotate/cascade", "engine.name=openai", f"engine.url={server.url}", f"engine.model={MODEL}"),
            *(f"input.path={tmp_path}/a.parquet", "input.id=id", "labels=column:labels", f"output.path={tmp_path}/run"),
            *("--characters", "100"),
        )

    assert shown.returncode == 0, shown.stderr
    assert "first: ok, entities: 1" in shown.stdout
    assert "extractor is asked" in shown.stdout
    assert "##Ada## met" in shown.stdout
    assert "in the first list: person, ship" in shown.stdout
    assert "0:3  Ada  person" in shown.stdout
    assert "\x1b" not in shown.stdout
    assert max(map(len, server.asked)) < 300
    assert [path.name for path in tmp_path.iterdir()] == ["a.parquet"]


def test_a_run_is_planned_watched_checked_and_copied(tmp_path: Path) -> None:
    write_corpus(tmp_path / "in", shards=2, rows=20)
    run = str(tmp_path / "run")
    config = tmp_path / "job.yaml"
    config.write_text("labels: [person, place]\nfamily: gner\nreplay: true\n")
    words = [str(config), f"input.path={tmp_path / 'in'}", "input.keep=[text]", f"output.path={run}"]

    planned = json.loads(ner_ray("plan", *words, "--json").stdout)
    assert (planned["shards"], planned["rows"], planned["waves"]) == (2, 40, 1)
    assert not Path(run).exists()
    assert ner_ray("status", run).returncode == 2

    assert ner_ray("annotate", *words).returncode == 0
    found = json.loads(ner_ray("status", run, "--json").stdout)
    assert (found["rows"], found["done"], found["committed"], found["driver"]) == (40, 40, 1, None)
    assert "40 rows, 0 findings" in ner_ray("verify", run).stdout
    assert ner_ray("retry", run, "--code", "poison").returncode == 2

    for form in ("jsonl", "parquet", "conll", "bio"):
        file = str(tmp_path / f"all.{form}")
        told = json.loads(ner_ray("export", run, file, "--format", form, "--json").stdout)
        assert {("documents", 40), ("failed", 0), ("file", file)} <= told.items()
    lines = [json.loads(line) for line in (tmp_path / "all.jsonl").read_text().splitlines()]
    assert lines == pq.read_table(tmp_path / "all.parquet").to_pylist()

    (Path(run) / found_file(run)).unlink()
    assert ner_ray("verify", run).returncode == 1


def found_file(run: str) -> str:
    return RunDirectory(run).manifests()[0]["files"][0]["path"]
