"""Handwritten transcripts."""

from __future__ import annotations

from ner_ray.types import Completion, Exchange, Prompt


def said(*answers: str) -> list[Exchange]:
    """One prompt with these answers, one per sample; empty without answers."""
    return [Exchange(Prompt(""), tuple(Completion(answer) for answer in answers))] if answers else []
