"""Read all committed files of a run and check them: rows in = rows out for each file, none twice, checksums right.

For example:

    ner-ray verify s3://runs/news

Where `RAY_ADDRESS` names a cluster, its machines read the files.

Exit status: 0 everything is there, 1 something is wrong.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from ner_ray.commands.base import argument
from ner_ray.config import Section
from ner_ray.errors import EXIT_DONE, EXIT_STOPPED

if TYPE_CHECKING:
    from ner_ray.store.file_checks import Finding
    from ner_ray.store.health import Spread


class Config(Section):
    """Which run."""

    run: str = argument(description="The run directory, on any store.")


@dataclass(frozen=True, slots=True)
class Result:
    """How many rows were read, and what is not as the run says."""

    rows: int
    findings: Sequence[Finding]

    @property
    def exit_status(self) -> int:
        return EXIT_STOPPED if self.findings else EXIT_DONE

    def to_dict(self) -> dict[str, Any]:
        return {"rows": self.rows, "findings": [asdict(finding) for finding in self.findings]}


def run(config: Config) -> Result:
    """Reads every committed file, by tasks on the cluster that `RAY_ADDRESS` names, or else in this process.

    Raises:
        RunError: there is no run, or nothing is committed.
    """
    from ner_ray.store.health import in_threads, verify

    return Result(*verify(config.run, _on_cluster() if os.environ.get("RAY_ADDRESS") else in_threads))


def _on_cluster() -> Spread:
    """Joins the cluster; what spreads the work over it."""
    from ner_ray.pipeline.cluster import connect
    from ner_ray.pipeline.tasks import map_tasks

    connect()
    return map_tasks


def show(result: Result) -> str:
    """One finding per line, and the counts."""
    lines = [f"{finding.place}: {finding.problem}" for finding in result.findings]
    return "\n".join([*lines, f"{result.rows} rows, {len(result.findings)} findings", ""])
