"""How far stages may run ahead of the next one: so many blocks, whatever the size of the corpus.

Ray's own policies begin to act when a share of the object store is full. By then small corpora are in memory as a
whole, and large ones have filled, before the first engine has loaded, what other jobs of the cluster may need.
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
    """Holds a stage back while enough blocks wait for the next.

    It cannot bring a job to rest. A running task is paused only in the reader, whose tasks hold no CPU that a later
    stage could wait for; other stages only start no more tasks. And the stage before the writer is never held back,
    since the writer collects blocks until they make a file, however many that takes.
    """

    def can_add_input(self, op: Any) -> bool:
        """Whether the stage may start another task."""
        return not self._enough_waits_after(op)

    def max_task_output_bytes_to_read(self, op: Any) -> int | None:
        """Nothing more of what its running tasks make, or no limit."""
        reads = not any(before.input_dependencies for before in op.input_dependencies)
        return 0 if reads and self._enough_waits_after(op) else None

    def _enough_waits_after(self, op: Any) -> bool:
        limit = self._data_context.get_config(_LIMIT)
        return any(
            following.output_dependencies and self._topology[following].total_enqueued_input_blocks() >= limit
            for following in op.output_dependencies
        )


def limit_run_ahead(context: DataContext, blocks: int) -> None:
    """Lets at most about so many blocks wait before each stage of the datasets that are run in this context."""
    context.set_config(_LIMIT, blocks)
    context.set_config(ENABLED_BACKPRESSURE_POLICIES_CONFIG_KEY, [*ENABLED_BACKPRESSURE_POLICIES, RunAhead])
