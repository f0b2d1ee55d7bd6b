"""What the page shows of an annotation, and how the same is asked from Python and from the command line."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any

import yaml

from ner_ray.annotator.result import AnnotatedDocument
from ner_ray.markup import colours, draw
from ner_ray.schema import readable_prompt


def shown(document: AnnotatedDocument, label_names: Sequence[str]) -> dict[str, Any]:
    """An annotation as the page needs it: the marked text as HTML with everything escaped, and plain data.

    Args:
        document: the annotated text.
        label_names: of the label set, which keep their colours from one text to the next.
    """
    found = [entity.label for entity in document.entities]
    names = list(dict.fromkeys([*label_names, *found]))
    colour = colours(names)
    number = {name: place for place, name in enumerate(names)}
    row = document.to_dict()
    return {
        "html": str(draw(document.text, document.entities, number, colour)),
        "labels": [{"name": name, "colour": colour[name], "count": found.count(name)} for name in names],
        **{name: row[name] for name in ("entities", "unaligned", "dropped", "errors", "verdicts", "status", "usage")},
    }


def asked(document: AnnotatedDocument) -> list[dict[str, Any]]:
    """What the model was asked, and what it answered, as text."""
    return [
        {
            "role": exchange["role"],
            "chunk": exchange["chunk"],
            "prompt": readable_prompt(exchange["prompt"]),
            "answers": [completion["text"] for completion in exchange["completions"]],
            "cut": any(completion["finish_reason"] != "stop" for completion in exchange["completions"]),
        }
        for exchange in document.exchanges()
    ]


def as_python(config: str, settings: Sequence[str], labels: Any, text: str) -> str:  # labels: as they were typed
    """A program that annotates the same text in the same way."""
    given = [repr(config), repr(list(settings)) if settings else "", f"{labels=}" if labels else ""]
    words = ", ".join(filter(None, given))
    return (
        f"import ner_ray\n\nwith ner_ray.Annotator({words}) as annotator:\n"
        f"    annotated = annotator({text!r})\n    for entity in annotated.entities:\n        print(entity)\n"
    )


def as_command(config: str, settings: Sequence[str], labels: Any) -> str:  # labels: as they were typed
    """The command that annotates a corpus in the same way."""
    flow = yaml.safe_dump(labels, default_flow_style=True, allow_unicode=True, width=10**9).strip() if labels else ""
    words = [config, *settings, *([f"labels={flow}"] if flow else []), "input.path=corpus/", "output.path=runs/mine"]
    return f"ner-ray annotate {shlex.join(words)}"
