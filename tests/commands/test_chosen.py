"""Exports of chosen documents, against choosing among all of them in plain Python."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ner_ray.commands import export
from ner_ray.commands._chosen import Choice, chosen_ids
from ner_ray.errors import ConfigError
from ner_ray.store.run import RunDirectory
from ner_ray.viewer.places import PARTS
from tests import synthetic
from tests.data.test_runs import write_run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    return write_run(tmp_path_factory.mktemp("kept"), keep=True)


def obvious(rows: list[dict[str, Any]], choice: Choice) -> list[int]:
    return [
        row["row_id"]
        for row in rows
        if choice.status in (None, row["status"])
        and (choice.label is None or choice.label in [entity["label"] for entity in row["entities"]])
        and (choice.code is None or choice.code in [error["code"] for error in row["errors"]])
        and (choice.query is None or choice.query.lower() in row["body"].lower())
    ]


choices = st.builds(
    Choice,
    status=st.sampled_from([None, "ok", "partial", "failed"]),
    label=st.sampled_from([None, "person", "ship"]),
    code=st.sampled_from([None, "poison"]),
    query=st.sampled_from([None, "ANN", "rain", "."]),
    limit=st.sampled_from([None, 1, 2, 9]),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(choice=choices)
def test_the_chosen_documents_are_those_that_match(run: RunDirectory, choice: Choice) -> None:
    rows = sorted(run.dataset().to_table().to_pylist(), key=lambda row: row["row_id"])

    assert chosen_ids(run.dataset(), choice, "body").tolist() == obvious(rows, choice)[: choice.limit]


@given(sample=st.integers(1, 6), seed=st.integers(0, 9), label=st.sampled_from([None, "person"]))
def test_a_sample_is_drawn_from_what_matches_and_can_be_drawn_again(
    run: RunDirectory, sample: int, seed: int, label: str | None
) -> None:
    all_that_match = chosen_ids(run.dataset(), Choice(label=label), "body").tolist()
    choice = Choice(label=label, sample=sample, seed=seed)

    drawn = chosen_ids(run.dataset(), choice, "body").tolist()

    assert len(drawn) == min(sample, len(all_that_match))
    assert drawn == [row_id for row_id in all_that_match if row_id in drawn]
    assert drawn == chosen_ids(run.dataset(), choice, "body").tolist()


@pytest.mark.parametrize("keep", [True, False], ids=["kept text", "text of the input"])
@pytest.mark.parametrize("form", ["html", "jsonl", "parquet", "bio"])
def test_every_format_writes_the_chosen_documents(tmp_path: Path, form: str, *, keep: bool) -> None:
    directory = write_run(tmp_path, keep=keep)
    out = tmp_path / f"out.{form}"

    result = export.run(export.Config(run=directory.uri, out=str(out), format=form, label="person", status="ok"))

    assert result.counts["documents"] == 2
    if form == "jsonl":
        assert [json.loads(line)["entities"][0]["text"] for line in out.read_text().splitlines()] == ["Ann", "Bo"]
    elif form == "parquet":
        assert pq.read_metadata(out).num_rows == 2
    else:
        assert ("Ann" in out.read_text(), "rained" in out.read_text()) == (True, False)


def test_entities_that_are_not_sure_enough_are_left_out(run: RunDirectory, tmp_path: Path) -> None:
    config = export.Config(run=run.uri, out=str(tmp_path / "all.bio"), format="bio")
    sure = config.model_copy(update={"out": str(tmp_path / "sure.bio"), "min_score": 0.5})

    assert (export.run(config).counts["entities"], export.run(sure).counts["entities"]) == (3, 0)
    with pytest.raises(ConfigError, match="jsonl keeps all columns as they are"):
        export.run(sure.model_copy(update={"format": "jsonl"}))


def test_texts_that_were_not_kept_cannot_be_searched(tmp_path: Path) -> None:
    directory = write_run(tmp_path)

    with pytest.raises(ConfigError, match="the run has not kept them"):
        export.run(export.Config(run=directory.uri, out=str(tmp_path / "page.html"), query="Ann"))


def test_a_page_says_how_many_were_chosen_and_how_many_are_shown(run: RunDirectory, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    for options, shown in itertools.product(({"limit": 2}, {"sample": 2}), [2]):
        export.run(export.Config(run=run.uri, out=str(page), **options))
        assert page.read_text().count("<article") == shown  # for readers without scripts


def test_a_folder_holds_all_documents_and_a_page_in_one_file_the_first(tmp_path: Path) -> None:
    directory = synthetic.write_run(tmp_path, synthetic.documents(1_001, words=4), keep=False)

    in_folder = export.run(export.Config(run=directory.uri, out=f"{tmp_path}/page/"))
    in_file = export.run(export.Config(run=directory.uri, out=str(tmp_path / "page.html")))

    assert (in_folder.counts["documents"], in_file.counts["documents"]) == (1_001, 1_000)
    assert "Report 1000." in (tmp_path / "page" / PARTS / "000" / "000003.js").read_text()
