"""Training files from annotated text: for every step of a family, what a perfect model would answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from ner_ray.data.training import TrainingRow, json_line
from ner_ray.errors import InputError
from ner_ray.families.base import Step
from ner_ray.synth.rows import make_rows
from ner_ray.train.config import PrepareConfig
from ner_ray.train.judge import Gold, annotated, steps_of


@dataclass(frozen=True, slots=True)
class Prepared:
    """What was written.

    Attributes:
        output: the training file.
        rows: annotated texts read.
        too_long: texts left out for their length.
        examples: training rows written, by role.
        left_out: gold entities that the answers do not mention, by reason; an entity counts once per step and copy.
    """

    output: str
    rows: int
    too_long: int
    examples: dict[str, int]
    left_out: dict[str, int]

    def to_dict(self) -> dict[str, object]:
        return asdict(self)


def prepare(config: PrepareConfig) -> Prepared:
    """Writes the training file; the same configuration and input give the same bytes.

    Raises:
        ConfigError: no such family, or no step with such a role.
        InputError: the annotated files cannot be read.
    """
    steps = [step for step in steps_of(config.family) if not config.roles or step.role in config.roles]
    if not steps:
        raise InputError(f"family {config.family['name']} has no step with a role in {config.roles}")
    paths = [config.input] if isinstance(config.input, str) else config.input
    counts: Counter[str] = Counter()
    examples = Counter({step.role: 0 for step in steps})
    left_out: Counter[str] = Counter()
    target = Path(config.output)
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(target.name + ".part")
    with unfinished.open("w", encoding="utf-8") as file:
        for number, gold in enumerate(annotated(paths, config.labels, config.label_map)):
            counts["rows"] += 1
            if len(gold[0].text) > config.max_characters:
                counts["too_long"] += 1
                continue
            for row in _rows(number, gold, steps, config, left_out):
                examples[row.role] += 1
                file.write(json_line(row) + "\n")
    unfinished.replace(target)
    return Prepared(str(target), counts["rows"], counts["too_long"], dict(examples), dict(sorted(left_out.items())))


def _rows(
    number: int, gold: Gold, steps: Sequence[Step], config: PrepareConfig, left_out: Counter[str]
) -> Iterator[TrainingRow]:
    """The rows of an annotated text: as many copies as are asked for, each with its own draw of labels."""
    passage, entities = gold
    for copy in range(config.copies):
        for step in steps:
            made = make_rows(
                f"{number}.{copy}", passage.text, entities, step, config.row_options, labels=passage.labels
            )
            left_out.update(made.left_out)
            yield from made.rows
