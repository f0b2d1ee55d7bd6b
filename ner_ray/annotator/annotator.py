"""`Annotator`: everything that the job does to a document, for strings, in this process."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
import weakref
from collections import deque
from collections.abc import (
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from concurrent.futures import Future
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ner_ray.annotator import pools
from ner_ray.annotator.asking import Answer, Asker
from ner_ray.annotator.budget import fit, measure, token_counter
from ner_ray.annotator.document import Conversation, merge, step_input
from ner_ray.annotator.pulse import together
from ner_ray.annotator.result import AnnotatedDocument
from ner_ray.annotator.spec import Role, Spec, resolve
from ner_ray.config import AnnotateConfig, labels
from ner_ray.config.load import compose, label_source, validate
from ner_ray.engines.base import Engine
from ner_ray.errors import ConfigError
from ner_ray.retrieval import Selector, open_selector, select
from ner_ray.text.chunks import split
from ner_ray.text.usable import unusable
from ner_ray.types import Annotation, Chunk, Completion, Demonstration, DocumentStatus, Findings, LabelSet, Prompt

Configuration = str | Path | Mapping[str, Any] | AnnotateConfig

_PER_CALL = "column:labels"  # set if a configuration has no labels: each call brings its own
_TEXTS_PER_SEQUENCE = 4  # texts of a stream in flight, per request that an engine can run at once
_CLOSE_SECONDS = 30.0
_TELL_SECONDS = 0.2  # between reports on a text that is being annotated
_LABEL_SETS = 64  # for which chunk sizes are remembered


class Annotator:
    """Annotates texts with the configuration of a job, without Ray, files or a run directory.

    Creating one starts its engines, which stay warm until `close` or the end of the `with` block. It can be shared by
    threads, and used where an event loop is already running (in a notebook or an actor).

    Args:
        config: as for `ner-ray annotate`: the name of a configuration that ships with the package, a YAML file,
            its content, or an `AnnotateConfig`. Its `input` and `output` are not used.
        overrides: `key.path=value`, as on the command line.
        labels: replaces the label set of the configuration: a list, a tree, or a label file. Without any label set,
            each call must bring one.

    Raises:
        ConfigError: the configuration is wrong.
        ModelError: a model cannot be loaded.

    Example:
        >>> import ner_ray
        >>> with ner_ray.Annotator("annotate/demo", labels=["person", "place"]) as annotator:  # doctest: +SKIP
        ...     annotated = annotator("Marie Curie grew up in Warsaw.")
        >>> [(entity.start, entity.end, entity.text, entity.label) for entity in annotated.entities]  # doctest: +SKIP
        [(0, 11, 'Marie Curie', 'person'), (23, 29, 'Warsaw', 'place')]
    """

    def __init__(
        self,
        config: Configuration = "annotate/demo",
        overrides: Sequence[str] = (),
        *,
        labels: Any = None,  # a list, a tree, a file's name
    ) -> None:
        self._spec = resolve(configure(config, overrides, labels))
        if not self._spec.pools:
            raise ConfigError("replay reads recorded answers, but an Annotator asks an engine", hint="replay=false")
        pools.check(self._spec)
        fit(self._spec)
        self._fitted = lru_cache(_LABEL_SETS)(lambda label_set: fit(replace(self._spec, labels=label_set)))
        self._selector: Selector | None = None
        if self._spec.config.demonstrations:
            self._selector = open_selector(self._spec.config.demonstrations)
        self._worker = _Worker(self._spec)
        self._close = weakref.finalize(self, self._worker.close)

    @property
    def config(self) -> AnnotateConfig:
        """The configuration, composed and checked."""
        return self._spec.config

    def __call__(
        self, text: str, *, labels: Any = None, demonstrations: Sequence[Demonstration] | None = None
    ) -> AnnotatedDocument:
        """The annotation of one text.

        Args:
            text: of any length; long texts are cut into chunks, and their annotations merged, as in the job.
            labels: another label set, for this text only.
            demonstrations: few-shot examples for this text's prompts, instead of retrieved ones.

        Raises:
            UnansweredError, UnavailableError: the engine answers nobody; the same call may be made again later.
            EngineError: the engine has died; a new `Annotator` is needed.
        """
        return self.submit(text, labels=labels, demonstrations=demonstrations).result()

    async def annotate_async(
        self, text: str, *, labels: Any = None, demonstrations: Sequence[Demonstration] | None = None
    ) -> AnnotatedDocument:
        """The same as calling the annotator, for use in a coroutine."""
        return await asyncio.wrap_future(self.submit(text, labels=labels, demonstrations=demonstrations))

    def submit(
        self,
        text: str | None,
        *,
        labels: Any = None,
        demonstrations: Sequence[Demonstration] | None = None,
        on_progress: Callable[[AnnotatedDocument], None] | None = None,
    ) -> Future[AnnotatedDocument]:
        """Starts to annotate one text; returns a future, like a `concurrent.futures` executor.

        Args:
            text: as for a call.
            labels: likewise.
            demonstrations: likewise.
            on_progress: called a few times a second, in the annotator's own thread, with what has been found in a long
                text so far.
        """
        if text is not None and not isinstance(text, str):
            raise TypeError(f"a text must be a string, not {type(text).__name__}; Annotator.stream takes many texts")
        if not self._close.alive:
            raise ConfigError("the annotator is closed", hint="create another one")
        return self._worker.submit(self._annotate(text, _label_set(labels), demonstrations, on_progress))

    def stream(
        self,
        texts: Iterable[str | None],
        *,
        labels: Any = None,
        demonstrations: Sequence[Demonstration] | None = None,
    ) -> Iterator[AnnotatedDocument]:
        """The annotations of many texts, in their order; many requests are in flight at the same time.

        Texts are taken from the iterable only as far ahead as keeps the engine busy, so the iterable may be infinite. A
        None yields a failed annotation with the error `null_text`.
        """
        texts_ahead = iter(texts)
        waiting: deque[Future[AnnotatedDocument]] = deque()
        try:
            while True:
                for text in itertools.islice(texts_ahead, self._ahead - len(waiting)):
                    waiting.append(self.submit(text, labels=labels, demonstrations=demonstrations))
                if not waiting:
                    return
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()

    async def stream_async(
        self,
        texts: Iterable[str | None] | AsyncIterable[str | None],
        *,
        labels: Any = None,
        demonstrations: Sequence[Demonstration] | None = None,
    ) -> AsyncIterator[AnnotatedDocument]:
        """The same as `stream`, for use in a coroutine; the texts may come from an asynchronous iterable."""
        waiting: deque[Future[AnnotatedDocument]] = deque()
        try:
            async for text in _asynchronous(texts):
                waiting.append(self.submit(text, labels=labels, demonstrations=demonstrations))
                if len(waiting) >= self._ahead:
                    yield await asyncio.wrap_future(waiting.popleft())
            while waiting:
                yield await asyncio.wrap_future(waiting.popleft())
        finally:
            for future in waiting:
                future.cancel()

    def close(self) -> None:
        """Stops the engines; pending annotations fail. Further calls do nothing."""
        self._close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def _ahead(self) -> int:
        return _TEXTS_PER_SEQUENCE * max(pool.engine.seats for pool in self._spec.pools)

    async def _annotate(
        self,
        text: str | None,
        label_set: LabelSet | None,
        demonstrations: Sequence[Demonstration] | None,
        on_progress: Callable[[AnnotatedDocument], None] | None,
    ) -> AnnotatedDocument:
        if error := unusable(text, self._spec.config.input.max_characters):
            return AnnotatedDocument.of(text or "", Annotation((), status=DocumentStatus.FAILED, errors=(error,)))
        assert text is not None
        prepare = partial(self._prepare, text, label_set, demonstrations)
        labels_asked, chunks, shown = await self._worker.in_thread(prepare)
        so_far = _SoFar(text, chunks, on_progress)
        conversations = await together(
            so_far.add(number, self._worker.converse(text, chunk, labels_asked, examples))
            for number, (chunk, examples) in enumerate(zip(chunks, shown, strict=True))
        )
        return AnnotatedDocument.of(text, so_far.annotation(), chunks, conversations)

    def _prepare(
        self, text: str, label_set: LabelSet | None, demonstrations: Sequence[Demonstration] | None
    ) -> tuple[LabelSet, list[Chunk], Sequence[Sequence[Demonstration]]]:
        """The label set, the chunks, and each chunk's demonstrations."""
        spec = self._spec if label_set is None else self._fitted(label_set)
        spec = self._fitted(spec.labels) if spec.labels else spec
        if not spec.labels:
            raise ConfigError("no label set", hint='Annotator(..., labels=["person"]), or labels=[...] with each text')
        chunks = split(text, token_counter(spec), spec.budget, spec.config.chunk.shared)
        if demonstrations is not None:
            return spec.labels, chunks, [demonstrations] * len(chunks)
        if self._selector is None:
            return spec.labels, chunks, [()] * len(chunks)
        chosen, _ = select(self._selector, [text[chunk.start : chunk.end] for chunk in chunks], measure(spec))
        return spec.labels, chunks, chosen


class _SoFar:
    """What has been found in a text's chunks so far, and who wants to know."""

    def __init__(
        self, text: str, chunks: Sequence[Chunk], on_progress: Callable[[AnnotatedDocument], None] | None
    ) -> None:
        self._text = text
        self._chunks = chunks
        self._findings = [Findings()] * len(chunks)
        self._tell = on_progress
        self._told = time.monotonic()

    async def add(self, number: int, work: Awaitable[Conversation]) -> Conversation:
        """The conversation about a chunk, once it is over."""
        conversation = await work
        self._findings[number] = conversation.findings
        if self._tell and time.monotonic() - self._told > _TELL_SECONDS:
            self._tell(AnnotatedDocument.of(self._text, self.annotation(), self._chunks))
            self._told = time.monotonic()
        return conversation

    def annotation(self) -> Annotation:
        return merge(self._text, self._chunks, self._findings)


class _Worker:
    """The engines, and the event loop that drives them, in a thread of its own. Holds no reference to its annotator."""

    def __init__(self, spec: Spec) -> None:
        self._engines = pools.start_all(spec)
        self._askers = [
            Asker(pool, spec.rules, _answer(engine)) for pool, engine in zip(spec.pools, self._engines, strict=True)
        ]
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="annotator", daemon=True)
        self._thread.start()

    def submit(self, work: Coroutine[Any, Any, AnnotatedDocument]) -> Future[AnnotatedDocument]:
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def in_thread(self, work: Any) -> Awaitable[Any]:
        return self._loop.run_in_executor(None, work)

    async def converse(
        self, text: str, chunk: Chunk, label_set: LabelSet, demonstrations: Sequence[Demonstration]
    ) -> Conversation:
        """A chunk's conversation with all engines, one after the other."""
        given = step_input(text, chunk, label_set, demonstrations)
        so_far = Conversation(Findings(), {})
        for asker in self._askers:
            latest = await asker.insist(given, so_far.findings)
            so_far = Conversation(latest.findings, {**so_far.transcripts, **latest.transcripts})
        return so_far

    def close(self) -> None:
        """Cancels what is in flight, closes the engines while their loop still runs, then stops the loop."""
        self._finish(self._cancel())
        for engine in self._engines:
            engine.close()
        for asker in self._askers:
            asker.close()
        self._finish(self._settle())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=_CLOSE_SECONDS)

    def _finish(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=_CLOSE_SECONDS)

    async def _cancel(self) -> None:
        for task in _others():
            task.cancel()
        await self._settle()

    async def _settle(self) -> None:
        """Waits for the remaining tasks of the loop, such as connections that are being closed."""
        await asyncio.gather(*_others(), return_exceptions=True)


def _others() -> list[asyncio.Task[Any]]:
    """The tasks of the running loop, except the current one."""
    return [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]


def configure(config: Configuration, overrides: Sequence[str] = (), label_set: Any = None) -> AnnotateConfig:
    """A configuration for texts in memory, in which `input.path`, `output.path` and the labels may be missing.

    Args:
        config: see `Annotator`.
        overrides: `key.path=value`, as on the command line.
        label_set: replaces the label set, unless None.

    Raises:
        ConfigError: the configuration is wrong.
    """
    if isinstance(config, AnnotateConfig):
        if not overrides and label_set is None:
            return config
        config = config.model_dump()
    plain = compose(config, overrides)
    plain["input"] = {"path": [], **(plain.get("input") or {})}
    plain["output"] = {"path": "", **(plain.get("output") or {})}
    plain["labels"] = plain.get("labels", _PER_CALL) if label_set is None else label_set
    return validate(AnnotateConfig, plain, "the configuration")


def _answer(engine: Engine) -> Answer:
    async def answer(role: Role, prompt: Prompt) -> tuple[Completion, ...]:
        return await engine.generate(prompt, role.sampling, role.adapter)

    return answer


def _label_set(label_set: Any) -> LabelSet | None:
    return None if label_set is None else labels.parse(label_source(label_set))


async def _asynchronous(texts: Iterable[str | None] | AsyncIterable[str | None]) -> AsyncIterator[str | None]:
    if isinstance(texts, AsyncIterable):
        async for text in texts:
            yield text
    else:
        for text in texts:
            yield text
