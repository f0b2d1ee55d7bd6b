"""The command `curate`: files of several sources in, one data set and its report out."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ner_ray.config.load import load
from ner_ray.errors import ConfigError, InputError
from ner_ray.synth.curation_files import CurateConfig, curate_files


def write_sources(folder: Path) -> list[str]:
    """One as Parquet, which annotates ships as vehicles; one as JSON Lines, which does not annotate them."""
    rows = [
        {
            "text": f"Ada {n} sailed on the Beagle.",
            "entities": [{"text": "Ada", "label": "PER"}, {"text": "Beagle", "label": "vehicle"}],
        }
        for n in range(6)
    ]
    pq.write_table(pa.Table.from_pylist(rows), folder / "log.parquet")
    others = [
        {"text": f"Ada wrote letter {n} on the Beagle.", "entities": [{"text": "Ada", "label": "person"}]}
        for n in range(5)
    ]
    others.append({"text": "The Argo left.", "entities": [{"text": "Argo", "label": "vehicle"}]})
    others.append({"text": "No such name.", "entities": [{"text": "Bo", "label": "person"}]})
    (folder / "web.jsonl").write_text("\n".join(map(json.dumps, others)))
    return [f"sources={{log: {folder}/log.parquet, web: {folder}/web.jsonl}}", f"output={folder}/out"]


def test_conflicts_are_reported_names_joined_rows_chosen_and_rejects_named(tmp_path: Path) -> None:
    places = write_sources(tmp_path)
    names = tmp_path / "names.yaml"
    names.write_text("'*': {PER: person}\nlog: {vehicle: null}\n")

    done = curate_files(load(CurateConfig, "synth/curate", [*places, f"taxonomy={names}", "options.size=6"]))

    assert (done.read, done.rejected, done.kept) == (12, 1, 6)
    rows = pq.read_table(tmp_path / "out" / "data.parquet").to_pylist()
    assert len(rows) == 6
    for row in rows:
        assert all(row["text"][entity["start"] : entity["end"]] == entity["text"] for entity in row["entities"])
    assert {(row["source"], entity["label"]) for row in rows for entity in row["entities"]} <= {
        ("log", "person"),
        ("web", "person"),
        ("web", "vehicle"),
    }
    (worst, *_) = map(json.loads, (tmp_path / "out" / "conflicts.jsonl").read_text().splitlines())
    assert (worst["label"], worst["source"], worst["other"]) == ("vehicle", "log", "web")
    assert worst["outcomes"] == {"not_annotated": 6}
    (reject,) = map(json.loads, (tmp_path / "out" / "rejects.jsonl").read_text().splitlines())
    assert "Bo" in reject["reason"]
    said = (tmp_path / "out" / "report.md").read_text()
    assert "| log | PER | person | 6 |" in said
    assert "| log | vehicle | 6 |" in said


def test_the_same_files_and_configuration_give_the_same_bytes(tmp_path: Path) -> None:
    places = write_sources(tmp_path)
    config = load(CurateConfig, "synth/curate", [*places, "options.size=5"])

    curate_files(config)
    before = {file.name: file.read_bytes() for file in (tmp_path / "out").iterdir()}
    curate_files(config)

    assert before == {file.name: file.read_bytes() for file in (tmp_path / "out").iterdir()}
    assert before.keys() == {"data.parquet", "report.md", "conflicts.jsonl", "rejects.jsonl"}


def test_what_cannot_be_meant_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere"):
        curate_files(load(CurateConfig, "synth/curate", ["sources={a: nowhere.parquet}", f"output={tmp_path}"]))
    with pytest.raises(ConfigError, match="sources"):
        load(CurateConfig, "synth/curate", ["sources={}", f"output={tmp_path}"])
