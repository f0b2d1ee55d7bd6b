"""What waves cost: the same rows as many waves and as one, on the real engine with random weights.

    python tests/benchmarks/waves.py [--waves 20] [--rows 100] [--repeats 3]

Prints, for each, engine starts, the time from the first request to the last answer, and the share of it in which no
request was in an engine.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ner_ray.config import AnnotateConfig
from ner_ray.pipeline import graph
from ner_ray.pipeline.annotate import annotate
from ner_ray.pipeline.cluster import connect
from ner_ray.pipeline.generate import GenerateStage

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from tiny_models import save_tiny_model  # the parent folder is not a package when this runs as a script


class TimedStage(GenerateStage):
    """Records when requests are in the engine."""

    first = last = 0.0
    idle = 0.0

    def _enter(self) -> None:
        now = time.monotonic()
        self.first = self.first or now
        if not self._in_flight:
            self.idle += now - (self.last or now)
        super()._enter()

    def _leave(self) -> None:
        super()._leave()
        self.last = time.monotonic()

    def __call__(self, table: pa.Table) -> pa.Table:
        answered = super().__call__(table)
        timing = {"seconds": self.last - self.first, "idle": self.idle / (self.last - self.first)}
        Path(self._spec.config.output.path, "timing.json").write_text(json.dumps(timing))
        return answered


def turn(folder: Path, name: str, model: Path, rows_per_wave: int) -> dict[str, Any]:
    """Runs the job; its timing, with the number of engines and of seconds in all."""
    config = AnnotateConfig.model_validate(
        {
            "input": {"path": str(folder / "in")},
            "labels": ["person"],
            "family": "gner",
            "engine": {"model": str(model), "max_model_len": 1024, "sampling": {"max_tokens": 32}},
            "output": {"path": str(folder / name), "rows_per_wave": rows_per_wave},
            "max_error_rate": 1,
            "max_partial_rate": 1,
        }
    )
    summary = annotate(config)
    timing = json.loads((folder / name / "timing.json").read_text())
    return timing | {"engines": int(summary.counts["engines"]), "total": summary.seconds["total"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--waves", type=int, default=20)
    parser.add_argument("--rows", type=int, default=100, help="per wave")
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    graph.GenerateStage = TimedStage  # type: ignore[misc]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = save_tiny_model(folder / "model", width=256, layers=4)
        (folder / "in").mkdir()
        for wave in range(arguments.waves):
            texts = [f"Ada {row} met Bo {wave} in Ghent, and they went to Oslo." for row in range(arguments.rows)]
            pq.write_table(pa.table({"text": texts}), folder / "in" / f"{wave:03}.parquet")
        connect()
        ratios = []
        for repeat in range(arguments.repeats):
            many = turn(folder, f"many{repeat}", model, arguments.rows)
            one = turn(folder, f"one{repeat}", model, arguments.rows * arguments.waves)
            ratios.append(many["seconds"] / one["seconds"])
            for kind, timing in (("many", many), ("one", one)):
                print(
                    f"{kind:5} engines {timing['engines']}   answering {timing['seconds']:6.1f} s   "
                    f"idle {timing['idle']:.2%}   in all {timing['total']:6.1f} s",
                    flush=True,
                )
        print(f"many waves over one, seconds of answering: median {statistics.median(ratios):.3f}")


if __name__ == "__main__":
    main()
