"""A run as a page reads it: part by part, on a disk and on S3, with texts that are kept or not, while it grows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ner_ray.browse import run as browsed
from ner_ray.browse.run import BrowsedRun, GoneError
from ner_ray.commands._figures import figures
from ner_ray.errors import RunError
from ner_ray.store.run import RunDirectory
from ner_ray.viewer.search import fold
from tests.synthetic import add_waves, documents, write_run
from tests.viewer.test_index import unpacked

COUNT = 130


@pytest.fixture(autouse=True)
def _look_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(browsed, "_EVERY", -1.0)


def all_documents(run: BrowsedRun) -> list[dict]:
    meta = run.meta()
    chunks = [json.loads(run.chunk(meta["version"], number)) for number in range(len(meta["chunks"]))]
    assert [len(chunk["documents"]) for chunk in chunks] == meta["chunks"]
    return [document for chunk in chunks for document in chunk["documents"]]


@pytest.mark.parametrize("keep", [True, False], ids=["kept texts", "texts of the input"])
def test_every_committed_document_is_in_one_chunk_with_its_text_and_entities(tmp_path: Path, *, keep: bool) -> None:
    directory = write_run(tmp_path, documents(COUNT, words=10), keep=keep, per_shard=60)

    shown = {document["id"]: document for document in all_documents(BrowsedRun(directory.uri, figures))}

    for document, annotation in documents(COUNT, words=10):
        row = shown.pop(document.doc_id)
        assert row["text"] == document.text
        assert [mark[:2] for mark in row["sides"][0]] == [[one.start, one.end] for one in annotation.entities]
    assert not shown


@pytest.mark.parametrize("keep", [True, False], ids=["kept texts", "texts of the input"])
def test_a_search_and_the_index_tell_of_every_document_of_a_file(tmp_path: Path, *, keep: bool) -> None:
    directory = write_run(tmp_path, documents(COUNT, words=10), keep=keep, per_shard=60)
    run = BrowsedRun(directory.uri, figures)
    meta, everything = run.meta(), all_documents(run)

    first = 0
    for number, rows in enumerate(meta["blocks"]):
        block = unpacked(json.loads(run.index(meta["version"], number)))
        hits = run.find(meta["version"], number, "Halmer  SOUND")
        for row in range(rows):
            document = everything[first + row]
            assert block[row][0] == document.get("state", 0)
            assert len(block[row][2]) == len({mark[2] for mark in document["sides"][0]})
            assert (row in hits) == ("halmer sound" in fold(document["text"]))
        first += rows
    assert first == COUNT


def test_a_run_that_grows_is_told_anew_and_earlier_parts_are_gone(tmp_path: Path) -> None:
    directory = write_run(tmp_path, documents(20, words=5))
    run = BrowsedRun(directory.uri, figures)
    before = run.meta()
    assert run.meta() == before

    more = list(documents(30, words=5))[20:]
    add_waves(directory, tmp_path, more)
    after = run.meta()

    assert (before["documents"], after["documents"]) == (20, 30)
    assert ["documents", "30"] in [list(pair) for pair in after["summary"]]
    assert len(all_documents(run)) == 30
    with pytest.raises(GoneError):
        run.chunk(before["version"], 0)
    with pytest.raises(GoneError):
        run.index(after["version"], 2)


def test_a_run_in_which_nothing_is_committed_is_empty_and_none_at_all_is_refused(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    RunDirectory(str(tmp_path / "run")).write_record({"settings": {}})

    assert BrowsedRun(str(tmp_path / "run"), figures).meta()["documents"] == 0
    with pytest.raises(RunError, match="there is no run"):
        BrowsedRun(str(tmp_path / "other"), figures)


def test_where_the_input_is_gone_documents_say_so_and_their_entities_are_still_there(tmp_path: Path) -> None:
    directory = write_run(tmp_path, documents(5, words=40), keep=False)
    for file in (tmp_path / "in").iterdir():
        file.unlink()

    first = all_documents(BrowsedRun(directory.uri, figures))[0]

    assert first["text"] == ""
    assert first["errors"][0][:2] == ["no_text", "input"]
    assert len(first["unaligned"]) > 0


def test_a_run_on_s3_is_read_as_one_on_a_disk(tmp_path: Path, bucket: str) -> None:
    directory = write_run(tmp_path, documents(60, words=5))
    for file in (tmp_path / "run").rglob("*"):
        if file.is_file():
            _upload(bucket, file, str(file.relative_to(tmp_path)))

    on_s3, on_disk = (BrowsedRun(uri, figures) for uri in (f"s3://{bucket}/run", directory.uri))

    assert all_documents(on_s3) == all_documents(on_disk)
    assert on_s3.find(on_s3.meta()["version"], 0, "Report 7.") == [7]


def _upload(bucket: str, file: Path, key: str) -> None:
    import os

    import boto3

    client = boto3.client("s3", endpoint_url=os.environ["AWS_ENDPOINT_URL"], region_name="us-east-1")
    client.upload_file(str(file), bucket, key)
