"""Documents that kill engines, broken shards and full disks are reported by name, and cost nothing else."""

from __future__ import annotations

import asyncio
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ner_ray.commands import forget
from ner_ray.config import AnnotateConfig
from ner_ray.errors import EXIT_DONE, EXIT_TOO_MANY_ERRORS, InputError, StoppedError
from ner_ray.pipeline import annotate as driver
from ner_ray.pipeline import graph
from ner_ray.pipeline.annotate import annotate, retry
from ner_ray.pipeline.generate import GenerateStage
from ner_ray.schema import TEXT
from ner_ray.store.health import status, verify
from tests.answering import answering
from tests.replayed import write_corpus, write_shard
from tests.tiny_models import save_tiny_model

from .conftest import rows_of

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("cluster")]


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    import ray

    from ner_ray.pipeline.cluster import connect

    ray.shutdown()
    connect()
    yield
    ray.shutdown()


def replay(folder: Path, **changes: object) -> AnnotateConfig:
    plain = {
        "input": {"path": str(folder / "in")},
        "labels": ["person", "place"],
        "family": "gner",
        "replay": True,
        "output": {"path": str(folder / "run")},
        "max_error_rate": 1.0,
    }
    return AnnotateConfig.model_validate(plain | changes)


class PoisonedStage(GenerateStage):
    """Dies silently while it answers a certain document, and never answers another one."""

    async def _row(self, row):
        if "poison" in row[TEXT]:
            await super()._row({**row, TEXT: "harmless"})
            os._exit(1)
        if "hang" in row[TEXT]:
            self._enter()
            await asyncio.sleep(1e6)
        return await super()._row(row)


@pytest.fixture
def known() -> Iterator[dict]:
    """An engine with known answers."""
    with answering(lambda _: "Ada(B-person) met(O) Bo(B-person) .(O)") as server:
        yield server.engine(stall_seconds=6)


@pytest.fixture
def real(tmp_path: Path) -> dict:
    """An engine of vLLM with random weights."""
    model = str(save_tiny_model(tmp_path / "model"))
    return {"model": model, "max_model_len": 1024, "stall_seconds": 6, "sampling": {"max_tokens": 4}}


@pytest.mark.parametrize(
    ("engine", "count", "engines"),
    [("known", 14, 4), pytest.param("real", 400, 5, marks=[pytest.mark.faults, pytest.mark.engine])],
)
def test_documents_that_kill_or_hang_engines_are_quarantined_by_name_and_the_rest_goes_on(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
    engine: str,
    count: int,
    engines: int,
) -> None:
    """Few suspects are tried one at a time; many are tried in groups, which costs one more engine."""
    texts = [f"Ada {number} met Bo." for number in range(count)]
    texts[7], texts[9] = "This is poison.", "They hang on this."
    (tmp_path / "in").mkdir()
    pq.write_table(pa.table({"text": texts}), tmp_path / "in" / "a.parquet")
    config = replay(tmp_path, replay=False, engine=request.getfixturevalue(engine))
    undisturbed = annotate(
        replay(tmp_path, replay=False, engine=config.engine.model_dump(), output={"path": str(tmp_path / "calm")})
    )
    expected = answered_rows(Path(undisturbed.run))
    monkeypatch.setattr(graph, "GenerateStage", PoisonedStage)

    summary = annotate(config)

    rows = answered_rows(tmp_path / "run")
    assert [row["row_id"] for row in rows] == list(range(count))
    poisoned = [row for row in rows if "poison" in [error["code"] for error in row["errors"]]]
    assert [(row["doc_id"], row["status"]) for row in poisoned] == [("a:7", "failed"), ("a:9", "failed")]
    assert [row for row in rows if row not in poisoned] == [row for row in expected if row["row_id"] not in (7, 9)]
    assert summary.counts["engines"] == engines, (
        "one dies with all documents, one with a group if there are many, one with each of the two alone"
    )
    assert status(str(tmp_path / "run")).tally.errors["poison"] == 2

    monkeypatch.undo()  # the fault is repaired
    again = retry(str(tmp_path / "run"), ["poison"])

    assert again.counts["documents"] == 2
    assert answered_rows(tmp_path / "run") == expected
    assert verify(str(tmp_path / "run")) == (count, [])


def answered_rows(run: Path) -> list[dict]:
    """The rows without `cached_tokens`, which depend on timing."""
    rows = rows_of(run)
    for row in rows:
        del row["usage"]["cached_tokens"]
    return rows


def status_codes(folder: Path) -> set[str]:
    return {error["code"] for row in rows_of(folder / "run") for error in row["errors"]}


def test_broken_shards_are_named_and_the_others_done(tmp_path: Path) -> None:
    write_corpus(tmp_path / "in", shards=2, rows=30)
    whole = (tmp_path / "in" / "001.parquet").read_bytes()
    (tmp_path / "in" / "010-truncated.parquet").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "in" / "011-empty.parquet").write_bytes(b"")
    (tmp_path / "in" / "012-noise.parquet").write_bytes(os.urandom(500))
    write_shard(tmp_path / "in" / "013-zero.parquet", 0, 0)

    summary = annotate(replay(tmp_path))

    assert summary.exit_status == EXIT_TOO_MANY_ERRORS
    assert sorted(Path(uri).name[:3] for uri in summary.quarantined) == ["010", "011", "012"]
    assert len(rows_of(tmp_path / "run")) == 60
    (tmp_path / "in" / "010-truncated.parquet").write_bytes(whole)  # repaired: the next run annotates it
    (tmp_path / "in" / "011-empty.parquet").unlink()
    (tmp_path / "in" / "012-noise.parquet").unlink()
    assert annotate(replay(tmp_path)).exit_status == 0
    assert len(rows_of(tmp_path / "run")) == 90


def test_in_a_corrupt_shard_only_the_rows_that_cannot_be_decoded_fail(tmp_path: Path) -> None:
    write_corpus(tmp_path / "in", shards=1, rows=100)
    file = tmp_path / "in" / "000.parquet"
    pq.write_table(pq.read_table(file), file, row_group_size=20, compression="snappy", use_dictionary=False)
    group = pq.read_metadata(file).row_group(2).column(0)
    content = bytearray(file.read_bytes())
    content[group.data_page_offset + 8 : group.data_page_offset + group.total_compressed_size] = os.urandom(
        group.total_compressed_size - 8
    )
    file.write_bytes(content)

    annotate(replay(tmp_path))

    rows = rows_of(tmp_path / "run")
    assert [row["doc_id"] for row in rows] == [f"000:{number}" for number in range(100)]
    assert {row["row_id"] for row in rows if row["status"] == "failed"} == set(range(40, 60))
    assert status_codes(tmp_path) == {"corrupt_shard"}


def test_a_shard_without_the_columns_is_refused_by_name_before_anything_runs(tmp_path: Path) -> None:
    write_corpus(tmp_path / "in", shards=2, rows=5)
    pq.write_table(pa.table({"body": ["x"]}), tmp_path / "in" / "001.parquet")

    with pytest.raises(InputError, match=r"001\.parquet has no column 'text'"):
        annotate(replay(tmp_path))

    assert not (tmp_path / "run").exists()


def test_a_full_disk_stops_the_run_which_resumes_when_there_is_room(tmp_path: Path) -> None:
    write_corpus(tmp_path / "in", shards=2, rows=4000)
    (tmp_path / "run").mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(tmp_path / "run")], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("a small disk cannot be mounted here")
    try:
        with pytest.raises((StoppedError, OSError), match=r"(?i)no space left"):
            annotate(replay(tmp_path))
        subprocess.run(["mount", "-o", "remount,size=64m", str(tmp_path / "run")], check=True)
        annotate(replay(tmp_path))

        assert len(rows_of(tmp_path / "run")) == 8000
        assert verify(str(tmp_path / "run")) == (8000, [])
    finally:
        time.sleep(0.5)
        subprocess.run(["umount", "-l", str(tmp_path / "run")], check=False)


def test_a_changed_shard_follows_the_policy(tmp_path: Path) -> None:
    write_corpus(tmp_path / "in", shards=2, rows=10)
    annotate(replay(tmp_path))
    write_shard(tmp_path / "in" / "001.parquet", 1, 14)
    with pytest.raises(InputError, match=r"001\.parquet has changed"):
        annotate(replay(tmp_path))

    path = {"path": str(tmp_path / "in"), "on_change": "reprocess"}
    annotate(replay(tmp_path, input=path))

    assert len(rows_of(tmp_path / "run")) == 24
    assert verify(str(tmp_path / "run")) == (24, [])


def test_a_file_that_goes_while_the_run_is_at_work_costs_the_others_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_corpus(tmp_path / "in", shards=3, rows=20)
    config = replay(tmp_path, output={"path": str(tmp_path / "run"), "rows_per_wave": 40})
    gone = tmp_path / "in" / "001.parquet"

    def run_waves(*arguments: object) -> Iterator[tuple[int, int]]:
        gone.unlink(missing_ok=True)
        return graph.run_waves(*arguments)

    monkeypatch.setattr(driver, "run_waves", run_waves)
    with pytest.raises(StoppedError, match=r"001\.parquet is gone since it was planned"):
        annotate(config)
    assert {row["doc_id"][:3] for row in rows_of(tmp_path / "run")} == {"002"}

    summary = annotate(config)

    assert {row["doc_id"][:3] for row in rows_of(tmp_path / "run")} == {"000", "002"}
    assert (summary.exit_status, summary.missing) == (EXIT_TOO_MANY_ERRORS, {str(gone): 20})
    assert status(str(tmp_path / "run")).missing == {str(gone): 20}
    assert forget.run(forget.Config(run=str(tmp_path / "run"))).forgotten == {str(gone): 20}
    assert annotate(config).exit_status == EXIT_DONE
