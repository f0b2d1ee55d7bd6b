"""How good the model in training is: span F1 of whole passages, asked and read as the pipeline does it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ner_ray import plugins
from ner_ray.annotator.document import ReadingRules, Round, converse
from ner_ray.annotator.rounds import converse_in_rounds
from ner_ray.config.load import validate
from ner_ray.errors import InputError
from ner_ray.evaluate import spans
from ner_ray.evaluate.spans import SpanSums
from ner_ray.families.base import Step
from ner_ray.storage import open_store
from ner_ray.train.config import JudgeConfig
from ner_ray.types import Completion, Entity, Exchange, Label, Prompt, StepInput

Answer = Callable[[Sequence[Prompt]], Sequence[str]]
"""Answers prompts, in order."""

Gold = tuple[StepInput, tuple[Entity, ...]]


def annotated(paths: Sequence[str], labels: Sequence[str], label_map: Mapping[str, str | None]) -> Iterator[Gold]:
    """The rows of annotated Parquet files as passages with their gold, labels mapped.

    Raises:
        InputError: a file or a column is missing, or no labels are known.
    """
    import pyarrow.parquet as pq

    for path in _files(paths):
        table = pq.read_table(path)
        missing = {"text", "entities"} - set(table.column_names)
        if missing:
            raise InputError(f"{path} has no column {', '.join(sorted(missing))}; it has {table.column_names}")
        for row in table.to_pylist():
            yield _gold(row, labels, label_map, path)


def steps_of(family: Mapping[str, Any]) -> tuple[Step, ...]:
    """The steps of the family that a configuration's section names."""
    module = plugins.load("families", str(family["name"]))
    options = {key: value for key, value in family.items() if key != "name"}
    steps: tuple[Step, ...] = module.steps(validate(module.Options, options, f"family {family['name']}"))
    return steps


def judge(config: JudgeConfig, gold: Sequence[Gold], answer: Answer) -> SpanSums:
    """The span sums of a model that answers with `answer`, over labels in `config.scored` alone where given."""
    steps, rules = steps_of(config.family), ReadingRules()
    dialogues = [converse(steps, given, rules) for given, _ in gold]
    conversations = converse_in_rounds(dialogues, partial(_answer_rounds, answer))
    scored = set(config.scored)
    total = SpanSums()
    for conversation, (_, entities) in zip(conversations, gold, strict=True):
        total += spans.count(_only(entities, scored), _only(conversation.findings.entities, scored))
    return total


def _answer_rounds(answer: Answer, rounds: Sequence[Round]) -> list[list[Exchange]]:
    """All prompts of some rounds in one call."""
    texts = iter(answer([prompt for asked in rounds for prompt in asked.prompts]))
    return [[Exchange(prompt, (Completion(next(texts)),)) for prompt in asked.prompts] for asked in rounds]


def _only(entities: Sequence[Entity], labels: set[str]) -> list[Entity]:
    return [entity for entity in entities if not labels or entity.label in labels]


def _files(paths: Sequence[str]) -> list[Path]:
    files: list[Path] = []
    for path in (Path(open_store(uri)[1]) for uri in paths):
        found = sorted(path.rglob("*.parquet")) if path.is_dir() else [path]
        if not found or not found[0].is_file():
            raise InputError(f"no Parquet files at {path}")
        files += found
    return files


def _gold(row: Mapping[str, Any], labels: Sequence[str], label_map: Mapping[str, str | None], path: Path) -> Gold:
    names = labels or tuple(
        dict.fromkeys(name for name in (label_map.get(one, one) for one in row.get("labels") or ()) if name)
    )
    if not names:
        raise InputError(f"{path}: no column `labels`", hint="give the label set in the configuration: labels: [...]")
    entities = (_entity(one, row["text"], label_map) for one in row["entities"] or ())
    kept = tuple(entity for entity in entities if entity and entity.label in names)
    return StepInput(row["text"], tuple(Label(name) for name in names)), kept


def _entity(value: Mapping[str, Any], text: str, label_map: Mapping[str, str | None]) -> Entity | None:
    label = label_map.get(value["label"], value["label"])
    start, end = int(value["start"]), int(value["end"])
    return Entity(start, end, text[start:end], label) if label else None
