"""From a label set to the names that a prompt offers, and from a name in an answer back to a label."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ner_ray.families.base import LabelPolicy
from ner_ray.types import Label, LabelSet

PATH = "->"
"""Joins the levels of a label's path, as B2NER's hierarchical labels do."""


def leaves(labels: LabelSet) -> dict[tuple[str, ...], str]:
    """Path of every leaf of the label trees -> the label that our entities have, in the order of the set.

    The label is the name of the leaf; if two leaves share a name, it is the path.
    """
    paths = list(_paths(labels))
    counts = Counter(path[-1] for path in paths)
    return {path: path[-1] if counts[path[-1]] == 1 else PATH.join(path) for path in paths}


def outputs(labels: LabelSet) -> dict[str, str]:
    """The same with each path as one string: the names in a prompt that shows hierarchies."""
    return {PATH.join(path): label for path, label in leaves(labels).items()}


def names(labels: LabelSet) -> dict[str, str]:
    """Every leaf's label -> itself: the names in a prompt without hierarchies."""
    return {label: label for label in leaves(labels).values()}


def descriptions(labels: LabelSet) -> dict[str, str]:
    """Label of every leaf that has a description -> the description."""
    texts = (text for label in labels for text in _descriptions(label))
    return {label: text for label, text in zip(leaves(labels).values(), texts, strict=True) if text}


@dataclass(frozen=True, slots=True)
class Resolved:
    """The label that a name in an answer means; `label` is None if the policy refuses the name."""

    label: str | None
    exact: bool = True


def resolve(name: str, known: Mapping[str, str], policy: LabelPolicy) -> Resolved:
    """The label for a name as a model wrote it.

    Args:
        name: as written.
        known: offered name -> label.
        policy: how a name is treated that is neither offered nor a label, even regardless of case and white space.
    """
    if name in known:
        return Resolved(known[name])
    spelt = same_name(name, (*known, *known.values()))
    if spelt is not None:
        return Resolved(known.get(spelt, spelt), exact=False)
    if policy == "keep" and name.strip():
        return Resolved(name.strip(), exact=False)
    if policy == "nearest" and known:
        return Resolved(known[nearest(name, list(known))], exact=False)
    return Resolved(None, exact=False)


def same_name(name: str, offered: Iterable[str]) -> str | None:
    """The offered name with the most similar spelling; None if all differ in more than case, `_` and white space.

    If several names differ only in these, the exact one wins, then the one with the same underscores.

    >>> same_name("Job_Title", ["job title", "job_title"])
    'job_title'
    """
    names = list(offered)
    for spelling in (str.strip, _plain, fold):
        wanted = spelling(name)
        for other in names:
            if spelling(other) == wanted:
                return other
    return None


def nearest(name: str, offered: Sequence[str]) -> str:
    """The offered name with the highest normalised indel similarity; of equals, the first."""
    from rapidfuzz.distance import Indel

    return max(offered, key=lambda other: Indel.normalized_similarity(fold(name), fold(other)))


def fold(name: str) -> str:
    """A name without the differences that models introduce: in case, underscores for spaces, white space."""
    return " ".join(name.replace("_", " ").split()).casefold()


def _plain(name: str) -> str:
    return " ".join(name.split()).casefold()


def _paths(labels: LabelSet) -> Iterator[tuple[str, ...]]:
    for label in labels:
        if label.children:
            yield from ((label.name, *path) for path in _paths(label.children))
        else:
            yield (label.name,)


def _descriptions(label: Label) -> Iterator[str]:
    if label.children:
        for child in label.children:
            yield from _descriptions(child)
    else:
        yield label.description
