"""What a training run says while it runs: a line whenever figures are noted, with the time that is left."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from typing import Any, TypeVar

_LOG = logging.getLogger(__name__)

T = TypeVar("T")

_SECONDS = 30.0  # between two lines about reading


def told(lines: Iterable[T], what: str) -> Iterator[T]:
    """The same lines; the log hears how many there were, now and then and at the end."""
    spoke, count = time.monotonic(), 0
    for count, line in enumerate(lines, start=1):
        yield line
        if time.monotonic() - spoke > _SECONDS:
            spoke = time.monotonic()
            _LOG.info("%s: %s so far", what, f"{count:,}")
    _LOG.info("%s: %s", what, f"{count:,}")


def teller() -> Any:  # transformers has no types
    """A callback for transformers' trainer, in place of its own, which prints bare dictionaries."""
    from transformers import TrainerCallback

    class Teller(TrainerCallback):  # type: ignore[misc]
        def on_train_begin(self, _args: Any, state: Any, _control: Any, **_: Any) -> None:
            self._first, self._began = state.global_step, time.monotonic()

        def on_log(self, _args: Any, state: Any, _control: Any, logs: Mapping[str, float], **_: Any) -> None:
            if state.is_world_process_zero and (figures := _figures(logs)):
                pace = (time.monotonic() - self._began) / max(1, state.global_step - self._first)
                left = timedelta(seconds=round(pace * (state.max_steps - state.global_step)))
                at = f"step {state.global_step:,} of {state.max_steps:,}"
                _LOG.info("%s: %s; %.2f s a step, %s left", at, figures, pace, left)

    return Teller()


_NAMES = {
    "loss": "loss",
    "learning_rate": "learning rate",
    "grad_norm": "gradient",
    "eval_loss": "held-out loss",
    "eval_precision": "precision",
    "eval_recall": "recall",
    "eval_f1": "F1",
}


def _figures(logs: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {logs[key]:.4g}" for key, name in _NAMES.items() if key in logs)
