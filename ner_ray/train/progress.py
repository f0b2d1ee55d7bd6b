"""What a training run logs: a line whenever figures are reported, with the time that is left."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from typing import Any, TypeVar

_LOG = logging.getLogger(__name__)

Item = TypeVar("Item")

_SECONDS = 30.0  # between two log lines while reading
_NAMES = {
    "loss": "loss",
    "learning_rate": "learning rate",
    "grad_norm": "gradient",
    "eval_loss": "validation loss",
    "eval_precision": "precision",
    "eval_recall": "recall",
    "eval_f1": "F1",
}


def with_progress(items: Iterable[Item], what: str) -> Iterator[Item]:
    """The same items; logs their number from time to time and at the end."""
    logged, count = time.monotonic(), 0
    for count, item in enumerate(items, start=1):
        yield item
        if time.monotonic() - logged > _SECONDS:
            logged = time.monotonic()
            _LOG.info("%s: %s so far", what, f"{count:,}")
    _LOG.info("%s: %s", what, f"{count:,}")


def progress_callback() -> Any:  # transformers has no types
    """A callback for transformers' trainer, in place of its own, which prints dictionaries."""
    from transformers import TrainerCallback

    class Progress(TrainerCallback):  # type: ignore[misc]
        def on_train_begin(self, _args: Any, state: Any, _control: Any, **_: Any) -> None:
            self._first, self._began = state.global_step, time.monotonic()

        def on_log(self, _args: Any, state: Any, _control: Any, logs: Mapping[str, float], **_: Any) -> None:
            if state.is_world_process_zero and (figures := _figures(logs)):
                pace = (time.monotonic() - self._began) / max(1, state.global_step - self._first)
                left = timedelta(seconds=round(pace * (state.max_steps - state.global_step)))
                step = f"step {state.global_step:,} of {state.max_steps:,}"
                _LOG.info("%s: %s; %.2f s per step, %s left", step, figures, pace, left)

    return Progress()


def _figures(logs: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {logs[key]:.4g}" for key, name in _NAMES.items() if key in logs)
