"""Work spread over the cluster as Ray tasks, with a bounded number of them under way."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from ner_ray.errors import NerRayError

Made = TypeVar("Made")

_IN_FLIGHT = 64


def map_tasks(
    work: Callable[..., Made], items: Iterable[Any], *shared: Any, in_flight: int = _IN_FLIGHT, ordered: bool = True
) -> Iterator[Made]:
    """What a function makes of each item, computed in Ray tasks ahead of the reader.

    Args:
        work: called as `work(item, *shared)`; it must be importable on the workers.
        items: what to work on; read only as far as tasks are started.
        shared: further arguments, sent to the cluster once.
        in_flight: the most tasks that are started and not yet read.
        ordered: results come in the order of the items; else as they are ready.

    Raises:
        NerRayError: as raised by `work`.
    """
    import ray

    task = ray.remote(work)
    references = [ray.put(value) for value in shared]
    waiting: deque[Any] = deque()
    for item in items:
        waiting.append(task.remote(item, *references))
        if len(waiting) >= in_flight:
            yield _result(_next(waiting, ordered=ordered))
    while waiting:
        yield _result(_next(waiting, ordered=ordered))


def _next(waiting: deque[Any], *, ordered: bool) -> Any:  # Ray's references have no types
    """Takes the next reference to read: the first one, or any that is ready."""
    import ray

    if ordered:
        return waiting.popleft()
    (done,), _ = ray.wait(list(waiting))
    waiting.remove(done)
    return done


def _result(reference: Any) -> Any:
    import ray

    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        raise error.cause if isinstance(error.cause, NerRayError) else error from None
