"""DynamicNER's four steps: classifier questions whose lists vary from row to row.

merge     the lists of two levels of one entity become one list, and its two questions become one
synonyms  types in the list and in the answer get other names
reduce    options other than the answer are removed from the list at random
special   the answer becomes `other ...` or `miscellaneous ...`, whatever it was: label noise, off by default

Luo et al., "DynamicNER", 2025; github.com/CascadeNER/CascadeNER, commit b059512, `DynamicNER/categorization`. How often
a step is taken depends on the distribution of the answers, as published. Unlike in the published code, all draws are
seeded.
"""

from __future__ import annotations

import math
import random
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean, pstdev

from ner_ray.synth.config import DynamicOptions
from ner_ray.synth.questions import Question
from ner_ray.types import LabelSet

_SPECIAL = ("miscellaneous", "other")
_FEWEST = 3  # the minimum number of options that a list keeps
_MOST_ADDED = 2  # the maximum number of second-level options in a merged list, in addition to the answer


@dataclass(frozen=True, slots=True)
class Hierarchy:
    """Parents and children in a label tree, by name; if a name occurs twice, the last one counts, as published."""

    parents: Mapping[str, str]
    children: Mapping[str, tuple[str, ...]]
    top: tuple[str, ...]

    @classmethod
    def of(cls, labels: LabelSet, shown: Mapping[str, str] | None = None) -> Hierarchy:
        """The hierarchy of a label tree. `shown` maps a label to its name in the questions; by default, lower case."""
        names = shown or {}
        parents: dict[str, str] = {}
        children: dict[str, tuple[str, ...]] = {}
        pending = list(labels)
        while pending:
            label = pending.pop(0)
            name = names.get(label.name, label.name.lower())
            own = tuple(names.get(child.name, child.name.lower()) for child in label.children)
            parents.update(dict.fromkeys(own, name))
            if own:
                children[name] = own
            pending += label.children
        return cls(parents, children, tuple(names.get(label.name, label.name.lower()) for label in labels))

    def parent(self, name: str) -> str:
        """A type's parent; a top-level type is its own parent."""
        return self.parents.get(name, name)

    def related(self, name: str) -> set[str]:
        """A type with its siblings, its parent and its children."""
        parent = self.parent(name)
        siblings = self.top if parent == name else self.children[parent]
        return {*siblings, parent, *self.children.get(name, ())}


@dataclass(frozen=True, slots=True)
class Spread:
    """The distribution of a set of answers over the types.

    Attributes:
        cohesion: share of all pairs of answers that are siblings, or equal, below the top level.
        entropy: normalised to [0, 1].
        gini: 0 if all types are equally frequent.
        variation: standard deviation of the frequencies divided by their mean.
        counts: type -> number of answers.
    """

    cohesion: float
    entropy: float
    gini: float
    variation: float
    counts: Mapping[str, int] = field(default_factory=dict)

    @property
    def health(self) -> float:
        """The sum of the four measures, as published."""
        steadiness = (2.5 - min(self.variation, 2.5)) / 2.5
        return 0.4 * self.cohesion + 0.3 * self.entropy + 0.2 * (1 - self.gini) + 0.1 * steadiness


def spread(answers: Sequence[str], hierarchy: Hierarchy) -> Spread:
    """The distribution of several answers; all zero if there are none."""
    counts = Counter(answers)
    if not counts:
        return Spread(0.0, 0.0, 0.0, 0.0)
    values, total = sorted(counts.values()), len(answers)
    pairs = total * (total - 1) // 2
    siblings = (sum(counts[name] for name in names) for names in hierarchy.children.values())
    cohesive = sum(size * (size - 1) // 2 for size in siblings)
    entropy = -sum(value / total * math.log2(value / total) for value in values)
    sums = sum(value * (len(values) - at) for at, value in enumerate(values))
    return Spread(
        cohesion=cohesive / pairs if pairs else 0.0,
        entropy=entropy / math.log2(len(values)) if len(values) > 1 else 0.0,
        gini=(len(values) + 1 - 2 * sums / total) / len(values),
        variation=pstdev(values) / fmean(values),
        counts=dict(counts),
    )


def vary(
    questions: Sequence[Sequence[Question]], hierarchy: Hierarchy, options: DynamicOptions
) -> list[list[Question]]:
    """The questions, by entity, after all steps; each step has its own random generator.

    Args:
        questions: for each entity, the questions of all its levels, in order.
        hierarchy: the hierarchy of the label set.
        options: the steps to take.
    """
    groups = [list(group) for group in questions]
    for name in options.steps:
        rng = random.Random(f"{options.seed}:{name}")  # noqa: S311 - to be repeatable, not secret
        found = spread([question.answer for group in groups for question in group], hierarchy)
        if name == "merge":
            groups = _merged(groups, found, hierarchy, rng)
        else:
            groups = [[_STEPS[name](question, found, options, rng) for question in group] for group in groups]
    return groups


def merge(first: Question, second: Question, hierarchy: Hierarchy, rng: random.Random) -> Question:
    """One question for two levels: the first list plus options of the second one, minus the parents of any of them."""
    others = [option for option in second.options if option != second.answer]
    related = hierarchy.related(second.answer)
    near = [option for option in others if option in related]
    far = [option for option in others if option not in related]
    wanted = min(_MOST_ADDED, len(others))
    added = rng.sample(near, min(wanted, len(near)))
    added += rng.sample(far, wanted - len(added))
    return replace(
        first, options=merge_options(first.options, [second.answer, *added], hierarchy), answer=second.answer
    )


def merge_options(options: Sequence[str], added: Sequence[str], hierarchy: Hierarchy) -> tuple[str, ...]:
    """A list extended by more types, sorted, without the parents of any types in it."""
    covered = {hierarchy.parent(name) for name in added}
    merged = {*(name for name in options if name not in covered), *added}
    parents = {hierarchy.parent(name) for name in merged if hierarchy.parent(name) != name}
    return tuple(sorted(merged - parents))


def one_special(options: Sequence[str]) -> list[str]:
    """A list with only the first of its catch-all options (`other ...`, `miscellaneous ...`)."""
    special = [name for name in options if name.startswith(_SPECIAL)]
    return [name for name in options if name not in special[1:]]


def synonym_key(name: str) -> str:
    """A type in lower case, without accents and anything else that is not ASCII."""
    return unicodedata.normalize("NFKD", name.lower()).encode("ascii", "ignore").decode()


def _merged(
    groups: Sequence[list[Question]], found: Spread, hierarchy: Hierarchy, rng: random.Random
) -> list[list[Question]]:
    rate = 0.6 if found.cohesion < 0.04 else 0.4
    return [
        [merge(group[0], group[1], hierarchy, rng), *group[2:]] if len(group) > 1 and rng.random() < rate else group
        for group in groups
    ]


def _synonyms(question: Question, found: Spread, options: DynamicOptions, rng: random.Random) -> Question:
    if rng.random() > (0.2 if found.variation > 2 else 0.4):
        return question
    median = sorted(found.counts.values())[len(found.counts) // 2]
    frequent = found.gini > 0.6
    names = {synonym_key(name): other for name, other in options.synonyms.items()}

    def call(name: str) -> str:
        often = found.counts.get(name, 0)
        return names.get(synonym_key(name), name) if (often > median if frequent else often < median) else name

    return replace(question, options=tuple(map(call, question.options)), answer=call(question.answer))


def _reduce(question: Question, found: Spread, options: DynamicOptions, rng: random.Random) -> Question:  # noqa: ARG001
    if rng.random() >= (0.24 if found.entropy < 0.8 else 0.3) or len(question.options) <= _FEWEST:
        return question
    others = [name for name in question.options if name != question.answer]
    size = rng.randint(_FEWEST, len(others) + 1)
    kept = [question.answer, *rng.sample(others, size - 1)]
    return replace(question, options=tuple(rng.sample(kept, len(kept))))


def _special(question: Question, found: Spread, options: DynamicOptions, rng: random.Random) -> Question:  # noqa: ARG001
    poor = found.health < 0.4
    rate = (0.2 if poor else 0.3) * (0.8 if found.cohesion < 0.03 else 1)
    names = one_special(question.options)
    if rng.random() >= rate or len(names) < _FEWEST:
        return question
    answer = next((name for name in names if name.startswith(_SPECIAL)), "unknown")
    names = names if answer in names else [*names, answer]
    weights = (0.1, 0.2, 0.2, 0.5) if poor else (0.2, 0.3, 0.3, 0.2)
    removable = [name for name in names if name != answer]
    count = min(rng.choices(range(4), weights)[0], len(names) - _FEWEST)
    removed = set(rng.sample(removable, count))
    kept = [name for name in names if name not in removed]
    return replace(question, options=tuple(rng.sample(kept, len(kept))), answer=answer)


_STEPS = {"synonyms": _synonyms, "reduce": _reduce, "special": _special}
