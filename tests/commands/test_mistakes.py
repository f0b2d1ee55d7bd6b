"""What people get wrong at first: each ends with a sentence that names place and remedy, and with its status."""

from __future__ import annotations

import errno
import json
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ner_ray.cli import main
from ner_ray.commands import status
from ner_ray.store.run import RunDirectory
from tests.answering import MODEL, answering
from tests.data.test_runs import write_run

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def ner_ray(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command line in this process: exit status, standard output, standard error."""

    def run(line: str, *words: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main([*shlex.split(line), *words])
        shown = capsys.readouterr()
        return int(ended.value.code or 0), shown.out, shown.err

    return run


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with answering(str) as server:
        yield server.url


@pytest.fixture
def corpus(tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a file of texts, and a configuration with which nothing is wrong."""
    (tmp_path / "corpus").mkdir()
    pq.write_table(pa.table({"text": ["Ada met Bo."], "number": [1]}), tmp_path / "corpus" / "a.parquet")
    settings = {
        "input": {"path": "corpus"},
        "labels": ["person"],
        "family": {"name": "cascade", "context": "sentence"},
        "engine": {"name": "openai", "url": url, "model": MODEL},
        "output": {"path": "run"},
    }
    (tmp_path / "job.yaml").write_text(json.dumps(settings))
    monkeypatch.chdir(tmp_path)
    return tmp_path


MISTAKES = [
    ("annotate job.yaml labels=person,place", "write them in brackets: 'labels=[person, place]'"),
    ("annotate job.yaml labels=[person, place]", "quote a value with spaces: 'labels=[person, place]'"),
    ("annotate job.yaml labels=nothing.yaml", "no configuration file 'nothing.yaml'"),
    ("annotate job.yaml input.keep=[absent]", "no column 'absent'; it has: text, number"),
    ("annotate job.yaml input.keep=[txet]", "do you mean 'text'?"),
    ("annotate job.yaml input.path=corpse", "no such file or folder: corpse; do you mean"),
    ("annotate job.yaml input.path=[]", "the input is an empty list of paths"),
    ("annotate job.yaml input.path='corpus/**.parquet'", "** means any number of folders"),
    ("annotate job.yaml 'input.path=corpus #1'", "no such file or folder: corpus #1"),
    ("annotate job.yaml output.path=job.yaml", "job.yaml is a file"),
    ("annotate job.yaml output.path=job.yaml/run", "job.yaml is a file"),
    ("annotate job.yaml output.path=http://127.0.0.1:9/run", "files on web servers can only be read"),
    ("annotate job.yaml input.path=https://me:secret@host/a.parquet", "holds a password"),
    ("annotate job.yaml output.path=corpus", "corpus lies in"),
    ("annotate job.yaml input.path=table.csv", "only Parquet is read"),
    ("annotate job.yaml input.path=tables", "only Parquet is read"),
    ("annotate job.yaml family.name=instruct", "`family=instruct` replaces all of them"),
    ("annotate job.yaml corpus", "'corpus' is not of the form key=value; the configuration is 'job.yaml'"),
    ("annotate corpus/a.parquet", "is data, not a configuration file"),
    ("annotate job.yaml chunk.token=9", "`ner-ray schema annotate`"),
    ("plan job.yaml --sample 0", "sample: Input should be greater than or equal to 1"),
    ("evaluate gold.parquet runs/one", "is data, not a configuration file"),
    ("evaluate gold=corpus/a.parquet column.gold=x", "`ner-ray schema evaluate`"),
    ("evaluate gold=nowhere.parquet", "nowhere.parquet"),
    ("train prepare input=corpus/a.parquet family=gner", "output: must be given"),
    ("train prepare input=corpus/a.parquet family=gner output=x.jsonl copy=2", "`ner-ray schema prepare`"),
    ("train prepare corpus/a.parquet", "`ner-ray train prepare --help` has examples"),
    ("train merge adapter", "usage: ner-ray train merge ADAPTER OUTPUT"),
    ("index index/bm25 pool=gold.parquet output=pool", "pool: must be a list, such as 'pool=[gold.parquet]'"),
    ("evaluate gold=corpus/a.parquet", "name the right one with columns.gold"),
    ("evaluate gold=corpus/a.parquet columns.text=body", "the columns are: text, number"),
    ("status nowhere", "there is no run in nowhere"),
    ("verify nowhere", "there is no run in nowhere"),
    ("export nowhere out.html", "there is no run in nowhere"),
    ("export nowhere", "OUT is missing"),
    ("status", "RUN is missing"),
    ("status one two", "'two' is one word too many"),
    ("retry nowhere --code poisson", "there is no error code 'poisson'"),
    ("anotate job.yaml", "there is no command 'anotate'\n  hint: did you mean 'annotate'?"),
    ("train preprae input=corpus/a.parquet", "there is no command train 'preprae'\n  hint: did you mean 'prepare'?"),
    ("train merg adapter out", "did you mean 'merge'?"),
    ("train starter-smok", "shipped with the package: train/starter-smoke"),
    ("annotate dmo", "shipped with the package: annotate/demo, synth/demo"),
    ("schema evaluat", "no command named 'evaluat'; known: annotate, "),
]


@pytest.mark.parametrize(("line", "said"), MISTAKES, ids=[line for line, _ in MISTAKES])
def test_a_mistake_is_explained_with_status_2(line: str, said: str, corpus: Path, ner_ray: Run) -> None:
    (corpus / "table.csv").write_text("text\nAda\n")
    (corpus / "tables").mkdir()

    ended, _, complaint = ner_ray(line)

    assert ended == 2
    assert said in complaint
    assert not (corpus / "run").exists()


@pytest.fixture
def committed(tmp_path: Path) -> Path:
    return Path(write_run(tmp_path).uri)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("export {run} out --format brad", "no export format named 'brad'; known: argilla, bio, brat, "),
        ("export {run} /proc/page.html", "/proc/page.html"),
        ("export {run} /proc/rows.jsonl --format jsonl", "/proc/rows.jsonl"),
    ],
)
def test_a_target_that_cannot_be_written_ends_with_status_2(
    line: str, said: str, committed: Path, ner_ray: Run
) -> None:
    ended, _, complaint = ner_ray(line.format(run=committed))

    assert (ended, said in complaint) == (2, True), complaint


def test_a_run_directory_where_nothing_can_be_written_ends_with_status_2(corpus: Path, ner_ray: Run) -> None:
    ended, _, complaint = ner_ray("annotate job.yaml output.path=/proc/run")

    assert (ended, "/proc/run" in complaint) == (2, True), complaint


def test_a_run_with_a_truncated_file_is_named_and_verify_says_which(committed: Path, ner_ray: Run) -> None:
    file = Path(RunDirectory(str(committed)).files()[0])
    file.write_bytes(file.read_bytes()[:40])

    ended, _, complaint = ner_ray(f"export {committed} {committed.parent}/page.html")
    found, listed, _ = ner_ray(f"verify {committed}")

    assert ended == 2
    assert str(file) in complaint
    assert (found, str(file) in listed) == (1, True)


def test_a_full_disk_is_no_mistake_of_the_user_and_ends_with_status_1(
    committed: Path, ner_ray: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "/data/run")

    monkeypatch.setattr(status, "run", full)

    ended, _, complaint = ner_ray(f"status {committed}")

    assert ended == 1
    assert "/data/run: No space left on device" in complaint
    assert "run the same command again" in complaint


def test_a_page_is_written_from_a_run_that_did_not_keep_its_texts(committed: Path, ner_ray: Run) -> None:
    page = committed.parent / "page.html"

    ended, shown, complaint = ner_ray(f"export {committed} {page} --json")

    assert ended == 0, complaint
    assert json.loads(shown)["documents"] == 4
    assert "Ann" in page.read_text()


def test_what_a_library_prints_is_no_part_of_the_result(
    committed: Path, ner_ray: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = status.run

    def chatty(config: status.Config) -> status.Result:
        print("(raylet) Task failed.")
        return look(config)

    monkeypatch.setattr(status, "run", chatty)

    _, shown, complaint = ner_ray(f"status {committed} --json")

    assert json.loads(shown)["rows"] == 4
    assert "(raylet) Task failed." in complaint


def test_a_run_is_named_by_place_or_by_key(committed: Path, ner_ray: Run) -> None:
    by_place = ner_ray(f"status {committed} --json")
    by_key = ner_ray(f"status run={committed} --json")
    with_a_sign = committed.rename(committed.parent / "day=1")

    assert by_place[:2] == by_key[:2]
    assert json.loads(by_key[1])["rows"] == 4
    assert ner_ray(f"status {with_a_sign}")[0] == 0
