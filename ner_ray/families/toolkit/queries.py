"""One question per label, answered with a list of strings: shared by UniversalNER and RA-IT."""

from __future__ import annotations

import json
from collections.abc import Sequence

from ner_ray.families.toolkit.answers import read_answer
from ner_ray.families.toolkit.guide import Guide
from ner_ray.families.toolkit.labels import names
from ner_ray.families.toolkit.transcript import read_samples
from ner_ray.types import Completion, Entity, Prompt, Reading, StepInput, Transcript


def read_queries(passage: StepInput, transcript: Transcript, role: str) -> list[Reading]:
    """The listed mentions of all labels, each with the label that its prompt asked for (`Prompt.subject`).

    A mention to which the answer gives another label of the set is in `dropped`. A mention's score is the probability
    of its string in the answer.
    """
    known = names(passage.labels)

    def read(prompt: Prompt, completion: Completion) -> Reading:
        offered = tuple(known) if prompt.subject in known else (*known, prompt.subject)
        return read_answer(completion, Guide(offered, passage.text, prompt.subject), known, "drop", role)

    return read_samples(transcript, read, text=passage.text, role=role)


def write_answer(prompt: Prompt, gold: Sequence[Entity]) -> str:
    """The list of the gold with the label asked for, in the order of the text, one item per mention."""
    in_order = sorted(gold, key=lambda entity: entity.start)
    return json.dumps([entity.text for entity in in_order if entity.label == prompt.subject], ensure_ascii=False)
