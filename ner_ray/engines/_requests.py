"""The requests that an engine is working on, so that closing it ends them."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from ner_ray.errors import EngineError

CLOSED = "the engine is closed"

_Result = TypeVar("_Result")


class OpenRequests:
    """Runs requests on the caller's event loop until `close`, which may be called from any thread."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        self._closed = False

    async def run(self, request: Coroutine[Any, Any, _Result]) -> _Result:
        """The result of a request.

        Raises:
            EngineError: `close` was called, before or meanwhile.
        """
        task = asyncio.ensure_future(request)
        self._tasks.add(task)
        if self._closed:  # checked once the task can be seen, so that `close` cannot miss it
            task.cancel()
        try:
            return await task
        except (asyncio.CancelledError, Exception):  # what an engine that is being closed raises may be anything
            if self._closed and not _is_cancelled_itself():
                raise EngineError(CLOSED) from None
            raise
        finally:
            self._tasks.discard(task)

    def close(self) -> None:
        """Ends all requests, and those that are still to come, with an `EngineError`."""
        self._closed = True
        for task in tuple(self._tasks):
            loop = task.get_loop()
            if not loop.is_closed():
                loop.call_soon_threadsafe(task.cancel)


def _is_cancelled_itself() -> bool:
    """Whether somebody cancels the current task, rather than the one that it waits for."""
    current = asyncio.current_task()
    return current is not None and current.cancelling() > 0
