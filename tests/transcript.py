"""Transcripts written by hand."""

from __future__ import annotations

from ner_ray.types import Completion, Exchange, Prompt


def said(*answers: str) -> list[Exchange]:
    """One question with these answers, one per sample; nothing where there are none."""
    return [Exchange(Prompt(""), tuple(Completion(answer) for answer in answers))] if answers else []
