"""The end of synthesis: what was made, as a result for the caller and as files for people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from ner_ray import schema
from ner_ray.pipeline.summary import Summary
from ner_ray.pipeline.synth.ask import answers_uri
from ner_ray.pipeline.synth.form import Counted
from ner_ray.storage import join, open_store, put_atomically, put_json
from ner_ray.store.run import RunDirectory
from ner_ray.synth import page
from ner_ray.synth.annotated import GROUND
from ner_ray.synth.answers import Tally
from ner_ray.synth.config import SynthConfig


@dataclass(frozen=True, slots=True)
class Result:
    """What the job did.

    Attributes:
        output: its directory.
        passages: documents, passages, what was left out by reason, and how many were `drawn`.
        asked: what this call asked the teacher: requests and tokens.
        cost: the same for all answers there are, whenever they were given; requests that were under way when a run was
            killed are not in it.
        annotated: passages by status.
        statistics: mentions, types, pairs.
        rows: training rows of each form.
        left_out: of each form, the entities that its answers do not mention, by reason.
        seconds: of each stage.
        exit_status: 0, or 3 where too many passages have no readable answer.
    """

    output: str
    passages: dict[str, int]
    asked: dict[str, int]
    cost: dict[str, int]
    annotated: dict[str, int]
    statistics: dict[str, int | float]
    rows: dict[str, int]
    left_out: dict[str, dict[str, int]]
    seconds: dict[str, float]
    exit_status: int


def make_result(
    config: SynthConfig,
    drawn: dict[str, int],
    asked: Summary | None,
    tally: Tally,
    made: Mapping[str, Counted],
    seconds: dict[str, float],
) -> Result:
    """The figures of all stages; `asked` is None where this call asked nothing."""
    counts = asked.counts if asked else {}
    last = RunDirectory(answers_uri(config)).record()["last"]
    return Result(
        output=config.output,
        passages=drawn,
        asked={name: counts.get(name, 0) for name in schema.USAGE.names},
        cost={name: tally.usage[name] for name in schema.USAGE.names},
        annotated=dict(sorted(tally.statuses.items())),
        statistics=tally.statistics.summary(),
        rows={name: counted.rows for name, counted in made.items()},
        left_out={name: dict(sorted(counted.left_out.items())) for name, counted in made.items()},
        seconds=seconds,
        exit_status=asked.exit_status if asked else last["exit_status"],
    )


def write_report(config: SynthConfig, tally: Tally, result: Result) -> None:
    """Writes `statistics.json`, `filters.md`, `page.html` and `synth.json`, the last one at the end."""
    store, path = open_store(config.output)
    steps = (*config.filters.steps, GROUND)
    found = {
        "summary": tally.statistics.summary(),
        "passages": tally.statistics.passages,
        "empty": tally.statistics.empty,
        "tail": tally.statistics.tail(),
        "frequencies": tally.statistics.frequencies(),
        "filters": tally.filters.to_dict(),
        "left_out": result.left_out,
    }
    put_json(store, join(path, "statistics.json"), found)
    put_atomically(store, join(path, "filters.md"), f"{tally.filters.table(steps)}\n".encode())
    title = config.output.rstrip("/").rsplit("/", 1)[-1]
    shown = page.render(title, tally.statistics, tally.filters, steps, result.left_out)
    put_atomically(store, join(path, "page.html"), shown.encode())
    put_json(store, join(path, "synth.json"), {"config": config.model_dump(mode="json"), "last": asdict(result)})
