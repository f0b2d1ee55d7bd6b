"""Rows that several tests of this folder evaluate."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any

from ner_ray.data.read import Record

Fields = dict[str, Any]

NAMES = ("Ada", "Grace Hopper", "山田", "Łódź", "Rome", "ACME <Ltd> & Sons")
LABELS = ("person", "place", "company")


def entity(text: str, surface: str, label: str, **more: Any) -> Fields:
    start = text.index(surface)
    return {"start": start, "end": start + len(surface), "text": surface, "label": label, **more}


def records(rows: Iterable[Any]) -> list[Record]:
    """Rows with their places, as they come out of a file."""
    return [("rows", number, row) for number, row in enumerate(rows)]


def rows(count: int, seed: int = 0) -> list[Fields]:
    """Documents of two sentences, with gold and with predictions of which some are wrong."""
    chance = random.Random(seed)
    return [_row(number, chance) for number in range(count)]


def _row(number: int, chance: random.Random) -> Fields:
    first, second = chance.sample(NAMES, 2)
    text = f"{first} met somebody in number {number}. Nobody saw {second} again."
    gold = [entity(text, first, chance.choice(LABELS)), entity(text, second, chance.choice(LABELS))]
    predicted = [
        {**entity, "label": entity["label"] if chance.random() < 0.7 else "place", "status": "exact", "score": 0.5}
        for entity in gold
        if chance.random() < 0.8
    ]
    return {"id": f"doc-{number}", "text": text, "labels": list(LABELS), "gold": gold, "entities": predicted}
