"""Demonstrations: annotated examples that are retrieved for each text and shown in its prompt."""

from __future__ import annotations

from ner_ray.retrieval.index import IndexReport, build_index, index_digest, open_index
from ner_ray.retrieval.selection import Counts, Measure, Selector, estimate_tokens, open_selector, select

__all__ = [
    "Counts",
    "IndexReport",
    "Measure",
    "Selector",
    "build_index",
    "estimate_tokens",
    "index_digest",
    "open_index",
    "open_selector",
    "select",
]
