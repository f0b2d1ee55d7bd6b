"""Give up input files that a run waits for: files that are gone, or that are in a wave that is not committed.

A run names files that were planned and are gone, and ends with exit status 3 until they are back or given up. What was
already written of them in waves that are not committed is dropped; committed documents stay. A file that is still in
the input, or comes back, is new to the run.

For example:

    ner-ray forget s3://runs/news

    ner-ray forget s3://runs/news s3://corpus/2024-05-01.parquet
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ner_ray.commands.base import argument
from ner_ray.config import Section
from ner_ray.errors import EXIT_DONE


class Config(Section):
    """Which files of which run."""

    run: str = argument(description="The run directory, on any store.")
    files: list[str] = argument(
        [], description="The files, as `ner-ray status` names them. Default: all that are missing."
    )


@dataclass(frozen=True, slots=True)
class Result:
    """The files given up, with the number of their documents."""

    run: str
    forgotten: dict[str, int]
    exit_status: int = EXIT_DONE

    def to_dict(self) -> dict[str, Any]:
        return {"run": self.run, "forgotten": self.forgotten}


def run(config: Config) -> Result:
    """Gives the files up.

    Raises:
        RunError: there is no run, or it does not wait for one of the files.
        LeaseError: a driver is writing to the run.
    """
    from ner_ray.store.lease import Lease
    from ner_ray.store.run import RunDirectory

    directory = RunDirectory(config.run)
    if not directory.waves():
        raise directory.nothing_committed()
    with Lease(directory.store, directory.path):
        files = config.files or [numbered.shard.uri for numbered in directory.missing()]
        forgotten = directory.forget(files)
    return Result(config.run, {numbered.shard.uri: numbered.rows for numbered in forgotten})


def show(result: Result) -> str:
    """One file per line."""
    lines = [f"given up: {uri}: {documents:,} documents" for uri, documents in result.forgotten.items()]
    return "\n".join([*(lines or [f"{result.run} waits for no file"]), ""])
