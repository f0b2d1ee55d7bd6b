"""What the families share that ask one question a type and are answered with a JSON list of strings."""

from __future__ import annotations

import json
from collections.abc import Sequence

from ner_ray.families.toolkit.lists import is_plain, read_list, strings
from ner_ray.families.toolkit.transcript import read_samples, settle, unparsable
from ner_ray.types import Completion, Entity, Mention, Prompt, Reading, Transcript


def read_queries(transcript: Transcript, role: str) -> list[Reading]:
    """The listed mentions of all types, each with the type that its prompt asked for (`Prompt.subject`).

    A mention's score is the probability of its string in the answer.
    """
    return read_samples(transcript, lambda prompt, completion: _read(completion, prompt.subject, role))


def write_answer(prompt: Prompt, gold: Sequence[Entity]) -> str:
    """The list of the gold of the type asked for, in the order of the text, an item for every mention."""
    in_order = sorted(gold, key=lambda one: one.start)
    return json.dumps([one.text for one in in_order if one.label == prompt.subject], ensure_ascii=False)


def _read(completion: Completion, label: str, role: str) -> Reading:
    listed = read_list(completion.text)
    if listed.root is None:
        return unparsable(role, completion)
    mentions = tuple(
        Mention(item.value, label, completion.probability(item.start, item.end)) for item in strings(listed.root)
    )
    odd = listed.odd or listed.root.bracket != "[" or not is_plain(listed.root)
    return Reading(mentions, settle(completion, cut=listed.cut, recovered=odd))
