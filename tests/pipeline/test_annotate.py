"""The whole job on a real cluster with the real engine; its weights are random, so its answers are meaningless."""

from __future__ import annotations

import json
import re
import threading
import time
from pathlib import Path

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import ray

from ner_ray.config import AnnotateConfig
from ner_ray.errors import EXIT_DONE, EXIT_TOO_MANY_ERRORS, RunError
from ner_ray.pipeline import annotate as job
from ner_ray.pipeline.annotate import annotate
from ner_ray.pipeline.progress import start_scoreboard
from ner_ray.pipeline.summary import Summary
from ner_ray.store.run import RunDirectory
from tests.answering import answering

pytestmark = [pytest.mark.engine, pytest.mark.cluster, pytest.mark.usefixtures("cluster")]

TEXTS = [
    "Ada Lovelace wrote to Charles Babbage from Ockham Park.",
    "林徽因在北京和梁思成一起工作。",
    "",
    None,
    " \n\t ",
    "control \x00\x01 characters \u200b\ufeff and a tab\t",
    "Bo sat. " * 400,
    "🙂👩‍👩‍👧 emoji, e\u0301 combining, עברית and العربية.",
]


def settings(folder: Path, model: Path, **changes: object) -> AnnotateConfig:
    plain = {
        "input": {"path": str(folder / "in"), "keep": ["number"]},
        "labels": ["person", "place"],
        "family": "cascade",
        "engine": {"model": str(model), "max_model_len": 512, "sampling": {"max_tokens": 24}},
        "chunk": {"tokens": 80},
        "output": {"path": str(folder / "run"), "completions": True, "prompts": True},
        "max_error_rate": 1.0,
    }
    return AnnotateConfig.model_validate(plain | changes)


def write_corpus(folder: Path, name: str = "a", texts: list[str | None] = TEXTS) -> None:
    (folder / "in").mkdir(exist_ok=True)
    table = pa.table({"text": pa.array(texts, pa.string()), "number": list(range(len(texts)))})
    pq.write_table(table, folder / "in" / f"{name}.parquet")


def rows_of(run: str) -> list[dict]:
    return sorted(RunDirectory(run).dataset().to_table().to_pylist(), key=lambda row: row["row_id"])


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> tuple[Path, Summary]:
    folder = tmp_path_factory.mktemp("job")
    write_corpus(folder)
    return folder, annotate(settings(folder, tiny_model))


def test_every_input_row_is_one_output_row_with_what_was_kept(first: tuple[Path, Summary]) -> None:
    rows = rows_of(first[1].run)

    assert [row["number"] for row in rows] == list(range(len(TEXTS)))
    assert [row["doc_id"] for row in rows] == [f"a:{number}" for number in range(len(TEXTS))]
    assert [row["text"] for row in rows] == [text or "" for text in TEXTS]


def test_rows_without_text_have_a_status_and_cost_nothing(first: tuple[Path, Summary]) -> None:
    rows = rows_of(first[1].run)

    assert [rows[number]["status"] for number in (2, 3, 4)] == ["ok", "failed", "ok"]
    assert [error["code"] for error in rows[3]["errors"]] == ["null_text"]
    assert {rows[number]["usage"]["requests"] for number in (2, 3, 4)} == {0}


def test_an_answer_that_cannot_be_read_is_kept_with_its_error(first: tuple[Path, Summary]) -> None:
    rows = [row for row in rows_of(first[1].run) if row["text"].strip()]

    assert rows
    for row in rows:  # random weights write nothing that could be read
        answers = {exchange["completions"][0]["text"] for exchange in row["exchanges"]}
        assert row["status"] == "failed"
        assert {error["code"] for error in row["errors"]} <= {"unparsable", "truncated"}
        assert all(error["stage"] == "extractor" for error in row["errors"])
        assert all(error["message"].endswith(tuple(answers)) for error in row["errors"])


def test_every_entity_is_cut_from_its_text(first: tuple[Path, Summary]) -> None:
    for row in rows_of(first[1].run):
        for entity in row["entities"]:
            assert row["text"][entity["start"] : entity["end"]] == entity["text"]


def test_a_long_document_is_cut_into_chunks_that_were_all_asked_about(first: tuple[Path, Summary]) -> None:
    row = rows_of(first[1].run)[6]

    assert len(row["chunks"]) > 10
    assert {exchange["chunk"] for exchange in row["exchanges"]} == set(range(len(row["chunks"])))
    assert row["usage"]["output_tokens"] > 0


def test_prompts_are_kept_on_request(first: tuple[Path, Summary]) -> None:
    turns = json.loads(rows_of(first[1].run)[0]["exchanges"][0]["prompt"])

    assert turns[-1] == {"role": "user", "content": TEXTS[0]}


def test_the_summary_and_run_json_count_what_is_in_the_output(first: tuple[Path, Summary]) -> None:
    folder, summary = first
    rows = rows_of(summary.run)
    record = json.loads((folder / "run" / "run.json").read_text())

    assert summary.counts["documents"] == len(TEXTS)
    assert summary.counts["requests"] == sum(row["usage"]["requests"] for row in rows)
    assert summary.counts["output_tokens"] == sum(row["usage"]["output_tokens"] for row in rows)
    assert summary.counts["failed"] == sum(row["status"] == "failed" for row in rows)
    assert record["last"]["counts"] == summary.counts
    assert record["versions"]["ray"]
    assert record["models"]["extractor"]["revision"]
    assert record["inputs"]["rows"] == len(TEXTS)
    assert summary.exit_status == EXIT_DONE


def test_the_same_command_again_does_nothing(first: tuple[Path, Summary], tiny_model: Path) -> None:
    folder, _ = first
    before = rows_of(str(folder / "run"))

    again = annotate(settings(folder, tiny_model))

    assert again.waves == 0
    assert rows_of(str(folder / "run")) == before


def test_another_configuration_is_refused_in_the_same_directory(first: tuple[Path, Summary], tiny_model: Path) -> None:
    with pytest.raises(RunError, match=r'labels: \["person", "place"\] -> \["person"\]'):
        annotate(settings(first[0], tiny_model, labels=["person"]))


def test_replayed_answers_give_the_same_annotation_without_an_engine(
    first: tuple[Path, Summary], tmp_path: Path
) -> None:
    folder, summary = first
    config = settings(
        tmp_path,
        Path("unused"),
        replay=True,
        input={"path": str(folder / "run"), "id": "doc_id", "keep": ["number"]},
    )

    replayed = annotate(config)

    replayed_rows, original_rows = (
        sorted(rows_of(run), key=lambda row: row["number"]) for run in (replayed.run, summary.run)
    )
    assert [row["doc_id"] for row in replayed_rows] == [row["doc_id"] for row in original_rows]
    for column in ("entities", "unaligned", "usage", "verdicts", "text", "chunks"):
        assert [row[column] for row in replayed_rows] == [row[column] for row in original_rows]


def test_new_shards_are_taken_in_and_old_ones_left_alone(first: tuple[Path, Summary], tmp_path: Path) -> None:
    _, summary = first
    answered = RunDirectory(summary.run).dataset().to_table()
    (tmp_path / "in").mkdir()
    pq.write_table(answered, tmp_path / "in" / "1.parquet")
    config = settings(tmp_path, Path("unused"), replay=True)
    annotate(config)
    pq.write_table(answered, tmp_path / "in" / "2.parquet")
    (tmp_path / "in" / "3.parquet").write_bytes(b"PAR1 torn")

    second = annotate(config)

    assert second.counts["documents"] == len(TEXTS)
    assert len(rows_of(second.run)) == 2 * len(TEXTS)
    assert [Path(uri).name for uri in second.quarantined] == ["3.parquet"]
    assert second.exit_status == EXIT_TOO_MANY_ERRORS


def test_two_roles_may_have_engines_of_their_own_and_labels_may_come_with_the_row(
    tmp_path: Path, tiny_model: Path
) -> None:
    (tmp_path / "in").mkdir()
    texts = ["Ada met Bo in Rome.", "Cy saw nothing.", "Di ran."]
    sets = [["person", "place"], [], None]
    pq.write_table(pa.table({"text": texts, "number": [0, 1, 2], "types": sets}), tmp_path / "in" / "a.parquet")
    marked = answering(lambda text: text.replace("Ada", "##Ada##"))
    with marked as extractor, answering(lambda _: "person") as classifier:
        engines = {"extractor": extractor.engine(), "classifier": classifier.engine()}
        rows = rows_of(annotate(settings(tmp_path, tiny_model, labels="column:types", engine=engines)).run)

    assert [row["text"] for row in rows] == texts
    assert [(entity["text"], entity["label"]) for entity in rows[0]["entities"]] == [("Ada", "person")]
    assert [[error["code"] for error in row["errors"]][:1] for row in rows[1:]] == [["no_labels"], ["no_labels"]]
    assert (extractor.asked[0], len(extractor.asked)) == (texts[0], 1)
    assert len(classifier.asked) == 1


def test_names_in_an_overlap_are_asked_about_once(tmp_path: Path, tiny_model: Path) -> None:
    names = [f"{first}{number}" for number in range(12) for first in ("Ada", "Bob")]
    text = " ".join(f"{first} met {second}." for first, second in zip(names[::2], names[1::2], strict=True))
    write_corpus(tmp_path, texts=[text])

    def answer(asked: str) -> str:
        return "person" if asked.startswith("The ##") else re.sub(r"(Ada|Bob)\d+", r"##\g<0>##", asked)

    with answering(answer) as server:
        chunk = {"tokens": 36, "overlap": 18}
        [row] = rows_of(annotate(settings(tmp_path, tiny_model, engine=server.engine(), chunk=chunk)).run)

    chunks = [asked for asked in server.asked if not asked.startswith("The ##")]
    assert sum(map(len, chunks)) > 1.3 * len(text), "they overlap"
    asked_about = [re.search("##(.+?)##", asked)[1] for asked in server.asked if asked.startswith("The ##")]
    assert sorted(asked_about) == sorted(names)
    assert [entity["text"] for entity in row["entities"]] == names


def test_an_engine_that_is_killed_is_replaced_and_every_row_is_there_once(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filler = (
        "and walked on " * 14
    )  # so that a block holds few documents: those in the dead engine are retried one at a time
    texts = [f"Ada {number} met Bo {filler}." for number in range(200)]
    write_corpus(tmp_path, texts=texts)
    killed, scoreboards = threading.Event(), []
    monkeypatch.setattr(job, "start_scoreboard", lambda *_: scoreboards.append(start_scoreboard()) or scoreboards[0])
    threading.Thread(target=kill_engine_once, args=(scoreboards, killed), daemon=True).start()

    with answering(lambda text: text) as server:
        server.seconds = 0.05
        changes = {"engine": server.engine(max_num_seqs=8), "resources": {"block_kib": 16}, "chunk": {"tokens": 400}}
        summary = annotate(settings(tmp_path, tiny_model, **changes))

    assert killed.is_set()
    rows = rows_of(summary.run)
    assert [row["number"] for row in rows] == list(range(200))
    assert {exchange["completions"][0]["text"] for row in rows for exchange in row["exchanges"]} == set(texts)
    assert summary.counts["engines"] == 2


def kill_engine_once(scoreboard: list, killed: threading.Event) -> None:
    """Kills the engine's actor once its first answers have been counted."""
    while not scoreboard or not ray.get(scoreboard[0].totals.remote()).get("requests"):
        time.sleep(0.05)
    children = psutil.Process().children(recursive=True)
    engines = [
        child
        for child in children
        if child.status() != psutil.STATUS_ZOMBIE and "GenerateStage" in " ".join(child.cmdline())
    ]
    max(engines, key=lambda process: process.create_time()).kill()  # actors of earlier runs may still be exiting
    killed.set()
