"""Nights in a world that changes: files come, change, move and go, drivers die, and the run still says the truth.

A state machine against a plain model of what must be true. It holds files, the types of their columns, servers and
configurations. The drivers, the listing, the plans, the commits, the reading of rows and the stages are the real ones.
Only the cluster is left out: waves run in this process, on simulated engines.
"""

from __future__ import annotations

import datetime as dt
import functools
import os
import shutil
import tempfile
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, replace
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
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from ner_ray import schema
from ner_ray.annotator.rows import columns_of
from ner_ray.annotator.spec import Spec
from ner_ray.config import AnnotateConfig
from ner_ray.errors import (
    EXIT_DONE,
    EXIT_TOO_MANY_ERRORS,
    ChangedInputError,
    ConfigError,
    InputError,
    RunError,
    StoppedError,
)
from ner_ray.pipeline import annotate as driver
from ner_ray.pipeline import commits, preflight
from ner_ray.pipeline.progress import Counts
from ner_ray.pipeline.stages import ChunkStage, ReadStage, rows_of
from ner_ray.pipeline.suspects import Suspects
from ner_ray.pipeline.write import ROWS, WAVE, WriteStage
from ner_ray.store import file_checks, history, listing, manifests, run_schema, shards, snapshot, wave_files
from ner_ray.store import run as run_module
from ner_ray.store.comparison import Concern, completed
from ner_ray.store.documents import read_rows
from ner_ray.store.health import status, verify
from ner_ray.store.planning import next_waves
from ner_ray.store.run import RunDirectory
from ner_ray.store.shards import list_shards
from ner_ray.store.waves import NumberedShard, Wave, WaveNumbers, missing_shards
from tests.pipeline.simulated import EXPECTED, Behaviour, columns_of_answer, drive, simulated_engines

NAMES = ("a.parquet", "b.parquet", "sub/a.parquet", "sub/c d%20.parquet", "date=1/z.parquet")
CHANGES = (
    "is_written", "is_written", "is_uploaded_again", "is_uploaded_again", "is_deleted", "comes_back", "is_renamed",
    "changes_places", "is_cut_short",
)  # fmt: skip
SPELLINGS: tuple[Callable[[Path], str | list[str]], ...] = (
    str,
    lambda corpus: f"{corpus}/../in/",
    lambda corpus: corpus.with_name("link").as_posix(),
    lambda corpus: [f"{corpus}/**/*.parquet", corpus.as_uri()],
)
OWN = "chunks"  # a column of the user's that is named like one of ner_ray's

# The types of a column that is kept, those of one kind go together; and what a document has there.
DAY = dt.date(2024, 1, 1)
LAYOUTS = [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())]
MARKS: dict[str, tuple[list[pa.DataType], Callable[[int], Any]]] = {
    "text": (LAYOUTS, lambda number: f"mark of {number}"),
    "number": ([pa.int32(), pa.int64(), pa.int16()], lambda number: number),
    "day": ([pa.date32()], lambda number: DAY + dt.timedelta(number)),
    "none": ([pa.null()], lambda number: None),
}
# The types of the column with the ids; the value of a document, and how its id is spelled.
IDS: list[tuple[pa.DataType, Callable[[int], Any], Callable[[int], str]]] = [
    *((kind, lambda number: f"d{number}", lambda number: f"d{number}") for kind in LAYOUTS),
    (pa.int64(), lambda number: number, str),
    (pa.uuid(), lambda number: uuid.UUID(int=number).bytes, lambda number: str(uuid.UUID(int=number))),
    (pa.binary(), lambda number: b"\xff%d" % number, lambda number: (b"\xff%d" % number).hex()),
]

Rows = tuple[int, ...]  # the numbers of a file's documents; no two files have a document in common


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
    """Runs waves in this process."""

    def __init__(self) -> None:
        self.engines = Behaviour()
        self.totals: dict[str, int] = {}
        self.left_open: dict[int, str] = {}
        self.rows_left: int | None = None
        self.vanishes: Path | None = None  # a file that goes after the first row was written

    def run_waves(
        self, spec: Spec, run: RunDirectory, waves: list[Wave], kept: pa.Schema, _: Any, suspects: Suspects
    ) -> Iterator[tuple[int, int]]:
        write = WriteStage(run, WaveNumbers(waves), group_rows=5)
        for numbered in (numbered for wave in waves for numbered in wave.shards):
            try:
                rows = self._read(spec, numbered, kept)
            except ChangedInputError as error:
                self.left_open[numbered.ordinal] = str(error)
                continue
            waiting = list(rows)
            written, stopped = drive(
                self.engines,
                [waiting[at : at + 3] for at in range(0, len(waiting), 3)],
                spec,
                suspects,
                lambda row_id, rows=rows: rows_of(rows[row_id])[0] | {schema.ROW_ID: row_id},
                lambda spec, given, answer, rows=rows: self._write(spec, rows[given[schema.ROW_ID]], answer, write),
            )
            yield from written.values()
            if stopped:
                raise StoppedError(stopped)

    def _read(self, spec: Spec, numbered: NumberedShard, kept: pa.Schema) -> dict[int, pa.Table]:
        tables = (
            ChunkStage(spec, self._counts())(table)
            for table in read_rows(numbered, 0, numbered.shard.rows, columns_of(spec), kept)
        )
        return {
            row_id: table.slice(at, 1) for table in tables for at, row_id in enumerate(table[schema.ROW_ID].to_pylist())
        }

    def _write(self, spec: Spec, row: pa.Table, answer: Any, write: WriteStage) -> tuple[int, int]:
        if self.vanishes:
            self.vanishes.unlink()
            self.vanishes = None
        if self.rows_left is not None:
            self.rows_left -= 1
            if self.rows_left < 0:
                raise Killed
        kinds = {schema.EXCHANGES: schema.EXCHANGE, schema.FINDINGS: schema.CHUNK_FINDINGS, schema.ERRORS: schema.ERROR}
        for name, value in columns_of_answer(answer).items():
            row = schema.with_column(row, name, pa.list_(kinds[name]), [value])
        stage = ReadStage(spec, spec.pools[-1].steps[-1:], self._counts(), spec.config.input.keep)
        written = write(stage(row))
        return written[WAVE][0].as_py(), written[ROWS][0].as_py()

    def _counts(self) -> Counts:
        return Counts(SimpleNamespace(add=SimpleNamespace(remote=self._count)))

    def _count(self, counts: dict[str, int]) -> None:
        for name, value in counts.items():
            self.totals[name] = self.totals.get(name, 0) + value

    @contextmanager
    def driving(self) -> Iterator[None]:
        self.totals, self.left_open = {}, {}
        lease = nullcontext(SimpleNamespace(check=lambda: None))
        with (
            simulated_engines(),
            mock.patch.object(preflight.pools, "check"),
            mock.patch.multiple(
                driver,
                run_waves=self.run_waves,
                ThreadPoolExecutor=AtOnce,
                connect=lambda: None,
                check_resources=lambda *_: None,
                start_scoreboard=lambda *_: None,
                start_suspects=Suspects,
                Progress=lambda *_: nullcontext(),
                Lease=lambda *_: lease,
                _settled=lambda _: dict(self.totals),
                _totals=lambda _: dict(self.totals),
                _left_open=lambda _: self.left_open,
            ),
            mock.patch.object(commits, "ThreadPoolExecutor", AtOnce),
        ):
            yield


@dataclass(frozen=True)
class Kinds:
    """The types of a file's columns."""

    mark: str
    mark_type: pa.DataType
    id_kind: int
    text_type: pa.DataType

    def table(self, rows: Rows) -> pa.Table:
        id_type, id_of, _ = IDS[self.id_kind]
        return pa.table(
            {
                "id": pa.array(list(map(id_of, rows)), id_type),
                "text": pa.array([f"Ada wrote document {row}." for row in rows], self.text_type),
                "mark": pa.array(list(map(MARKS[self.mark][1], rows)), self.mark_type),
                OWN: [f"own of {row}" for row in rows],
                "status": ["draft"] * len(rows),
            }
        )


@dataclass(frozen=True)
class Night:
    """What is asked for, and what happens meanwhile.

    Attributes:
        on_change: the setting.
        dies_after: steps of writing, after which the driver dies.
        rows: the number of rows that are written before the driver dies.
        vanishes: the file that goes while it is read.
        outage: how many requests are answered before none is any more, and how they are not.
        spelling: of the path.
        mistake: what is wrong with the configuration.
    """

    on_change: str
    dies_after: int | None
    rows: int | None
    vanishes: str | None
    outage: tuple[int, str] | None
    spelling: int
    mistake: str


def nights() -> st.SearchStrategy[Night]:
    outage = st.tuples(st.integers(0, 9), st.sampled_from(["dies", "vanishes", "silent", "unavailable", "bug", "errs"]))
    seldom = [st.none()] * 4
    return st.builds(
        Night,
        on_change=st.sampled_from(["reprocess", "reprocess", "error"]),
        dies_after=st.none() | st.integers(0, 25),
        rows=st.one_of(*seldom, st.integers(0, 6)),
        vanishes=st.one_of(*seldom, st.sampled_from(NAMES)),
        outage=st.one_of(*seldom, outage),
        spelling=st.integers(0, len(SPELLINGS) - 1),
        mistake=st.sampled_from([""] * 10 + ["keeps status", "other labels"]),
    )


class World(RuleBasedStateMachine):
    """What is in the input folder, which contents the run has committed, and under which names it knew them."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.corpus = self.folder / "in"
        self.corpus.mkdir()
        (self.folder / "link").symlink_to(self.corpus)
        (self.corpus / "latest").symlink_to("sub")
        self.cluster = Cluster()
        self.numbers = count(1)
        self.files: dict[str, Rows | None] = {}  # None: no Parquet file
        self.kinds: dict[Rows, Kinds] = {}
        self.named: dict[str, int] = {}  # the document of each id
        self.committed: set[Rows] = set()  # contents of which the output has the documents
        self.names: dict[Rows, set[str]] = {}  # under which a committed content may be known
        self.listed: dict[str, set[Rows]] = {}  # what nights have found under each name
        self.overwritten: set[Rows] = set()  # whose name another content has now: kept or not, as the case may be
        self.blamed: set[int] = set()  # documents that have ever been at fault
        self.read: tuple[object, list[dict[str, Any]]] = (None, [])
        self.sound: object = None  # the state in which the run was last found sound
        self.deleted: tuple[str, Rows | None] = ("", None)  # last
        self.usual = "text"
        self.patches = ExitStack()
        for module in (file_checks, history, listing, manifests, run_module, run_schema, shards, wave_files):
            self.patches.enter_context(mock.patch.object(module, "ThreadPoolExecutor", AtOnce))
        for module in (history, run_module):  # as soon as a wave is not in the last snapshot
            self.patches.enter_context(mock.patch.object(module, "BETWEEN_SNAPSHOTS", 1))
        self.patches.enter_context(mock.patch.object(history, "_TICK_NS", 0))

    def teardown(self) -> None:
        self.patches.close()
        shutil.rmtree(self.folder)

    @initialize(usual=st.sampled_from(["text", "text", "number"]))
    def files_usually_have(self, usual: str) -> None:
        self.usual = usual

    # ------------------------------------------------------------------ the world

    def is_written(self, name: str, number: int) -> None:
        rows = tuple(next(self.numbers) for _ in range(1 + number % 4))
        mark = {17: "none", 18: "none", 19: "day"}.get(number, self.usual)
        types = MARKS[mark][0]
        kinds = Kinds(mark, types[number % len(types)], number % len(IDS), LAYOUTS[number % len(LAYOUTS)])
        path = self.corpus / name
        path.parent.mkdir(exist_ok=True)
        pq.write_table(kinds.table(rows), path)
        self.kinds[rows] = kinds
        self.named |= {IDS[kinds.id_kind][2](row): row for row in rows}
        self.files[name] = rows

    def is_uploaded_again(self, name: str, _: int) -> None:
        path = self.corpus / name
        path.write_bytes(path.read_bytes())
        os.utime(path, ns=(next(self.numbers), next(self.numbers)))

    def is_deleted(self, name: str, _: int) -> None:
        (self.corpus / name).rename(self.folder / "bin")
        self.deleted = (name, self.files.pop(name))

    def comes_back(self, _: str, __: int) -> None:
        name, rows = self.deleted
        if name not in self.files and (self.folder / "bin").exists():
            (self.folder / "bin").rename(self.corpus / name)
            self.files[name] = rows

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
        night=nights(),
        manner=st.none() | st.sampled_from(sorted(EXPECTED)),
    )
    def a_day(self, changes: list[tuple[str, str, int]], drive: str, night: Night, manner: str | None) -> None:
        for change, name, number in changes:
            if name in self.files or change in ("is_written", "comes_back"):
                getattr(self, change)(name, number)
        everything = {row for content in self.files.values() if content for row in content}
        manners = {row: manner for row in everything if manner and row % 3 == 0}
        self.blamed |= manners.keys()
        self.cluster.engines = Behaviour(manners)
        if drive == "missing_files_are_given_up":
            self.missing_files_are_given_up()
        elif drive == "failed_documents_are_retried":
            self.failed_documents_are_retried(night.dies_after)
        elif self._readable():
            if night.outage:
                after, how = night.outage
                self.cluster.engines.outages = dict.fromkeys(range(after + 1, 999), how)
            self.cluster.vanishes = self.corpus / night.vanishes if self.files.get(night.vanishes) else None
            self.a_night(night)

    # ------------------------------------------------------------------ drivers

    def _config(self, night: Night) -> AnnotateConfig:
        keep = ["mark", OWN, *(["status"] if night.mistake == "keeps status" else [])]
        path = SPELLINGS[night.spelling](self.corpus)
        return AnnotateConfig.model_validate(
            {
                "input": {"path": path, "id": "id", "keep": keep, "on_change": night.on_change},
                "labels": ["ship" if night.mistake == "other labels" and self.run.record() else "person"],
                "family": "instruct",
                "engine": {"name": "openai", "url": "http://127.0.0.1:9/v1", "model": "m", "max_num_seqs": 4},
                "max_error_rate": 0,
                "output": {"path": str(self.run.uri), "rows_per_wave": 5, "min_rows_per_file": 3},
            }
        )

    def _drive(self, work: Callable[[], Any], dies_after: int | None, rows: int | None) -> Any:
        self.cluster.rows_left = rows
        checked = decisions_checked(str(self.corpus), str(self.run.uri))
        with self.cluster.driving(), checked, death_after(dies_after):
            return work()

    @property
    def run(self) -> RunDirectory:
        return RunDirectory(str(self.corpus / "run"))

    def _readable(self) -> dict[str, Rows]:
        return {name: rows for name, rows in self.files.items() if rows}

    def a_night(self, night: Night) -> None:
        open_shards = [numbered for wave in self.run.open_waves() for numbered in wave.shards]
        config, before, vanishes = self._config(night), self._contents(), self.cluster.vanishes
        disagree, is_new = self._types_disagree(), not self.run.record()
        try:
            summary = self._drive(lambda: driver.annotate(config), night.dies_after, night.rows)
        except (Killed, StoppedError) as error:
            note(f"night: {type(error).__name__}")
            vanished = vanishes and not self.cluster.vanishes
            asked = self.cluster.engines.asked
            assert isinstance(error, Killed) or vanished or (night.outage and asked > night.outage[0]), error  # noqa: PT017
            self._look_after_death()
        except (InputError, ConfigError, RunError) as error:
            note(f"night: refused, {type(error).__name__}")
            assert self._contents() == before
            if not night.mistake:
                changed = night.on_change == "error" and self._has_changed()
                assert isinstance(error, InputError), error  # noqa: PT017
                assert disagree or changed, error  # noqa: PT017
        else:
            note(f"night: done, missing={bool(summary.missing)}, new={bool(summary.waves)}")
            assert not disagree, "columns of types that do not go together"
            assert night.mistake != "keeps status"
            assert night.mistake != "other labels" or is_new
            nothing_new = not open_shards and {*self._readable().values()} <= before
            assert not (nothing_new and summary.waves), "something was annotated again"
            assert night.on_change == "reprocess" or open_shards or not self._is_replaced(before)
            retrying = any(numbered.chosen for numbered in open_shards)
            waited_for = {numbered.shard.uri for numbered in open_shards if numbered.chosen is None}
            self._look_after_night(waited_for, summary, retrying)
        self._remember_listing()
        if vanishes and not self.cluster.vanishes:  # after it had been listed
            del self.files[vanishes.relative_to(self.corpus).as_posix()]
        self.cluster.vanishes = None

    def _types_disagree(self) -> bool:
        """Whether no type of the kept column holds the values of all files, those of the run included."""
        contents = {*self._readable().values(), *self._contents()}
        return len({self.kinds[rows].mark for rows in contents} - {"none"}) > 1

    def _has_changed(self) -> bool:
        """Whether a name has another content than in an earlier night, so that a night may be refused."""
        return any(self.listed.get(name, set()) - {rows} for name, rows in self._readable().items())

    def _is_replaced(self, before: set[Rows]) -> bool:
        """Whether a file of which the run has the documents surely has others now."""
        present = {*self._readable().values()}
        former = {name: rows for rows in before - present for name in self.names.get(rows, ())}
        is_certain = [name for name, rows in former.items() if self.names[rows] == {name}]
        return any(name in self._readable() and self.files[name] not in before for name in is_certain)

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
        disagree, present = self._types_disagree(), {row for rows in self._readable().values() for row in rows}
        try:
            self._drive(lambda: driver.retry(str(self.run.uri), []), dies_after, None)
        except (Killed, RunError, InputError) as error:
            note(f"retry: {type(error).__name__}")
            assert self._contents() == before
            if dies_after is None and not disagree:
                assert not any(result == "failed" and row in present for row, result in results.items())
            return
        note("retry: done")
        assert self._contents() == before
        for row, result in self._statuses().items():
            again = results[row] == "failed" and row in present
            assert result == (("failed" if row in self.cluster.engines.manners else "ok") if again else results[row])

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

    def _state(self) -> object:
        files = (path for path in Path(self.run.path).rglob("*") if path.is_file())
        return {(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in files}

    def _output(self) -> list[dict[str, Any]]:
        if (state := self._state()) != self.read[0]:
            columns = ["row_id", "doc_id", "mark", OWN, "status", "errors", "entities"]
            rows = self.run.dataset().to_table(columns).to_pylist() if self.run.files() else []
            self.read = (state, [row | {"number": self.named[row["doc_id"]]} for row in rows])
        return self.read[1]

    def _contents(self) -> set[Rows]:
        """The contents of which the output has all documents, once; none is there in part."""
        by_shard: dict[int, set[int]] = {}
        for row in self._output():
            by_shard.setdefault(row["row_id"] >> 40, set()).add(row["number"])
        return {tuple(sorted(group)) for group in by_shard.values()}

    def _statuses(self) -> dict[int, str]:
        return {row["number"]: row["status"] for row in self._output()}

    @invariant()
    def the_snapshot_says_what_the_documents_say(self) -> None:
        columns = [name for name in snapshot.SCHEMA.names if name not in ("wave", *snapshot.STAMPS)]
        with mock.patch.object(history, "read_snapshot", return_value=None):
            documents = self.run.history().table(*columns)
        assert self.run.history().table(*columns).to_pylist() == documents.to_pylist()

    @invariant()
    def the_run_is_sound(self) -> None:
        if not self.run.files() or self.sound == self._state():
            return
        rows, findings = verify(self.run.uri)
        assert not findings
        progress = status(self.run.uri)
        assert progress.tally.documents == rows == len(self._output())
        assert progress.tally.statuses == Counter(self._statuses().values())
        assert 0 <= progress.done <= progress.rows
        self._look_at_documents()
        self.sound = self._state()

    def _look_at_documents(self) -> None:
        numbers = Counter(row["number"] for row in self._output())
        assert max(numbers.values()) == 1, "a document is there twice"
        assert self._contents() <= self.kinds.keys(), "a file is there in part"
        kind_of = {number: kinds for rows, kinds in self.kinds.items() for number in rows}
        for row in self._output():
            number = row["number"]
            assert (row["mark"], row[OWN]) == (MARKS[kind_of[number].mark][1](number), f"own of {number}")
            assert row["status"] == "ok" or number in self.blamed, "an innocent document is convicted"
            codes = {error["code"] for error in row["errors"]}
            assert (row["status"] == "ok") == (not codes) == ([entity["text"] for entity in row["entities"]] == ["Ada"])
            assert codes <= {*EXPECTED.values()}


World.TestCase.settings = settings(
    max_examples=20, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
)
TestWorld = World.TestCase


def test_many_documents_that_kill_engines_are_retried_without_stopping_the_run() -> None:
    world, rows = World(), tuple(range(1, 76))
    kinds = Kinds("text", pa.string(), 0, pa.string())
    pq.write_table(kinds.table(rows), world.corpus / "a.parquet")
    world.files["a.parquet"], world.kinds[rows], world.named = rows, kinds, {f"d{row}": row for row in rows}
    killers = {row for row in rows if row % 3 == 0}
    world.cluster.engines, world.blamed = Behaviour(dict.fromkeys(killers, "dies")), killers
    try:
        world.a_night(Night("error", None, None, None, None, 0, ""))
        world.failed_documents_are_retried(None)
        world.the_run_is_sound()
        assert {row for row, result in world._statuses().items() if result == "failed"} == killers
        world.cluster.engines = Behaviour()
        world.failed_documents_are_retried(None)
        assert set(world._statuses().values()) == {"ok"}
    finally:
        world.teardown()
