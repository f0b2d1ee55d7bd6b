"""Nights in a world that changes: files come, change, move and go, drivers die, and the run still says the truth.

A state machine against a plain model of what must be true. The drivers, the listing, the plans, the commits and the
reading of rows are the real ones; only the cluster is left out: waves run in this process, on recorded answers.
"""

from __future__ import annotations

import functools
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, currently_in_test_context, event, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from ner_ray import schema
from ner_ray.annotator.rows import columns_of
from ner_ray.config import AnnotateConfig
from ner_ray.errors import (
    EXIT_DONE,
    EXIT_TOO_MANY_ERRORS,
    ChangedInputError,
    InputError,
    RunError,
    StoppedError,
)
from ner_ray.pipeline import annotate as driver
from ner_ray.pipeline import commits
from ner_ray.pipeline.progress import Counts
from ner_ray.pipeline.stages import ReadStage
from ner_ray.pipeline.write import ROWS, WAVE, WriteStage
from ner_ray.store import history, snapshot, wave_files
from ner_ray.store import run as run_module
from ner_ray.store.comparison import Concern, completed
from ner_ray.store.documents import read_rows
from ner_ray.store.health import status, verify
from ner_ray.store.planning import next_waves
from ner_ray.store.run import RunDirectory
from ner_ray.store.shards import list_shards
from ner_ray.store.waves import Wave, WaveNumbers, missing_shards

NAMES = ("a.parquet", "b.parquet", "sub/a.parquet", "sub/c d%20.parquet", "date=1/z.parquet")
GOOD, BAD = "Ada(B-person) ran(O)", "no answer at all"

CHANGES = ("is_written", "is_uploaded_again", "is_deleted", "is_renamed", "changes_places", "is_cut_short")

Rows = tuple[str, ...]  # the ids of a file's documents; no two files have a document in common


class Killed(BaseException):
    """The driver's process has died."""


@contextmanager
def death_after(steps: int | None) -> Iterator[None]:
    """Kills the driver at its n-th step of writing; never if there is no number."""
    left = count(steps or 0, -1)

    def stepping(work: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(work)
        def step(*arguments: Any, **options: Any) -> Any:
            if steps is not None and next(left) <= 0:
                raise Killed
            return work(*arguments, **options)

        return step

    with (
        mock.patch.multiple(
            run_module,
            **{name: stepping(getattr(run_module, name)) for name in ("put_json", "tidy", "compact", "without")},
        ),
        mock.patch.multiple(
            wave_files, **{name: stepping(getattr(wave_files, name)) for name in ("write_rows", "read_ids", "_copy")}
        ),
        mock.patch.object(snapshot, "put_atomically", stepping(snapshot.put_atomically)),
    ):
        yield


class AtOnce:
    """An executor without threads, so that each world takes the same course each time."""

    def __init__(self, *_: Any) -> None:
        self.shutdown = lambda **_: None

    def __enter__(self) -> AtOnce:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def map(self, work: Callable[..., Any], items: Any) -> Iterator[Any]:
        return map(work, items)

    def submit(self, work: Callable[..., Any], *arguments: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(work(*arguments))
        return future


@contextmanager
def decisions_checked(paths: str, left_out: str) -> Iterator[None]:
    """Decides everything once more with all shards of all waves at hand, and compares."""

    def decide(found: Concern, committed: set[int], *options: Any) -> tuple[list[Wave], list[Wave]]:
        waves = RunDirectory(left_out).waves()
        known = [numbered.shard for wave in waves for numbered in (*wave.shards, *wave.missing)]
        everything = replace(found, shards=list_shards(paths, known, [left_out]), waves=waves)
        try:
            settled, new = next_waves(everything, committed, *options)
        except InputError:
            with pytest.raises(InputError):
                next_waves(found, committed, *options)
            raise
        before, part = {wave.number: wave for wave in waves}, {wave.number: wave for wave in found.waves}
        settled_part, new_part = next_waves(found, committed, *options)
        changed = [wave for wave in settled if wave != before[wave.number]]
        assert new_part == new
        assert changed == [
            completed(wave, before[wave.number]) if wave.number in committed else wave
            for wave in settled_part
            if wave != part[wave.number]
        ]
        return settled_part, new_part

    with mock.patch.object(run_module, "next_waves", decide):
        yield


def note(what: str) -> None:
    if currently_in_test_context():
        event(what)


class Cluster:
    """Runs waves in this process; the answers to some documents cannot be parsed."""

    def __init__(self) -> None:
        self.bad: set[str] = set()
        self.totals: dict[str, int] = {}
        self.rows_left: int | None = None
        self.left_open: dict[int, str] = {}
        self.vanishes: Path | None = None  # a file that goes after the first row was written

    def run_waves(
        self, spec: Any, run: RunDirectory, waves: list[Wave], kept: pa.Schema, *_: Any
    ) -> Iterator[tuple[int, int]]:
        counts = Counts(SimpleNamespace(add=SimpleNamespace(remote=self._count)))
        stage = ReadStage(spec, spec.steps, counts, spec.config.input.keep)
        write = WriteStage(run, WaveNumbers(waves), group_rows=5)
        for numbered in (numbered for wave in waves for numbered in wave.shards):
            try:
                for table in read_rows(numbered, 0, numbered.shard.rows, columns_of(spec), kept):
                    for at in range(len(table)):
                        self._go_on()
                        written = write(stage(self._answered(table.slice(at, 1))))
                        yield written[WAVE][0].as_py(), written[ROWS][0].as_py()
            except ChangedInputError as error:
                self.left_open[numbered.ordinal] = str(error)

    def _go_on(self) -> None:
        if self.vanishes:
            self.vanishes.unlink()
            self.vanishes = None
        if self.rows_left is not None:
            self.rows_left -= 1
            if self.rows_left < 0:
                raise Killed

    def _answered(self, row: pa.Table) -> pa.Table:
        answer = BAD if row[schema.DOC_ID][0].as_py() in self.bad else GOOD
        exchanges = pa.array([[exchange(answer)]], pa.list_(schema.EXCHANGE))
        return row.set_column(row.column_names.index(schema.EXCHANGES), schema.EXCHANGES, exchanges)

    def _count(self, counts: dict[str, int]) -> None:
        for name, value in counts.items():
            self.totals[name] = self.totals.get(name, 0) + value

    @contextmanager
    def driving(self) -> Iterator[None]:
        self.totals, self.left_open = {}, {}
        lease = nullcontext(SimpleNamespace(check=lambda: None))
        with (
            mock.patch.multiple(
                driver,
                run_waves=self.run_waves,
                ThreadPoolExecutor=AtOnce,
                connect=lambda: None,
                check_resources=lambda *_: None,
                start_scoreboard=lambda: None,
                Progress=lambda *_: nullcontext(),
                Lease=lambda *_: lease,
                _settled=lambda _: dict(self.totals),
                _totals=lambda _: dict(self.totals),
                _left_open=lambda _: self.left_open,
            ),
            mock.patch.object(commits, "ThreadPoolExecutor", AtOnce),
        ):
            yield


@pytest.fixture(autouse=True)
def snapshots_are_always_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """As soon as a wave is not in the last one."""
    monkeypatch.setattr(history, "BETWEEN_SNAPSHOTS", 1)
    monkeypatch.setattr(run_module, "BETWEEN_SNAPSHOTS", 1)
    monkeypatch.setattr(history, "_TICK_NS", 0)


def exchange(answer: str) -> dict[str, Any]:
    completion = {"text": answer, "finish_reason": "stop", "token_ends": [], "logprobs": [], "output_tokens": 9}
    completion |= {"prompt_tokens": 5, "cached_tokens": 0}
    return {"chunk": 0, "role": "tagger", "subject": "", "prompt": None, "completions": [completion]}


def table_of(rows: Rows) -> pa.Table:
    chunk = {"start": 0, "end": 7, "core_start": 0, "core_end": 7}
    return pa.table(
        {
            "id": list(rows),
            "text": ["Ada ran"] * len(rows),
            "mark": [f"mark of {row}" for row in rows],
            "chunks": pa.array([[chunk]] * len(rows), pa.list_(schema.CHUNK)),
            "exchanges": pa.array([[exchange(GOOD)]] * len(rows), pa.list_(schema.EXCHANGE)),
        }
    )


class World(RuleBasedStateMachine):
    """What is in the input folder, which contents the run has committed, and under which names it knew them."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.corpus = self.folder / "in"
        self.corpus.mkdir()
        self.cluster = Cluster()
        self.numbers = count()
        self.files: dict[str, Rows | None] = {}  # None: no Parquet file
        self.committed: set[Rows] = set()  # contents of which the output has the documents
        self.names: dict[Rows, set[str]] = {}  # under which a committed content may be known
        self.listed: dict[str, set[Rows]] = {}  # what nights have found under each name
        self.overwritten: set[Rows] = set()  # whose name another content has now: kept or not, as the case may be

    def teardown(self) -> None:
        shutil.rmtree(self.folder)

    # ------------------------------------------------------------------ the world

    def _write(self, name: str, rows: int) -> None:
        ids = tuple(f"d{next(self.numbers)}" for _ in range(rows))
        path = self.corpus / name
        path.parent.mkdir(exist_ok=True)
        pq.write_table(table_of(ids), path)
        self.files[name] = ids

    def is_written(self, name: str, number: int) -> None:
        self._write(name, 1 + number % 4)

    def is_uploaded_again(self, name: str, _: int) -> None:
        path = self.corpus / name
        path.write_bytes(path.read_bytes())
        os.utime(path, ns=(next(self.numbers), next(self.numbers)))

    def is_deleted(self, name: str, _: int) -> None:
        (self.corpus / name).unlink()
        del self.files[name]

    def is_renamed(self, name: str, number: int) -> None:
        to = NAMES[number % len(NAMES)]
        if to != name and "=" not in name + to:
            (self.corpus / to).parent.mkdir(exist_ok=True)
            (self.corpus / name).rename(self.corpus / to)
            self.files[to] = self.files.pop(name)

    def changes_places(self, name: str, number: int) -> None:
        other = NAMES[number % len(NAMES)]
        if other in self.files and other != name and "=" not in name + other:
            here, there = self.corpus / name, self.corpus / other
            content = here.read_bytes()
            there.rename(here)
            there.write_bytes(content)
            self.files[name], self.files[other] = self.files[other], self.files[name]

    def is_cut_short(self, name: str, _: int) -> None:
        (self.corpus / name).write_bytes((self.corpus / name).read_bytes()[:-9])
        self.files[name] = None

    @rule(
        changes=st.lists(st.tuples(st.sampled_from(CHANGES), st.sampled_from(NAMES), st.integers(0, 19)), max_size=4),
        drive=st.sampled_from(["a_night"] * 5 + ["failed_documents_are_retried", "missing_files_are_given_up"]),
        on_change=st.sampled_from(["reprocess", "reprocess", "error"]),
        dies_after=st.none() | st.integers(0, 25),
        rows=st.none() | st.none() | st.integers(0, 6),
        bad=st.booleans(),
        vanishes=st.none() | st.none() | st.sampled_from(NAMES),
    )
    def a_day(
        self,
        changes: list[tuple[str, str, int]],
        drive: str,
        on_change: str,
        dies_after: int | None,
        rows: int | None,
        bad: bool,
        vanishes: str | None,
    ) -> None:
        for change, name, number in changes:
            if name in self.files or change == "is_written":
                getattr(self, change)(name, number)
        everything = {row for content in self.files.values() if content for row in content}
        self.cluster.bad = {row for row in everything if bad and int(row[1:]) % 3 == 0}
        if drive == "missing_files_are_given_up":
            self.missing_files_are_given_up()
        elif drive == "failed_documents_are_retried":
            self.failed_documents_are_retried(dies_after)
        elif self._readable():
            self.cluster.vanishes = self.corpus / vanishes if self.files.get(vanishes) else None
            self.a_night(on_change, dies_after, rows)

    # ------------------------------------------------------------------ drivers

    def _config(self, on_change: str) -> AnnotateConfig:
        return AnnotateConfig.model_validate(
            {
                "input": {"path": str(self.corpus), "id": "id", "keep": ["mark"], "on_change": on_change},
                "labels": ["person"],
                "family": "gner",
                "max_error_rate": 0,
                "replay": True,
                "output": {"path": str(self.folder / "run"), "rows_per_wave": 5, "min_rows_per_file": 3},
            }
        )

    def _drive(self, work: Callable[[], Any], dies_after: int | None, rows: int | None) -> Any:
        self.cluster.rows_left = rows
        checked = decisions_checked(str(self.corpus), str(self.folder / "run"))
        with self.cluster.driving(), checked, death_after(dies_after):
            return work()

    @property
    def run(self) -> RunDirectory:
        return RunDirectory(str(self.folder / "run"))

    def _readable(self) -> dict[str, Rows]:
        return {name: rows for name, rows in self.files.items() if rows}

    def a_night(self, on_change: str, dies_after: int | None, last_row: int | None) -> None:
        open_shards = [numbered for wave in self.run.open_waves() for numbered in wave.shards]
        before, vanishes = self._contents(), self.cluster.vanishes
        try:
            summary = self._drive(lambda: driver.annotate(self._config(on_change)), dies_after, last_row)
        except (Killed, StoppedError) as error:
            note(f"night: {type(error).__name__}")
            assert isinstance(error, Killed) or (vanishes and not self.cluster.vanishes), error  # noqa: PT017
            self._look_after_death()
        except InputError as error:
            note("night: refused")
            assert (on_change, self._has_changed()) == ("error", True), error  # noqa: PT017
            assert self._contents() == before
        else:
            note(f"night: done, missing={bool(summary.missing)}, new={bool(summary.waves)}")
            retrying = any(numbered.chosen for numbered in open_shards)
            waited_for = {numbered.shard.uri for numbered in open_shards if numbered.chosen is None}
            self._look_after_night(waited_for, summary, retrying)
        self._remember_listing()
        if vanishes and not self.cluster.vanishes:  # after it had been listed
            del self.files[vanishes.relative_to(self.corpus).as_posix()]
        self.cluster.vanishes = None

    def _has_changed(self) -> bool:
        """Whether a name has another content than in an earlier night, so that a night may be refused."""
        return any(self.listed.get(name, set()) - {rows} for name, rows in self._readable().items())

    def _remember_listing(self) -> None:
        for name, rows in self._readable().items():
            self.listed.setdefault(name, set()).add(rows)

    def _look_after_death(self) -> None:
        for name, rows in self._readable().items():
            self.names.setdefault(rows, set()).add(name)
        self.overwritten |= self.committed - set(self._readable().values())
        self.committed = self._contents()

    def _look_after_night(self, waited_for: set[str], summary: Any, retrying: bool) -> None:
        now = self._contents()
        present = set(self._readable().values())
        assert present <= now, "a document of the input is not in the output"
        for rows in self.committed - present:
            replaced_by = {self.files.get(name) for name in self.names.get(rows, ())} - {None}
            if not replaced_by and rows not in self.overwritten:
                assert rows in now, "committed documents of a file that is gone are lost"
        for name, rows in self._readable().items():
            former = [old for old in self.committed - present if self.names.get(old) == {name}]
            if rows not in self.committed and rows not in self.names:
                assert not any(old in now and old not in self.overwritten for old in former), "both versions of a file"
        missing = {numbered.shard.uri for numbered in self.run.missing()}
        assert missing == set(summary.missing) or (retrying and missing < set(summary.missing))
        names = {str(self.corpus / name) for name in self.files}
        assert waited_for - {str(self.corpus / name) for name in self._readable()} <= missing | names | self._moved()
        troubled = summary.missing or None in self.files.values()
        failing = "failed" in self._statuses().values()
        assert troubled or failing or summary.exit_status == EXIT_DONE
        assert summary.exit_status == EXIT_TOO_MANY_ERRORS or not (troubled or failing)
        self.overwritten = {rows for rows in now - present if rows in self.overwritten or self._taken(rows)}
        self.names |= {rows: {name} for name, rows in self._readable().items()}
        self.committed = now

    def _moved(self) -> set[str]:
        return {str(self.corpus / name) for rows in self._readable().values() for name in self.names.get(rows, ())}

    def _taken(self, rows: Rows) -> bool:
        return any(name in self.files for name in self.names.get(rows, ()))

    def failed_documents_are_retried(self, dies_after: int | None) -> None:
        if not self.committed or not self._readable() or self.run.open_waves():
            return
        before, results = self._contents(), self._statuses()
        try:
            self._drive(lambda: driver.retry(str(self.folder / "run"), []), dies_after, None)
        except (Killed, RunError, InputError) as error:
            note(f"retry: {type(error).__name__}")
            assert self._contents() == before
            if dies_after is None:
                present = {row for rows in self._readable().values() for row in rows}
                assert not any(status == "failed" and row in present for row, status in results.items())
            return
        note("retry: done")
        assert self._contents() == before
        present = {row for rows in self._readable().values() for row in rows}
        for row, result in self._statuses().items():
            again = results[row] == "failed" and row in present
            assert result == (("failed" if row in self.cluster.bad else "ok") if again else results[row])

    def missing_files_are_given_up(self) -> None:
        missing = {numbered.shard.uri for numbered in missing_shards(self.run.waves())}
        if missing:
            note("forget")
            before = self._contents()
            forgotten = self.run.forget(missing)
            assert {numbered.shard.uri for numbered in forgotten} == missing
            assert not self.run.missing()
            assert self._contents() == before

    # ------------------------------------------------------------------ what is always true

    def _output(self) -> list[dict[str, Any]]:
        return self.run.dataset().to_table().to_pylist() if self.run.files() else []

    def _contents(self) -> set[Rows]:
        """The contents of which the output has all documents, once; none is there in part."""
        rows = self._output()
        ids = Counter(row["doc_id"] for row in rows)
        assert not ids or max(ids.values()) == 1, "a document is there twice"
        assert all(row["mark"] == f"mark of {row['doc_id']}" for row in rows)
        by_shard: dict[int, set[str]] = {}
        for row in rows:
            by_shard.setdefault(row["row_id"] >> 40, set()).add(row["doc_id"])
        return {tuple(sorted(group, key=lambda row: int(row[1:]))) for group in by_shard.values()}

    def _statuses(self) -> dict[str, str]:
        return {row["doc_id"]: row["status"] for row in self._output()}

    @invariant()
    def the_snapshot_says_what_the_documents_say(self) -> None:
        columns = [name for name in snapshot.SCHEMA.names if name not in ("wave", *snapshot.STAMPS)]
        with mock.patch.object(history, "read_snapshot", return_value=None):
            documents = self.run.history().table(*columns)
        assert self.run.history().table(*columns).to_pylist() == documents.to_pylist()

    @invariant()
    def the_run_is_sound(self) -> None:
        if not self.run.files():
            return
        rows, findings = verify(self.run.uri)
        assert not findings
        progress = status(self.run.uri)
        assert progress.tally.documents == rows == len(self._output())
        assert progress.tally.statuses == Counter(self._statuses().values())
        assert 0 <= progress.done <= progress.rows


World.TestCase.settings = settings(
    max_examples=20, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
)
TestWorld = World.TestCase
