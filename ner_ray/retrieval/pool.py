"""The pool: annotated texts, in any format that `ner_ray.data` reads, that may be shown to a model as examples."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ner_ray.data import AnnotatedText, LabelMap, Reject, distinct, read, split
from ner_ray.types import Demonstration, Mention


@dataclass(frozen=True, slots=True)
class Pool:
    """The examples of a pool, in the order in which they were read.

    Attributes:
        examples: for each mention of an example, `text[m.start:m.end] == m.text`.
        rejects: rows that cannot be examples, and why.
        dropped: number of entities that the label map leaves out.
    """

    examples: tuple[Demonstration, ...]
    rejects: tuple[Reject, ...] = ()
    dropped: int = 0


def read_pool(uris: Sequence[str], label_map: LabelMap | None = None) -> Pool:
    """The examples of files, folders and run directories, in order.

    Raises:
        InputError: a source is missing or cannot be read.
        ConfigError: the label map names a label that the pool does not have.
    """
    return make_pool(read(uris, label_map))


def make_pool(items: Iterable[AnnotatedText | Reject]) -> Pool:
    """The pool of some annotated texts; a text that occurs again is rejected."""
    found, rejects = split(distinct(items))
    dropped = sum(len(item.dropped) for item in found)
    return Pool(tuple(map(_example, found)), tuple(rejects), dropped)


def _example(annotated: AnnotatedText) -> Demonstration:
    mentions = (Mention(entity.text, entity.label, start=entity.start, end=entity.end) for entity in annotated.entities)
    return Demonstration(annotated.text, tuple(mentions), example_id=annotated.text_id)
