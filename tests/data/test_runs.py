"""A run directory as annotated texts: what its manifests say, with the texts of its input."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ner_ray import schema
from ner_ray.commands.export import export_run
from ner_ray.data import AnnotatedText, Reject, read_all
from ner_ray.data.read import records
from ner_ray.errors import InputError, RunError
from ner_ray.store.run import RunDirectory
from ner_ray.store.shards import list_shards
from ner_ray.store.waves import Wave
from ner_ray.types import Annotation, DocumentStatus, Entity
from tests.nights import config_of, night, write_shard

TEXTS = ["Ann ran.", "Bo sat.", "Cy fell.", "It rained."]


def write_run(folder: Path, *, text: str = "body", keep: bool = False, retried: str = "Bo") -> RunDirectory:
    """Two shards of two texts; the second text failed at first, and the third was annotated in part.

    `retried` is the person that the second attempt at the second text has found.
    """
    (folder / "in").mkdir()
    for number in range(2):
        pq.write_table(pa.table({text: TEXTS[2 * number : 2 * number + 2]}), folder / "in" / f"{number}.parquet")
    directory = RunDirectory(str(folder / "run"))
    directory.write_record({"settings": {"input": {"text": text}}})
    (wave,) = directory.plan_waves(list_shards(str(folder / "in")), 100)
    kept = text if keep else ""
    failed = Annotation((), status=DocumentStatus.FAILED)
    partial = Annotation(_person("Cy"), status=DocumentStatus.PARTIAL)
    _commit(directory, wave, [Annotation(_person("Ann")), failed, partial, Annotation(())], kept)
    again = Annotation(_person(retried) if retried else ())
    _commit(directory, directory.plan_retry(wave.row_ids()[1:2], []), [again], kept)
    return directory


def _person(name: str) -> tuple[Entity, ...]:
    return (Entity(0, len(name), name, "person"),)


def _commit(directory: RunDirectory, wave: Wave, annotations: list[Annotation], kept: str) -> None:
    rows = []
    for row_id, annotation in zip(wave.row_ids().tolist(), annotations, strict=True):
        shard, number = row_id >> 40, row_id & 1
        row = {schema.ROW_ID: row_id, schema.DOC_ID: f"{shard}:{number}", **schema.annotation_to_row(annotation)}
        rows.append(row | ({kept: TEXTS[2 * shard + number]} if kept else {}))
    Path(directory.data_path(wave)).mkdir(parents=True)
    strings = [pa.field(name, pa.string()) for name in (schema.DOC_ID, *([kept] if kept else []))]
    fields = pa.schema([pa.field(schema.ROW_ID, pa.int64()), *strings, *schema.OUTPUT])
    pq.write_table(pa.Table.from_pylist(rows, schema=fields), Path(directory.data_path(wave)) / "part.parquet")
    directory.commit(wave, {})


@pytest.mark.parametrize("keep", [True, False], ids=["kept text", "text of the input"])
def test_a_run_gives_its_committed_annotations_with_their_texts(tmp_path: Path, *, keep: bool) -> None:
    write_run(tmp_path, keep=keep)

    found, rejects = read_all(str(tmp_path / "run"))

    assert sorted((item.text, [entity.text for entity in item.entities]) for item in found) == [
        ("Ann ran.", ["Ann"]), ("Bo sat.", ["Bo"]), ("It rained.", []),
    ]  # fmt: skip
    assert rejects == [Reject("run", rejects[0].row, "1:0", "the run's annotation of it is 'partial'")]


def test_what_lies_inside_a_run_is_refused(tmp_path: Path) -> None:
    directory = write_run(tmp_path)
    directory.history().snapshot(at_least=1)

    inside = ("data", "data/wave=00000", "snapshot")
    for path in (*(f"{directory.uri}/{name}" for name in inside), str(tmp_path)):
        with pytest.raises(InputError, match=f"give the run directory itself, {directory.uri}"):
            read_all(path)


def test_predictions_are_read_without_the_input(tmp_path: Path) -> None:
    write_run(tmp_path)
    for file in (tmp_path / "in").iterdir():
        file.unlink()

    rows = [row for _, _, row in records(str(tmp_path / "run"), {"doc_id", "entities", "status"})]

    assert sorted((row["doc_id"], row["status"]) for row in rows) == [
        ("0:0", "ok"), ("0:1", "ok"), ("1:0", "partial"), ("1:1", "ok"),
    ]  # fmt: skip


def test_a_changed_input_is_refused_for_its_texts_are_others(tmp_path: Path) -> None:
    write_run(tmp_path)
    pq.write_table(pa.table({"body": ["Another.", "text."]}), tmp_path / "in" / "1.parquet")

    with pytest.raises(InputError, match=r"1\.parquet has changed since it was annotated"):
        read_all(str(tmp_path / "run"))


def test_a_run_without_anything_committed_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": TEXTS}), tmp_path / "a.parquet")
    RunDirectory(str(tmp_path / "run")).plan_waves(list_shards(str(tmp_path / "a.parquet")), 100)

    with pytest.raises(RunError, match="nothing is committed"):
        read_all(str(tmp_path / "run"))


def test_rows_of_a_run_export_that_are_incomplete_are_rejects(tmp_path: Path) -> None:
    rows = [
        {"doc_id": status, "text": "Ann", "entities": [], "status": status} for status in ("ok", "partial", "failed")
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")

    found, rejects = read_all(str(tmp_path / "a.parquet"))

    assert [item.text_id for item in found if isinstance(item, AnnotatedText)] == ["ok"]
    assert [reject.example_id for reject in rejects] == ["partial", "failed"]


@pytest.mark.parametrize("form", ["conll", "jsonl"])
def test_another_column_called_text_is_not_taken_for_the_text(tmp_path: Path, form: str) -> None:
    write_shard(tmp_path / "in" / "a.parquet", {"body": ["Ann ran."], "text": ["a heading"]}, 1)
    run = night(config_of(tmp_path, {"text": "body", "keep": ["text"]}))

    rows = [row for _, _, row in records(run.uri)]
    export_run(run.uri, form, str(tmp_path / "out"))

    assert [row["text"] for row in rows] == ["Ann ran."]
    assert ("Ann" if form == "conll" else "a heading") in (tmp_path / "out").read_text()


@pytest.mark.parametrize("kept", [[], ["text"]])
@pytest.mark.parametrize("kind", [pa.binary(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())])
def test_texts_in_every_layout_are_exported_kept_or_not(tmp_path: Path, kept: list[str], kind: pa.DataType) -> None:
    texts = pa.array(["Ann ran.", None, "Bo sat."]).cast(kind)
    write_shard(tmp_path / "in" / "a.parquet", {"text": texts}, 3)
    run = night(config_of(tmp_path, {"keep": kept}))

    export_run(run.uri, "conll", str(tmp_path / "out"))

    words = [line.split()[0] for line in (tmp_path / "out").read_text().splitlines() if line and "DOCSTART" not in line]
    assert words == ["Ann", "ran", ".", "Bo", "sat", "."]


def test_a_text_is_found_where_its_file_has_moved_and_the_file_is_named_where_it_is_gone(tmp_path: Path) -> None:
    file = tmp_path / "in" / "a.parquet"
    write_shard(file, {}, 2)
    run = night(config_of(tmp_path))
    moved = file.rename(tmp_path / "in" / "b.parquet")

    assert [row["text"] for _, _, row in records(run.uri)] == ["text 0", "text 1"]

    moved.unlink()
    write_shard(tmp_path / "in" / "c.parquet", {"text": ["other"]}, 1)
    with pytest.raises(InputError, match=r"in/a\.parquet is gone since it was annotated") as refused:
        list(records(run.uri))
    assert "input.keep=[text]" in refused.value.hint
