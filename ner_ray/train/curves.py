"""Learning curves as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_PANELS = (("loss", "eval_loss"), ("eval_f1", "eval_precision", "eval_recall"), ("learning_rate",))


def plot(history: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draws loss, span scores and learning rate over the steps, as far as the history has them."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    panels = [names for names in _PANELS if any(name in row for row in history for name in names)]
    figure, axes = plt.subplots(len(panels) or 1, 1, sharex=True, figsize=(7, 2.6 * max(len(panels), 1)), squeeze=False)
    for axis, names in zip(axes[:, 0], panels, strict=False):
        for name in names:
            points = [(row["step"], row[name]) for row in history if name in row]
            if points:
                axis.plot(
                    *zip(*points, strict=True),
                    label=name.removeprefix("eval_") if name != "eval_loss" else "validation loss",
                )
        axis.legend()
        axis.grid(alpha=0.3)
    axes[-1, 0].set_xlabel("optimiser step")
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)
