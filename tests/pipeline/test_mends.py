"""The simulated worlds find every kind of fault: with what keeps a run from it taken out, they fail."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from ner_ray.store import changes, run_schema, wave_files
from ner_ray.types import Completion
from tests.pipeline.test_world import World
from tests.store import test_listing

pytestmark = [pytest.mark.long, pytest.mark.timeout(3600)]

WORLDS = 150  # of twenty days each, at most


def _returning(value: Any) -> Callable[..., Any]:
    return lambda *_, **__: value


def _first(value: Any, *_: Any, **__: Any) -> Any:
    return value


def _types_of_the_first(names: Any, files: Any, *_: Any) -> pa.Schema:
    return pa.schema([files[0].schema.field(name) for name in names])


async def _unproven(*_: Any) -> None:
    """Asks no control question."""


def _believed(_: str) -> tuple[Completion, ...]:
    return (Completion(""),)


def _parquet() -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.table({"text": ["x"]}), buffer)
    return buffer.getvalue()


# What is taken out -> where it stands, and what stands in for it.
MENDS: dict[str, dict[str, Any]] = {
    "files are known by content": {
        "store.shards.Shard.same_content": lambda one, other: (one.size, one.modified) == (other.size, other.modified)
    },
    "files that were renamed are found": {"store.changes.Input._under_another_name": _returning(None)},
    "files that are gone are set aside": {"store.changes._without_what_is_gone": _first},
    "files that are missing are named": {"store.run.RunDirectory.missing": _returning([])},
    "files that come back are taken up": {
        "store.changes._without_what_is_gone": lambda wave, *how: _set_aside(replace(wave, missing=()), *how)
    },
    "files are looked at before they are read": {"store.documents.require_unchanged": _returning(None)},
    "retries look at the files": {
        "store.planning.still_there": _first,
        "store.documents.require_unchanged": _returning(None),
    },
    "retries replace rows": {"store.run.without": _returning(([], []))},
    "new versions replace old ones": {"store.waves.Wave.replaces": property(_returning(()))},
    "changes are refused unless they are wanted": {"store.changes._check_allowed": _returning(None)},
    "rows of other files are not committed": {
        "store.run.tidy": lambda store, folder, _=None: wave_files.tidy(store, folder)
    },
    "types are settled over all files": {"pipeline.preflight.settle": _types_of_the_first},
    "types of the run hold": {
        "pipeline.preflight.settle": lambda names, files, *_: run_schema.settle(names, files, pa.schema([]), list)
    },
    "ids of bytes are spelled": {"store.ids._spelling": _returning(None)},
    "text is read in every layout": {"store.documents.as_plain": _first},
    "names of the output are refused": {"pipeline.preflight._check_names": _returning(None)},
    "a run has one configuration": {"store.run.RunDirectory.claim": _returning(None)},
    "paths have one spelling": {
        "store.listing.normalized": lambda path: path.removeprefix("file://"),
        "store.changes.Input._under_another_name": _returning(None),
    },
    "a run is no input of its own": {
        "store.walk.is_run": _returning(False),
        "store.listing._is_below": _returning(False),
    },
    "control questions prove that an engine answers": {"annotator.asking.Asker.prove": _unproven},
    "what is no reply is told from an answer": {"tests.pipeline.simulated.read": _believed},
    "the exit status tells of errors": {"pipeline.summary._too_many": _returning(False)},
    "numbers of shards are given once": {"store.comparison._Planned.next_ordinal": property(_returning(0))},
}
_set_aside = changes._without_what_is_gone

SIBLINGS: dict[str, tuple[dict[str, Any], Callable[[], None]]] = {
    "files are listed once": (
        {"store.listing._each_once": lambda files, _: sorted(files, key=lambda file: file.uri)},
        lambda: test_listing.test_a_tree_is_listed_as_a_model_says(content=_parquet()),
    ),
    "names of files are unique": (
        {"store.shards.unique_names": lambda files, _: [file.name for file in files]},
        lambda: test_listing.test_a_tree_is_listed_as_a_model_says(content=_parquet()),
    ),
}


@pytest.fixture
def take_out(monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, Any]], None]:
    def taken_out(replacements: dict[str, Any]) -> None:
        for name, replacement in replacements.items():
            monkeypatch.setattr(name if name.startswith("tests.") else f"ner_ray.{name}", replacement)

    return taken_out


@pytest.mark.parametrize("mend", MENDS)
def test_without_what_keeps_a_run_from_a_fault_the_world_finds_it(
    mend: str, take_out: Callable[[dict[str, Any]], None]
) -> None:
    take_out(MENDS[mend])

    with pytest.raises(Exception):  # noqa: B017, PT011  # the faults show in many ways
        run_state_machine_as_test(World, settings=SEARCH)


@pytest.mark.parametrize("mend", SIBLINGS)
def test_without_what_keeps_a_part_from_a_fault_its_own_world_finds_it(
    mend: str, take_out: Callable[[dict[str, Any]], None]
) -> None:
    replacements, search = SIBLINGS[mend]
    take_out(replacements)

    with pytest.raises(Exception):  # noqa: B017, PT011  # the faults show in many ways
        search()


SEARCH = settings(
    max_examples=WORLDS,
    stateful_step_count=20,
    phases=[Phase.generate],
    database=None,
    deadline=None,
    print_blob=False,
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)
