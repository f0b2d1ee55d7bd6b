"""Training files from annotated rows: for every step of a family, what a perfect model would answer."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from ner_ray.errors import InputError
from ner_ray.train.config import PrepareConfig
from ner_ray.train.examples import to_line
from ner_ray.train.judge import Gold, annotated, steps_of


@dataclass(frozen=True, slots=True)
class Prepared:
    """What was written.

    Attributes:
        output: the training file.
        rows: annotated rows read.
        too_long: rows left out for their length.
        examples: examples written, by role.
        left_out: gold entities that the family's answers cannot express, by reason; an entity counts once for each
            step and copy.
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
    rng = random.Random(config.seed)  # noqa: S311 - label order, not secrets
    counts: Counter[str] = Counter()
    left_out: Counter[str] = Counter()
    target = Path(config.output)
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(target.name + ".part")
    with unfinished.open("w", encoding="utf-8") as file:
        for gold in annotated(paths, config.labels, config.label_map):
            counts["rows"] += 1
            if len(gold[0].text) > config.max_characters:
                counts["too_long"] += 1
                continue
            for passage, entities in _variants(gold, config, rng):
                for step in steps:
                    targets = step.targets(passage, entities)
                    left_out.update(entity.reason for entity in targets.left_out)
                    for exchange in targets.exchanges:
                        counts[f"role.{step.role}"] += 1
                        file.write(to_line(exchange, role=step.role) + "\n")
    unfinished.replace(target)
    examples = {step.role: counts[f"role.{step.role}"] for step in steps}
    return Prepared(str(target), counts["rows"], counts["too_long"], examples, dict(sorted(left_out.items())))


def _variants(gold: Gold, config: PrepareConfig, rng: random.Random) -> Iterator[Gold]:
    """A row with its label set drawn anew, as often as it is to be used."""
    passage, entities = gold
    for _ in range(config.copies):
        labels = [label for label in passage.labels if rng.random() >= config.drop_labels]
        labels = labels or list(passage.labels)
        if config.shuffle_labels:
            rng.shuffle(labels)
        names = {label.name for label in labels}
        kept = tuple(entity for entity in entities if entity.label in names)
        yield replace(passage, labels=tuple(labels)), kept
