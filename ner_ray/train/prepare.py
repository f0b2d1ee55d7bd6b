"""Training files from annotated text: for every step of a family, what a perfect model would answer."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from ner_ray.annotator.spec import family_steps
from ner_ray.data import AnnotatedText, Reject
from ner_ray.data.training import TrainingRow, json_line
from ner_ray.errors import InputError
from ner_ray.families.base import Step
from ner_ray.synth.rows import make_rows
from ner_ray.train.config import PrepareConfig
from ner_ray.train.gold import read_gold


@dataclass(frozen=True, slots=True)
class Prepared:
    """What was written.

    Attributes:
        output: the training file.
        rows: annotated texts read.
        rejected: rows that are not usable annotated texts; `OUTPUT.rejects.jsonl` has them with the reasons.
        too_long: texts left out because of their length.
        dropped: entities that the label map leaves out, or whose label is not in the label set.
        examples: training rows written, by role.
        left_out: gold entities that the answers do not mention, by reason; an entity counts once per step and copy.
    """

    output: str
    rows: int
    rejected: int
    too_long: int
    dropped: int
    examples: dict[str, int]
    left_out: dict[str, int]

    def to_dict(self) -> dict[str, object]:
        return asdict(self)


def prepare(config: PrepareConfig) -> Prepared:
    """Writes the training file; the same configuration and input give the same bytes.

    Raises:
        ConfigError: no such family or option, or the label map names a label that no text has.
        InputError: no step has such a role, or the annotated texts cannot be read.
    """
    steps = [step for step in family_steps(config.family) if not config.roles or step.role in config.roles]
    if not steps:
        raise InputError(f"family {config.family['name']} has no step with a role in {config.roles}")
    counts: Counter[str] = Counter()
    examples = Counter({step.role: 0 for step in steps})
    left_out: Counter[str] = Counter()
    rejects: list[Reject] = []
    target = Path(config.output)
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(target.name + ".part")
    with unfinished.open("w", encoding="utf-8") as file:
        for number, gold in enumerate(_gold(config, rejects)):
            counts["rows"] += 1
            counts["dropped"] += len(gold.dropped)
            if len(gold.text) > config.max_characters:
                counts["too_long"] += 1
                continue
            for row in _rows(number, gold, steps, config, left_out):
                examples[row.role] += 1
                file.write(json_line(row) + "\n")
    unfinished.replace(target)
    _write_rejects(rejects, target.with_name(target.name + ".rejects.jsonl"))
    return Prepared(
        output=str(target),
        rows=counts["rows"],
        rejected=len(rejects),
        too_long=counts["too_long"],
        dropped=counts["dropped"],
        examples=dict(examples),
        left_out=dict(sorted(left_out.items())),
    )


def _gold(config: PrepareConfig, rejects: list[Reject]) -> Iterator[AnnotatedText]:
    """The usable texts; what is not usable is added to `rejects`."""
    for item in read_gold(config.input, config.labels, config.label_map):
        if isinstance(item, Reject):
            rejects.append(item)
        else:
            yield item


def _write_rejects(rejects: Sequence[Reject], path: Path) -> None:
    """Writes the rejects, one per line; no file if there are none."""
    if not rejects:
        path.unlink(missing_ok=True)
        return
    lines = "".join(json.dumps(asdict(reject), ensure_ascii=False) + "\n" for reject in rejects)
    path.write_text(lines, encoding="utf-8", errors="backslashreplace")


def _rows(
    number: int, gold: AnnotatedText, steps: Sequence[Step], config: PrepareConfig, left_out: Counter[str]
) -> Iterator[TrainingRow]:
    """The rows of an annotated text: as many copies as are asked for, each with its own draw of labels."""
    for copy in range(config.copies):
        for step in steps:
            made = make_rows(
                f"{number}.{copy}", gold.text, gold.entities, step, config.row_options, labels=gold.labels or ()
            )
            left_out.update(made.left_out)
            yield from made.rows
