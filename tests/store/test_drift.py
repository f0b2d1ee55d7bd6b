"""A run directory's counts per label and error code, and labels whose frequency changed in the last wave."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
from hypothesis import given
from hypothesis import strategies as st

from ner_ray.commands.status import status_table
from ner_ray.store.drift import Drift
from ner_ray.store.health import status
from ner_ray.store.run import RunDirectory
from ner_ray.store.shards import Shard
from ner_ray.store.tally import Tally
from ner_ray.store.waves import Wave
from tests import output

LabelsAndCodes = tuple[list[str], list[str]]  # a document's labels and error codes


def commit(run: RunDirectory, wave: Wave, documents: list[LabelsAndCodes], part: int = 1000) -> None:
    """Writes the rows of a wave as the job does, one file per `part` rows."""
    folder = Path(run.data_path(wave))
    folder.mkdir(parents=True)
    ids = wave.row_ids()
    for begin in range(0, len(ids), part):
        annotations = [output.annotated(*document) for document in documents[begin : begin + part]]
        pq.write_table(output.table(ids[begin : begin + part], annotations), folder / f"{begin}.parquet")
    run.commit(wave, {})


def nightly(folder: Path, *nights: list[LabelsAndCodes]) -> RunDirectory:
    """A run with one shard and one wave per night."""
    run = RunDirectory(str(folder))
    shards: list[Shard] = []
    for documents in nights:
        shards.append(Shard(f"/corpus/{len(shards)}.parquet", 100, 1, len(documents)))
        (wave,) = run.plan_waves(shards, 10_000)
        commit(run, wave, documents)
    return run


documents = st.lists(
    st.tuples(
        st.lists(st.sampled_from(["person", "place", "人物"]), max_size=4),
        st.lists(st.sampled_from(["poison", "truncated"]), max_size=3),
    ),
    min_size=1,
    max_size=30,
)


@given(rows=documents, part=st.integers(1, 30))
def test_entities_are_counted_by_label_and_documents_by_error_code(
    rows: list[LabelsAndCodes], part: int, tmp_path_factory
) -> None:
    folder = tmp_path_factory.mktemp("run")
    run = RunDirectory(str(folder))
    (wave,) = run.plan_waves([Shard("/corpus/a.parquet", 100, 1, len(rows))], 100)
    commit(run, wave, rows, part)

    progress = status(str(folder))

    assert progress.tally.labels == Counter(label for labels, _ in rows for label in labels)
    assert progress.tally.errors == Counter(code for _, codes in rows for code in set(codes))
    assert progress.tally.documents == len(rows)
    assert progress.tally.entities == sum(len(labels) for labels, _ in rows)
    assert progress.tally.statuses == Counter("failed" if codes else "ok" for _, codes in rows)
    assert Tally.from_dict(json.loads(json.dumps(progress.to_dict()))["tally"]) == progress.tally


def test_a_retried_document_counts_with_its_last_result(tmp_path: Path) -> None:
    bad, good = ([], ["poison"]), (["person"], [])
    run = nightly(tmp_path, [bad, good, bad, good])
    again = run.plan_retry(run.dataset().to_table()["row_id"].to_numpy()[[0, 2]], output.inputs(run))
    waiting = status(str(tmp_path))
    commit(run, again, [good, bad])

    progress = status(str(tmp_path))

    assert (waiting.rows, waiting.done, waiting.tally.errors) == (4, 2, {"poison": 2})
    assert (progress.rows, progress.done, progress.tally.errors, progress.tally.labels) == (
        4,
        4,
        {"poison": 1},
        {"person": 3},
    )


def test_a_shard_that_was_reprocessed_counts_once(tmp_path: Path) -> None:
    run = nightly(tmp_path, [(["person"], ["truncated"])] * 3)
    (wave,) = run.plan_waves([Shard("/corpus/0.parquet", 200, 2, 5)], 100, "reprocess")
    waiting = status(str(tmp_path))
    commit(run, wave, [(["place"], [])] * 5)

    progress = status(str(tmp_path))

    assert (waiting.rows, waiting.done, waiting.tally.labels) == (5, 0, {"person": 3})
    assert (progress.rows, progress.done, progress.tally.errors, progress.tally.labels) == (5, 5, {}, {"place": 5})


def test_a_label_that_the_last_wave_finds_half_or_twice_as_often_is_reported(tmp_path: Path) -> None:
    usual = [(["person", "place"], [])] * 200
    nightly(
        tmp_path, usual, usual, [(["person"], [])] * 210 + [(["place"], [])] * 90 + [(["ship", "person"], [])] * 100
    )

    progress = status(str(tmp_path))

    assert progress.drift == {"place": Drift(1000.0, 225.0), "ship": Drift(0.0, 250.0)}
    assert "drift" in status_table(progress)
    assert "place: 225.0 per 1,000 documents in the last wave, 1,000.0 before" in status_table(progress)
    assert "person: 710 entities" in status_table(progress)


def test_chance_retries_and_a_first_wave_are_not_drift(tmp_path: Path) -> None:
    few = nightly(tmp_path / "few", [(["person"], [])] * 99, [([], [])] * 99)
    first = nightly(tmp_path / "first", [(["person"], [])] * 500)
    tried = nightly(tmp_path / "tried", [(["person"], ["poison"])] * 300, [(["person"], [])] * 300)
    failed = tried.dataset().to_table()["row_id"].to_numpy()[:250]
    commit(tried, tried.plan_retry(failed, output.inputs(tried)), [([], [])] * 250)

    assert [status(run.uri).drift for run in (few, first, tried)] == [{}, {}, {}]
