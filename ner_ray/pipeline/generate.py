"""The engine stage: an actor with an engine in it, and the rows of several blocks in flight.

All rows of a block go through at once, on one event loop that is the stage's own; each asks its steps' prompts as soon
as they are known. While the last rows of one block are answered those of the next are under way, so the engine always
has more requests waiting than it can run. (Ray has an event loop for such stages too, which stands still whenever
what is finished cannot be handed on at once.)
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import replace
from typing import Any, NoReturn

import pyarrow as pa
import ray

from ner_ray import schema
from ner_ray.annotator.document import POISON, converse
from ner_ray.annotator.spec import Role, Spec
from ner_ray.engines import base as engines
from ner_ray.engines.base import Engine
from ner_ray.errors import EngineError, RequestError
from ner_ray.families.base import Step
from ner_ray.pipeline.progress import Counts
from ner_ray.pipeline.stages import passage_of, read_chunk
from ner_ray.schema import BETWEEN_STAGES, CHUNKS, ERRORS, EXCHANGES, Row
from ner_ray.store.journal import Journal, question_of
from ner_ray.types import Chunk, ErrorRecord, Exchange, Prompt, StepInput

_LOG = logging.getLogger(__name__)

# Enough to keep the engine's own queue from running dry, and few enough that what was begun is soon done.
_CHUNKS_PER_SEQUENCE = 2
_REQUESTS_PER_SEQUENCE = 4
_WATCH_SECONDS = 5.0
_DEAD_ENGINE = 70  # the exit status of an actor whose engine has died


_Answered = tuple[list[Row], list[Row]]  # a row's exchanges and errors


class GenerateStage:
    """Serves the steps of one pool. An engine that dies or stalls takes its actor with it; Ray starts another."""

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
        config = self._pool.engine
        parallel = spec.config.resources.tensor_parallel
        self._engine: Engine = engines.load(config.name).create(config, self._pool.adapters, parallel)
        self._journal = Journal(journal) if journal and config.journal else None
        self._seats = asyncio.Semaphore(_CHUNKS_PER_SEQUENCE * config.max_num_seqs)
        self._places = asyncio.Semaphore(_REQUESTS_PER_SEQUENCE * config.max_num_seqs)
        self._in_flight = 0
        self._busy_since = time.monotonic()
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="rows", daemon=True).start()
        self._watcher = asyncio.run_coroutine_threadsafe(self._watch(), self._loop)
        counts.add(seconds_start=time.perf_counter() - began, engines=1)

    def __call__(self, table: pa.Table) -> pa.Table:
        """The rows with their exchanges, and with errors where a request was refused. Ray calls from threads."""
        rows = table.select([name for name in BETWEEN_STAGES if name in table.column_names]).to_pylist()
        ids = table[schema.ROW_ID].to_pylist()
        trials, convicted = self._book("enter", ids) or ((), ())
        work = self._rows(dict(zip(ids, rows, strict=True)), trials, convicted)
        answered = asyncio.run_coroutine_threadsafe(work, self._loop).result()
        self._book("leave", ids)
        exchanges, errors = zip(*answered, strict=True) if answered else ((), ())
        table = schema.with_column(table, EXCHANGES, pa.list_(schema.EXCHANGE), exchanges)
        return schema.with_column(table, ERRORS, pa.list_(schema.ERROR), errors)

    def _book(self, what: str, ids: list[int]) -> Any:
        """Tells the books of suspects something, and waits until it stands there."""
        if self._suspects is None:
            return None
        return ray.get(getattr(self._suspects, what).remote(self._number, ids))

    async def _rows(
        self, rows: dict[int, Row], trials: Sequence[list[int]], convicted: Collection[int]
    ) -> list[_Answered]:
        """Of rows by their ids, in their order."""
        for row_id in convicted:
            self._counts.say(f"document.quarantined row_id={row_id} reason=an engine died when it had this one alone")
        answers = {
            row_id: _condemned(row, self._pool.name) if row_id in convicted else self._row(row)
            for row_id, row in rows.items()
        }
        suspects = {row_id for trial in trials for row_id in trial}
        free = [row_id for row_id in rows if row_id not in suspects]
        try:
            found = await asyncio.gather(
                _each({row_id: answers[row_id] for row_id in free}),
                *(self._try({row_id: answers[row_id] for row_id in trial}) for trial in trials),
            )
        except EngineError as error:
            self._die(str(error))
        self._counts.post()  # here, where all counting is done: two threads would post the same counts twice
        answered = {row_id: answer for some in found for row_id, answer in some.items()}
        return [answered[row_id] for row_id in rows]

    async def _try(self, answers: dict[int, Awaitable[_Answered]]) -> dict[int, _Answered]:
        """Some that were in an engine that died: with no other such ones beside them, so that another death tells."""
        async with self._one_trial:
            await self._suspects.tried.remote(self._number, list(answers))
            answered = await _each(answers)
            await self._suspects.cleared.remote(self._number, list(answers))
            return answered

    async def _row(self, row: Row) -> _Answered:
        chunks = [schema.chunk_from_row(chunk) for chunk in row[CHUNKS]]
        results = await asyncio.gather(*(self._chunk(row, number, chunk) for number, chunk in enumerate(chunks)))
        exchanges = [exchange for found, _ in results for exchange in found]
        errors = [schema.error_to_row(problem) for _, found in results for problem in found]
        if self._pool is self._spec.pools[-1]:
            self._counts.gather(answered=1)
        return [*row[EXCHANGES], *exchanges], [*row[ERRORS], *errors]

    async def _chunk(self, row: Row, number: int, chunk: Chunk) -> tuple[list[Row], list[ErrorRecord]]:
        """What one chunk's steps were asked and answered, once there is a seat. A bug in a step costs this chunk."""
        async with self._seats:
            return await self._converse(row, number, chunk)

    async def _converse(self, row: Row, number: int, chunk: Chunk) -> tuple[list[Row], list[ErrorRecord]]:
        errors: list[ErrorRecord] = []
        seen = {**row, EXCHANGES: list(row[EXCHANGES])}
        for offset, role in enumerate(self._pool.roles):
            try:
                passage = self._passage(seen, number, chunk, self._pool.steps[:offset])
                transcript = await converse(role.step, passage, self._asker(role, errors))
            except EngineError:
                raise
            except Exception as error:  # noqa: BLE001  # the row boundary: one document must not end the job
                _LOG.error("row.failed stage=%s error=%s", role.step.role, type(error).__name__)
                errors.append(ErrorRecord("internal", role.step.role, type(error).__name__))
                break
            keep = self._spec.config.output.prompts
            seen[EXCHANGES] += [
                schema.exchange_to_row(number, role.step.role, exchange, with_prompt=keep) for exchange in transcript
            ]
        return seen[EXCHANGES][len(row[EXCHANGES]) :], errors

    def _passage(self, row: Row, number: int, chunk: Chunk, before: Sequence[Step]) -> StepInput:
        """The chunk as a step sees it, with what the steps before it in this pool, and other pools, have found."""
        passage = passage_of(self._spec, row, number, chunk)
        return replace(passage, entities=read_chunk(self._spec, row, number, chunk, before).entities)

    def _asker(self, role: Role, errors: list[ErrorRecord]) -> Callable[[Prompt], Awaitable[Exchange]]:
        async def ask(prompt: Prompt) -> Exchange:
            question = question_of(self._number, prompt, role.sampling, role.adapter) if self._journal else ""
            if self._journal and (known := self._journal.recall(question)):
                self._counts.gather(recalled=1)
                return Exchange(prompt, known)
            async with self._places:
                self._enter()
                try:
                    completions = await self._engine.generate(prompt, role.sampling, role.adapter)
                except RequestError as error:
                    errors.append(ErrorRecord(error.code, role.step.role, error.message))
                    completions = ()
                finally:
                    self._leave()
            if self._journal and completions:
                self._journal.record(question, completions)
            self._counts.gather(
                requests=1,
                prompt_tokens=sum(one.prompt_tokens for one in completions),
                cached_tokens=sum(one.cached_tokens for one in completions),
                output_tokens=sum(one.output_tokens for one in completions),
            )
            return Exchange(prompt, completions)

        return ask

    def _enter(self) -> None:
        if not self._in_flight:
            self._busy_since = time.monotonic()
        self._in_flight += 1
        self._counts.gather(in_flight=1)

    def _leave(self) -> None:
        self._in_flight -= 1
        now = time.monotonic()
        self._counts.gather(in_flight=-1, seconds_generate=now - self._busy_since)
        self._busy_since = now

    async def _watch(self) -> None:
        """Ends the actor when requests are in flight and none has come back for too long."""
        while True:
            await asyncio.sleep(_WATCH_SECONDS)
            silent = time.monotonic() - self._busy_since
            if self._in_flight and silent > self._pool.engine.stall_seconds:
                self._die(f"no answer for {silent:.0f} s with {self._in_flight} requests in flight")

    def _die(self, reason: str) -> NoReturn:
        """Ends this process: an exception would end the job, a dead process is replaced and its rows come again."""
        self._counts.say(f"engine.died pool={self._pool.name} reason={reason}")
        _LOG.error("engine.died pool=%s reason=%s", self._pool.name, reason)
        time.sleep(0.5)  # the message is on its way in another thread
        os._exit(_DEAD_ENGINE)


async def _each(answers: dict[int, Awaitable[_Answered]]) -> dict[int, _Answered]:
    """All at once."""
    return dict(zip(answers, await asyncio.gather(*answers.values()), strict=True))


async def _condemned(row: Row, stage: str) -> _Answered:
    problem = ErrorRecord(POISON, stage, "an engine died with this document among others, another with it alone")
    return row[EXCHANGES], [*row[ERRORS], schema.error_to_row(problem)]
