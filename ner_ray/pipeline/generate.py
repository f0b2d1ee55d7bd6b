"""The engine stage: an actor that holds an engine, with the rows of several blocks in flight.

All rows of a block are processed concurrently, on an event loop of the stage's own; each row sends its prompts as soon
as they are known. While the last rows of one block are being answered, those of the next block are under way, so that
the engine always has more requests waiting than it can run. (Ray has an event loop for such stages too, but it stops
whenever results cannot be handed on at once.)

Answers to all steps of the pool but the last are read here, once, because the next step's prompts depend on them. The
last step's answers are read by the following stage, on CPUs that no engine waits for.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections.abc import Awaitable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import pyarrow as pa
import ray

from ner_ray import schema
from ner_ray.annotator import pools
from ner_ray.annotator.asking import Asker
from ner_ray.annotator.document import Conversation
from ner_ray.annotator.rows import exchange_rows, findings_of, inputs_of
from ner_ray.annotator.spec import Role, Spec
from ner_ray.errors import EngineError, ErrorCode
from ner_ray.pipeline.progress import Counts
from ner_ray.pipeline.stages import rows_of
from ner_ray.schema import ERRORS, EXCHANGES, FINDINGS, Row
from ner_ray.store.journal import Journal, question_of
from ner_ray.types import Completion, ErrorRecord, Findings, Prompt

_LOG = logging.getLogger(__name__)

_WATCH_SECONDS = 5.0
_DEAD_ENGINE = 70  # the exit status of an actor whose engine has died


@dataclass(frozen=True, slots=True)
class _Answered:
    """The new values of a row's columns."""

    exchanges: list[Row]
    findings: list[Row]
    errors: list[Row]


class GenerateStage:
    """Serves the steps of one pool. If its engine dies or stalls, the actor exits and Ray starts another."""

    def __init__(
        self,
        spec: Spec,
        pool: int,
        counts: Counts,
        suspects: Any = None,  # Ray's handle
        journal: str | None = None,  # the URI of a folder
    ) -> None:
        self._spec = spec
        self._number = pool
        self._pool = spec.pools[pool]
        self._suspects = suspects
        self._one_trial = asyncio.Lock()
        self._counts = counts
        began = time.perf_counter()
        self._engine = pools.start(spec, self._pool)
        self._journal = Journal(journal) if journal and self._pool.engine.journal else None
        self._asker = Asker(self._pool, spec.rules, self._answer)
        self._in_flight = 0
        self._busy_since = time.monotonic()
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="rows", daemon=True).start()
        self._watcher = asyncio.run_coroutine_threadsafe(self._watch(), self._loop)
        counts.add(seconds_start=time.perf_counter() - began, engines=1)

    def __call__(self, table: pa.Table) -> pa.Table:
        """The rows with their exchanges and findings. Ray calls this from several threads."""
        ids = table[schema.ROW_ID].to_pylist()
        trials, convicted = self._book("enter", ids) or ((), ())
        work = self._rows(dict(zip(ids, rows_of(table), strict=True)), trials, convicted)
        answered = asyncio.run_coroutine_threadsafe(work, self._loop).result()
        self._book("leave", ids)
        for name, kind, values in (
            (EXCHANGES, schema.EXCHANGE, [row.exchanges for row in answered]),
            (FINDINGS, schema.CHUNK_FINDINGS, [row.findings for row in answered]),
            (ERRORS, schema.ERROR, [row.errors for row in answered]),
        ):
            table = schema.with_column(table, name, pa.list_(kind), values)
        return table

    def __del__(self) -> None:
        """Closes the engine: Ray drops the stage when its actor is no longer needed."""
        if hasattr(self, "_loop"):
            self._watcher.cancel()
            self._asker.close()
            self._engine.close()

    def _book(self, what: str, ids: list[int]) -> Any:
        """Calls a method of the `Suspects` actor and waits until it is done."""
        if self._suspects is None:
            return None
        return ray.get(getattr(self._suspects, what).remote(self._number, ids))

    async def _rows(
        self, rows: dict[int, Row], trials: Sequence[list[int]], convicted: Collection[int]
    ) -> list[_Answered]:
        """The results of rows, given by id, in their order."""
        for row_id in convicted:
            self._counts.say(f"document.quarantined row_id={row_id} reason=an engine died with this document alone")
        answers = {
            row_id: _convicted(row, self._pool.name) if row_id in convicted else self._row(row)
            for row_id, row in rows.items()
        }
        suspects = {row_id for trial in trials for row_id in trial}
        free = [row_id for row_id in rows if row_id not in suspects]
        try:
            groups = await asyncio.gather(
                _each({row_id: answers[row_id] for row_id in free}),
                *(self._try({row_id: answers[row_id] for row_id in trial}) for trial in trials),
            )
        except EngineError as error:
            self._die(str(error))
        self._counts.post()  # on this loop, like all counting: two threads could post the same counts twice
        answered = {row_id: answer for group in groups for row_id, answer in group.items()}
        return [answered[row_id] for row_id in rows]

    async def _try(self, answers: dict[int, Awaitable[_Answered]]) -> dict[int, _Answered]:
        """Tries suspects: no other suspects are in the engine meanwhile, so that another death is conclusive."""
        async with self._one_trial:
            await self._suspects.tried.remote(self._number, list(answers))
            answered = await _each(answers)
            await self._suspects.cleared.remote(self._number, list(answers))
            return answered

    async def _row(self, row: Row) -> _Answered:
        inputs, findings = inputs_of(self._spec, row), findings_of(row)
        conversations: list[Conversation] = await asyncio.gather(
            *(
                self._asker.converse(chunk, known, leave_last=True)
                for chunk, known in zip(inputs, findings, strict=True)
            )
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

    async def _answer(self, role: Role, prompt: Prompt) -> tuple[Completion, ...]:
        """The engine's answer, or the one that an earlier attempt at this wave recorded in the journal; counted."""
        question = question_of(self._number, prompt, role.sampling, role.adapter) if self._journal else ""
        if self._journal and (known := self._journal.recall(question)):
            self._counts.gather(recalled=1)
            return known
        self._enter()
        try:
            completions = await self._engine.generate(prompt, role.sampling, role.adapter)
        finally:
            self._leave()
        if self._journal:
            self._journal.record(question, completions)
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

    async def _watch(self) -> None:
        """Ends the actor when requests are in flight and none has been answered for too long."""
        while True:
            await asyncio.sleep(_WATCH_SECONDS)
            silent = time.monotonic() - self._busy_since
            if self._in_flight and silent > self._pool.engine.stall_seconds:
                self._die(f"no answer for {silent:.0f} s with {self._in_flight} requests in flight")

    def _die(self, reason: str) -> NoReturn:
        """Ends this process: an exception would end the job, whereas a dead actor is restarted and its rows retried."""
        self._counts.say(f"engine.died pool={self._pool.name} reason={reason}")
        _LOG.error("engine.died pool=%s reason=%s", self._pool.name, reason)
        time.sleep(0.5)  # so that another thread can send the message
        os._exit(_DEAD_ENGINE)


async def _each(answers: dict[int, Awaitable[_Answered]]) -> dict[int, _Answered]:
    """Awaits all of them concurrently."""
    return dict(zip(answers, await asyncio.gather(*answers.values()), strict=True))


async def _convicted(row: Row, stage: str) -> _Answered:
    """The result of a document that kills engines: no answer, and an error that says so."""
    message = "one engine died with this document among others, and another with it alone"
    error = schema.error_to_row(ErrorRecord(ErrorCode.POISON, stage, message))
    findings = [schema.findings_to_row(known or Findings()) for known in findings_of(row)]
    return _Answered(row[EXCHANGES], findings, [*row[ERRORS], error])
