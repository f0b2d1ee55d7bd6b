"""The engine stage: an actor that holds an engine, with the rows of several blocks in flight.

All rows of a block are processed concurrently, on an event loop of the stage's own; each row sends its prompts as soon
as they are known. While the last rows of one block are being answered, those of the next block are under way, so that
the engine always has more requests waiting than it can run. (Ray has an event loop for such stages too, but it stops
whenever results cannot be handed on at once.)

A document that gets no answer, or was inside when an engine died, is tried alone before it is convicted: see
`suspects`. No failure is believed until the engine has answered something since: if it answers nothing, the run stops,
and nothing of what has failed meanwhile is in the output.

Answers to all steps of the pool but the last are read here, once, because the next step's prompts depend on them. The
last step's answers are read by the following stage, on CPUs that no engine waits for.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
import weakref
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from itertools import starmap
from typing import Any, NoReturn

import pyarrow as pa

from ner_ray import schema
from ner_ray.annotator import pools
from ner_ray.annotator.asking import Asker
from ner_ray.annotator.document import Conversation
from ner_ray.annotator.pulse import together
from ner_ray.annotator.rows import exchange_rows, findings_of, inputs_of, labels_of
from ner_ray.annotator.spec import Role, Spec
from ner_ray.engines.base import Counting
from ner_ray.errors import (
    EngineBugError,
    EngineError,
    ErrorCode,
    StoppedError,
    UnansweredError,
    UnavailableError,
)
from ner_ray.pipeline.gate import Gate
from ner_ray.pipeline.journals import Journals
from ner_ray.pipeline.progress import Counts
from ner_ray.pipeline.stages import rows_of
from ner_ray.pipeline.suspects import Entry, Record, groups
from ner_ray.schema import ERRORS, EXCHANGES, FINDINGS, Row
from ner_ray.store.journal import Journal, question_of
from ner_ray.types import Completion, ErrorRecord, Findings, Prompt

_LOG = logging.getLogger(__name__)

_WATCH_SECONDS = 5.0
_DEAD_ENGINE = 70  # the exit status of an actor whose engine has died
_ATTEMPTS_ALONE = 2
_JOURNAL: ContextVar[Journal | None] = ContextVar("journal", default=None)  # of the wave of the row being answered
_DIED_ALONE = "one engine died with this document among others, and another with it alone"


@dataclass(frozen=True, slots=True)
class _Answered:
    """The new values of a row's columns."""

    exchanges: list[Row]
    findings: list[Row]
    errors: list[Row]


_Outcome = _Answered | UnansweredError


class GenerateStage:
    """Serves the steps of one pool. If its engine dies or stalls, the actor exits and Ray starts another."""

    def __init__(
        self,
        spec: Spec,
        pool: int,
        counts: Counts,
        suspects: Any = None,  # Ray's handle
        journals: Journals | None = None,
    ) -> None:
        self._spec = spec
        self._number = pool
        self._pool = spec.pools[pool]
        self._record = Record(suspects, pool)
        self._gate = Gate()
        self._counts = counts
        began = time.perf_counter()
        self._engine = pools.start(spec, self._pool)
        self._journals = journals if self._pool.engine.journal else None
        # Nothing that lives on may hold the stage, as a bound method would: its engine is closed when Ray drops it.
        weakly = weakref.proxy(self)
        self._asker = Asker(self._pool, spec.rules, lambda role, prompt: weakly.ask(role, prompt))  # noqa: PLW0108
        self._in_flight = 0
        self._busy_since = time.monotonic()
        self._start_loop()
        counts.add(seconds_start=time.perf_counter() - began, engines=1)

    def __call__(self, table: pa.Table) -> pa.Table:
        """The rows with their exchanges and findings. Ray calls this from several threads.

        Raises:
            StoppedError: the engine answers nothing.
        """
        rows = dict(zip(table[schema.ROW_ID].to_pylist(), rows_of(table), strict=True))
        if self._journals:
            self._journals.open(list(rows))
        answered = asyncio.run_coroutine_threadsafe(self.answer(rows), self._loop).result()
        for name, kind, values in (
            (EXCHANGES, schema.EXCHANGE, [row.exchanges for row in answered]),
            (FINDINGS, schema.CHUNK_FINDINGS, [row.findings for row in answered]),
            (ERRORS, schema.ERROR, [row.errors for row in answered]),
        ):
            table = schema.with_column(table, name, pa.list_(kind), values)
        return table

    def _start_loop(self) -> None:
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="rows", daemon=True).start()
        self._watcher = asyncio.run_coroutine_threadsafe(_watch(weakref.ref(self)), self._loop)

    def __del__(self) -> None:
        """Closes the engine: Ray drops the stage when its actor is no longer needed."""
        if hasattr(self, "_loop"):
            self._watcher.cancel()
            self._asker.close()
            self._engine.close()

    async def answer(self, rows: Mapping[int, Row]) -> list[_Answered]:
        """The results of rows, given by id, in their order; recorded from beginning to end.

        Raises:
            StoppedError: the engine answers nothing.
        """
        entry: Entry = await self._record.note("enter", list(rows)) or Entry([], [])
        if entry.stop:
            raise StoppedError(entry.stop)
        try:
            answered = await self._rows(rows, entry)
        except EngineError as error:
            await self._record.note("stop", error.message)
            raise StoppedError(error.message) from error
        self._record.send("leave", list(rows), sum(not row.errors for row in answered))
        return answered

    async def _rows(self, rows: Mapping[int, Row], entry: Entry) -> list[_Answered]:
        """The results of rows that have entered.

        Raises:
            EngineError: the engine answers nothing.
        """
        if entry.trials or entry.accused:
            self._asker.doubt()
        held = {row_id for trial in [*entry.trials, entry.accused] for row_id in trial}
        async with self._gate.among_others():
            outcomes = await self._outcomes({row_id: row for row_id, row in rows.items() if row_id not in held})
        answered = {row_id: outcome for row_id, outcome in outcomes.items() if isinstance(outcome, _Answered)}
        for trial in [*entry.trials, *groups(sorted(outcomes.keys() - answered.keys()))]:
            answered |= await self._try({row_id: rows[row_id] for row_id in trial})
        for row_id in entry.accused:
            answered[row_id] = await self._convict(row_id, rows[row_id], _DIED_ALONE)
        if self._asker.is_doubtful:  # a request was refused; perhaps all would be
            await self._prove(rows)
        if isinstance(self._engine, Counting):
            self._counts.gather(**self._engine.tally())
        self._counts.post()  # on this loop, like all counting: two threads could post the same counts twice
        return [answered[row_id] for row_id in rows]

    async def _outcomes(self, rows: Mapping[int, Row]) -> dict[int, _Outcome]:
        """What becomes of rows that are asked about concurrently."""
        return dict(zip(rows, await together(starmap(self._outcome, rows.items())), strict=True))

    async def _outcome(self, row_id: int, row: Row) -> _Outcome:
        if self._journals:
            _JOURNAL.set(self._journals.of(row_id))  # for the requests of this row, which are made in its context
        try:
            return await self._row(row)
        except UnansweredError as error:
            return error
        except UnavailableError:
            raise
        except EngineError as error:
            self._die(error.message)  # at once: whatever else went on in this process would be in a dead engine

    async def _try(self, rows: Mapping[int, Row]) -> dict[int, _Answered]:
        """Asks about suspects that are alone in the engine; then, about each of those without an answer alone."""
        for _ in range(1 if len(rows) > 1 else _ATTEMPTS_ALONE):
            outcomes = await self._trial(rows)
            answered = {row_id: outcome for row_id, outcome in outcomes.items() if isinstance(outcome, _Answered)}
            if len(answered) == len(rows):
                return answered
        for row_id in outcomes.keys() - answered.keys():
            if len(rows) > 1:
                answered |= await self._try({row_id: rows[row_id]})
            else:
                answered[row_id] = await self._convict(row_id, rows[row_id], outcomes[row_id])
        return answered

    async def _trial(self, rows: Mapping[int, Row]) -> dict[int, _Outcome]:
        async with self._gate.alone():
            await self._prove(rows)
            await self._record.note("tried", list(rows))
            outcomes = await self._outcomes(rows)
            await self._record.note("cleared", list(rows))
        return outcomes

    async def _prove(self, rows: Mapping[int, Row]) -> None:
        """Makes sure that the engine answers something, on behalf of rows.

        Raises:
            EngineError: it does not.
        """
        if not self._asker.is_doubtful:
            return
        await self._record.note("proving", list(rows))
        try:
            await self._asker.prove(labels_of(self._spec, next(iter(rows.values()))))
        except (UnansweredError, UnavailableError):
            raise
        except EngineError as error:
            self._die(error.message)
        await self._record.note("proven")

    async def _convict(self, row_id: int, row: Row, why: _Outcome | str) -> _Answered:
        """The result of a document that gets no answer, from an engine that answers others."""
        await self._prove({row_id: row})
        if stop := await self._record.note("convicted", row_id):
            raise UnavailableError(stop)
        code = ErrorCode.INTERNAL if isinstance(why, EngineBugError) else ErrorCode.POISON
        self._counts.say(f"document.quarantined row_id={row_id} code={code}")
        message = f"tried alone: {why.message}" if isinstance(why, EngineError) else str(why)
        error = schema.error_to_row(ErrorRecord(code, self._pool.name, message))
        findings = [schema.findings_to_row(known or Findings()) for known in findings_of(row)]
        return _Answered(row[EXCHANGES], findings, [*row[ERRORS], error])

    async def _row(self, row: Row) -> _Answered:
        inputs, findings = inputs_of(self._spec, row), findings_of(row)
        conversations: list[Conversation] = await together(
            self._asker.converse(chunk, known, leave_last=True) for chunk, known in zip(inputs, findings, strict=True)
        )
        if self._pool is self._spec.pools[-1]:
            self._counts.gather(answered=1)
        keep = self._spec.config.output.prompts
        new = [
            exchange
            for number, conversation in enumerate(conversations)
            for exchange in exchange_rows(number, conversation, with_prompt=keep)
        ]
        return _Answered(
            exchanges=[*row[EXCHANGES], *new],
            findings=[schema.findings_to_row(conversation.findings) for conversation in conversations],
            errors=row[ERRORS],
        )

    async def ask(self, role: Role, prompt: Prompt) -> tuple[Completion, ...]:
        """The engine's answer, or the one that an earlier attempt at this wave recorded in the journal; counted."""
        journal = _JOURNAL.get()
        question = question_of(self._number, prompt, role.sampling, role.adapter) if journal else ""
        if journal and (known := journal.recall(question)):
            self._counts.gather(recalled=1)
            return known
        self._enter()
        try:
            completions = await self._engine.generate(prompt, role.sampling, role.adapter)
        finally:
            self._leave()
        if journal:
            journal.record(question, completions)
        self._counts.gather(
            prompt_tokens=sum(completion.prompt_tokens for completion in completions),
            cached_tokens=sum(completion.cached_tokens for completion in completions),
            output_tokens=sum(completion.output_tokens for completion in completions),
        )
        return completions

    def _enter(self) -> None:
        if not self._in_flight:
            self._busy_since = time.monotonic()
        self._in_flight += 1
        self._counts.gather(in_flight=1, requests=1)

    def _leave(self) -> None:
        self._in_flight -= 1
        now = time.monotonic()
        self._counts.gather(in_flight=-1, seconds_generate=now - self._busy_since)
        self._busy_since = now

    def die_if_stalled(self) -> None:
        """Ends the actor when requests are in flight and none has been answered for too long."""
        silent = time.monotonic() - self._busy_since
        if self._in_flight and silent > self._pool.engine.stall_seconds:
            self._die(f"no answer for {silent:.0f} s with {self._in_flight} requests in flight")

    def _die(self, reason: str) -> NoReturn:
        """Ends this process: an exception would end the job, whereas a dead actor is restarted and its rows retried."""
        self._record.send("died", reason)
        self._counts.add(engine_deaths=1)
        self._counts.say(f"engine.died pool={self._pool.name} reason={reason}")
        _LOG.error("engine.died pool=%s reason=%s", self._pool.name, reason)
        time.sleep(0.5)  # so that another thread can send the message
        os._exit(_DEAD_ENGINE)


async def _watch(stage: weakref.ref[GenerateStage]) -> None:
    """Looks after a stage as long as there is one."""
    while True:
        await asyncio.sleep(_WATCH_SECONDS)
        if (watched := stage()) is None:
            return
        watched.die_if_stalled()
        del watched
