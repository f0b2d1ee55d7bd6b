"""Show what the model is asked about a few documents, what it answers, and the entities read from that.

The documents come from all over the input; nothing is kept.

For example:

    ner-ray preview annotate/tagger input.path=corpus/ output.path=runs/news 'labels=[person, ship]'

    ner-ray preview my.yaml --documents 5 --seed 1
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ner_ray.commands.base import base_of, option
from ner_ray.config import AnnotateConfig
from ner_ray.errors import EXIT_DONE
from ner_ray.schema import readable_prompt

_SHOWN = 2  # exchanges per role
_CHARACTERS = 600  # of a text
_ENTITIES = 30  # of a document


class Config(AnnotateConfig):
    """A job's configuration, and which documents to show."""

    documents: int = option(3, ge=1, description="Number of documents.")
    characters: int = option(2000, ge=1, description="Characters of each text, from its beginning.")
    seed: int = option(0, description="Seed of the draw; another seed shows other documents.")


@dataclass(frozen=True, slots=True)
class Result:
    """The documents' rows, with texts, prompts and answers."""

    documents: Sequence[Mapping[str, Any]]
    exit_status: int = EXIT_DONE

    def to_dict(self) -> dict[str, Any]:
        return {"documents": list(self.documents)}


def run(config: Config) -> Result:
    """Annotates some documents; raises what `ner_ray.pipeline.preview.preview` raises."""
    from ner_ray.pipeline.preview import preview

    return Result(preview(base_of(config, AnnotateConfig), config.documents, config.seed, config.characters))


def show(result: Result) -> str:
    """Each document's text, prompts, answers and entities."""
    return "\n".join(map(document_text, result.documents))


def document_text(row: Mapping[str, Any]) -> str:
    """One document: its text, what was asked and answered, and what was found."""
    lines = [f"━━ {row['doc_id']}: {row['status']}, entities: {len(row['entities'])}"]
    lines += _indented(_cut(row["text"] or ""))
    by_role: dict[str, list[Mapping[str, Any]]] = {}
    for exchange in row["exchanges"]:
        by_role.setdefault(exchange["role"], []).append(exchange)
    for role, exchanges in by_role.items():
        lines += _exchanges(role, exchanges)
    lines += [_entity(entity) for entity in row["entities"][:_ENTITIES]]
    if len(row["entities"]) > _ENTITIES:
        lines.append(f"   … and {len(row['entities']) - _ENTITIES} more")
    for name in ("unaligned", "dropped"):
        lines += [f"   {name}: {mention['text']} ({mention['label']})" for mention in row[name]]
    lines += [f"   error {error['code']} in {error['stage']}: {error['message']}" for error in row["errors"]]
    return "\n".join(lines) + "\n"


def _exchanges(role: str, exchanges: Sequence[Mapping[str, Any]]) -> list[str]:
    lines: list[str] = []
    for exchange in exchanges[:_SHOWN]:
        lines += [f"── {role} is asked", *_indented(readable_prompt(exchange["prompt"]))]
        for completion in exchange["completions"]:
            cut = "" if completion["finish_reason"] == "stop" else f" (cut off: {completion['finish_reason']})"
            lines += [f"── {role} answers{cut}", *_indented(completion["text"])]
    if len(exchanges) > _SHOWN:
        lines.append(f"── … and {len(exchanges) - _SHOWN} more of {role}")
    return lines


def _entity(entity: Mapping[str, Any]) -> str:
    score = "" if entity["score"] is None else f"  {entity['score']:.2f}"
    return f"   {entity['start']}:{entity['end']}  {entity['text']}  {entity['label']}{score}  {entity['status']}"


def _cut(text: str) -> str:
    return text if len(text) <= _CHARACTERS else f"{text[:_CHARACTERS]}… ({len(text):,} characters)"


def _indented(text: str) -> list[str]:
    """The lines of a text from outside; characters that could control a terminal are shown as a replacement mark."""
    return ["   " + "".join(char if char.isprintable() else "\ufffd" for char in line) for line in text.splitlines()]
