"""Spreads work over the cluster as Ray tasks, with a bounded number in flight."""

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
    """The results of a function for each item, computed in Ray tasks ahead of the consumer.

    Args:
        work: called as `work(item, *shared)`; it must be importable on the workers.
        items: what to work on; consumed only as tasks are started.
        shared: further arguments, sent to the cluster once.
        in_flight: maximum number of tasks whose results have not been read yet.
        ordered: yield results in the order of the items; otherwise as they become ready.

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
    """Removes and returns the next reference to read: the first one, or any that is ready."""
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
