"""Limits how far a stage may run ahead of the next: to a number of blocks, whatever the size of the corpus.

Ray's own policies take effect only when a share of the object store is full. By then a small corpus is in memory as a
whole, and a large one has taken, before the first engine has loaded, memory that other jobs of the cluster may need.

Ray Data has no public way to add a backpressure policy, so this module imports the base class and the list of enabled
policies from `ray.data._internal`, which may change in any release. It is a reason why `pyproject.toml` pins ray to one
minor version: on an upgrade, compare `BackpressurePolicy`, its two methods overridden below, and
`ENABLED_BACKPRESSURE_POLICIES_CONFIG_KEY` with this module, and run `tests/pipeline/test_run_ahead.py`.
"""

from __future__ import annotations

from typing import Any

from ray.data import DataContext
from ray.data._internal.execution.backpressure_policy import (
    ENABLED_BACKPRESSURE_POLICIES,
    ENABLED_BACKPRESSURE_POLICIES_CONFIG_KEY,
)
from ray.data._internal.execution.backpressure_policy.backpressure_policy import BackpressurePolicy

_LIMIT = "ner_ray.run_ahead"


class RunAhead(BackpressurePolicy):  # type: ignore[misc]  # Ray has no types
    """Holds a stage back while enough blocks wait for the next one.

    It cannot deadlock a job. Running tasks are paused only in the reader, whose tasks hold no CPU that a later stage
    could wait for; other stages merely start no new tasks. The stage before the writer is never held back, because the
    writer collects blocks until they make a file, however many that takes.
    """

    def can_add_input(self, op: Any) -> bool:
        """Whether the stage may start another task."""
        return not self._enough_waits_after(op)

    def max_task_output_bytes_to_read(self, op: Any) -> int | None:
        """How many more bytes of output to take from its running tasks: 0, or None for no limit."""
        reads = not any(before.input_dependencies for before in op.input_dependencies)
        return 0 if reads and self._enough_waits_after(op) else None

    def _enough_waits_after(self, op: Any) -> bool:
        limit = self._data_context.get_config(_LIMIT)
        return any(
            following.output_dependencies and self._topology[following].total_enqueued_input_blocks() >= limit
            for following in op.output_dependencies
        )


def limit_run_ahead(context: DataContext, blocks: int) -> None:
    """Limits the blocks that wait before each stage, approximately, for datasets executed in this context."""
    context.set_config(_LIMIT, blocks)
    context.set_config(ENABLED_BACKPRESSURE_POLICIES_CONFIG_KEY, [*ENABLED_BACKPRESSURE_POLICIES, RunAhead])
