"""Shared by the two scorers that ask one question per label."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from ner_ray.evaluate.papers.base import Case
from ner_ray.types import Entity


def gold_by_label(case: Case) -> defaultdict[str, list[str]]:
    """The annotated surfaces of each label."""
    return _by_label(case.gold)


def predicted_by_label(case: Case) -> defaultdict[str, list[str]]:
    """The predicted surfaces of each label."""
    return _by_label(case.predicted)


def answered(case: Case, label: str) -> str:
    """The first answer to the question for a label; empty if there is none."""
    for exchange in (case.answers or {}).get("tagger", ()):
        if exchange.prompt.subject == label and exchange.completions:
            return exchange.completions[0].text
    return ""


def _by_label(entities: Sequence[Entity]) -> defaultdict[str, list[str]]:
    surfaces: defaultdict[str, list[str]] = defaultdict(list)
    for entity in entities:
        surfaces[entity.label].append(entity.text)
    return surfaces
