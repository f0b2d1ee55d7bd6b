"""Writes the documents about which two runs disagree as tasks for Label Studio, each with both opinions.

    python disagreements.py RUN RUN tasks.json

Two runs agree about a document if they have the same entities: places and labels. Label Studio shows the opinions as
two predictions; a person takes one, corrects it, and submits it. The export is gold, for `ner-ray evaluate` and
`ner-ray train prepare`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

from ner_ray.data import AnnotatedText, read_all
from ner_ray.export.label_studio import labelling_configuration, task


def disagreements(first: str, second: str) -> Iterator[dict[str, AnnotatedText]]:
    """What each run says about a document, wherever the two differ."""
    others = {text.text_id: text for text in read_all(second)[0]}
    for text in read_all(first)[0]:
        other = others.get(text.text_id)
        if other and places(text) != places(other):
            yield {first: text, second: other}


def places(text: AnnotatedText) -> set[tuple[int, int, str]]:
    """The entities of a text as begin, end and label."""
    return {(entity.start, entity.end, entity.label) for entity in text.entities}


def main(first: str, second: str, out: str) -> None:
    """Writes the tasks, and the labelling configuration beside them."""
    found = list(disagreements(first, second))
    tasks = [task(texts[first].text_id, texts[first].text, _opinions(texts)) for texts in found]
    Path(out).write_text(json.dumps(tasks, ensure_ascii=False, indent=1), encoding="utf-8")
    labels = sorted({label for texts in found for text in texts.values() for _, _, label in places(text)})
    Path(out).with_suffix(".xml").write_text(labelling_configuration(labels), encoding="utf-8")
    sys.stderr.write(f"{len(found)} documents to look at in {out}\n")


def _opinions(texts: dict[str, AnnotatedText]) -> dict:
    return {Path(run).name: text.entities for run, text in texts.items()}


if __name__ == "__main__":
    main(*sys.argv[1:])
