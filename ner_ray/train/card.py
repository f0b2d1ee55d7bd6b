"""The model card: what a model was trained on, how, and how good it is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from ner_ray.train.config import TrainConfig


def write_card(config: TrainConfig, summary: Mapping[str, Any], path: Path) -> None:
    """Writes the card as model hubs read it: YAML metadata, then Markdown."""
    card = config.card
    head = {
        "license": card.get("license", "unknown"),
        "language": card.get("language", "en"),
        "tags": ["named-entity-recognition", "ner_ray"],
        **({"base_model": config.model.base} if config.model.base else {}),
    }
    name = card.get("name", Path(config.output).name)
    recipe = config.model_dump(mode="json", exclude={"card", "output", "workers"}, exclude_defaults=True)
    parts = [
        f"---\n{yaml.safe_dump(head, sort_keys=False)}---",
        f"# {name}",
        card.get("notes", ""),
        "## Data",
        card.get("data", "\n".join(f"- `{Path(file).name}`" for file in config.data.files)),
        f"{summary['rows']} training examples, {summary['held_out']} held out, {summary['left_out']} too long.",
        "## Scores",
        _scores(config, summary),
        "## Recipe",
        f"```yaml\n{yaml.safe_dump(recipe, sort_keys=False)}```",
        _size(summary),
    ]
    path.write_text("\n\n".join(part for part in parts if part) + "\n", encoding="utf-8")


def _size(summary: Mapping[str, Any]) -> str:
    trained, whole = summary["trained_parameters"], summary["parameters"]
    return f"{summary['steps']} optimiser steps; {trained:,} of {whole:,} weights trained."


def _scores(config: TrainConfig, summary: Mapping[str, Any]) -> str:
    """The figures of the checkpoint that was chosen; with `best_by: last`, the last ones."""
    judged = [row for row in summary["history"] if "eval_loss" in row]
    if not judged:
        return "Not evaluated: nothing was held out."
    key = {"loss": "eval_loss", "f1": "eval_f1"}.get(config.best_by)
    chosen = judged[-1] if key is None else sorted(judged, key=lambda row: row[key])[-1 if key == "eval_f1" else 0]
    names = {
        "eval_f1": "strict span F1", "eval_precision": "precision", "eval_recall": "recall",
        "eval_loss": "validation loss",
    }  # fmt: skip
    lines = [f"| {names[name]} | {chosen[name]:.4f} |" for name in names if name in chosen]
    where = f" on {config.judge.documents} rows of `{Path(config.judge.gold).name}`" if config.judge.gold else ""
    return "\n".join([f"At step {chosen['step']}{where}:", "", "| | |", "|---|---|", *lines])
