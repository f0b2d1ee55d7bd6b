"""Which of a teacher's mentions become training data: named filters, in the order and choice that a configuration says.

A filter keeps, changes or removes each mention, and what it did is kept by its name. `PUBLISHED` are the rules of
Sky-NER's `3.ner_annotation_filter.py` (github.com/Emma1066/Retrieval-Augmented-IT-OpenNER, commit f4b177b), which go
back to UniversalNER's, in their order; they keep the first of equal pairs, where the published code keeps an arbitrary
order. Not so that code's list of types without meaning: it lacks a comma and so holds neither `entity` nor
`entity type`. `PUBLISHED_TYPES` is that list as it works.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator

from ner_ray.types import Mention

PUBLISHED = ("duplicate", "length", "in_text", "type", "brackets")
"""The published rules, in the published order."""

PUBLISHED_TYPES = frozenset(
    {"实体", "实体类别", "其他", "无", "无类别", "未定义", "entity_type", "entity typeentity"}
    | {"else", "none", "na", "misc"}
)
"""Types without meaning, as the published code has them."""

MEANINGLESS_TYPES = PUBLISHED_TYPES - {"entity typeentity"} | {
    *("", "entity", "entity type", "entities", "other", "others", "miscellaneous", "n/a", "null", "unknown", "type"),
    *("实体类型", "其它", "未知", "类别", "类型"),
}
"""The same with what that list means to hold, and its nearest relatives."""


class FilterOptions(BaseModel):
    """Which filters, in which order, and their limits."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: tuple[str, ...] = Field(
        default=("repetition", "normalize", "brackets", "duplicate", "length", "in_text", "type"),
        description="Names of filters, in the order in which they are applied; one left out is switched off. What "
        "changes mentions comes before what compares them; the published order is the other way round.",
    )
    length_unit: Literal["characters", "words"] = Field(
        default="characters",
        description="What `length` counts: characters, as published for Chinese; words between blanks, for English.",
    )
    max_length: int = Field(default=20, ge=1, description="The most of these units that a surface may have.")
    invalid_types: frozenset[str] = Field(
        default=MEANINGLESS_TYPES, description="Types that `type` removes, in lower case."
    )
    brackets: tuple[str, ...] = Field(
        default=("《》", "【】", "[]"), description="Pairs that `brackets` takes off the ends of a surface."
    )
    type_map: Mapping[str, str] = Field(
        default_factory=dict, description="Type -> the name that `normalize` gives it, as `synth.types.unify` says."
    )
    min_agreement: float = Field(
        default=0.5, ge=0, le=1, description="`agreement` removes what a smaller share of the teacher's samples names."
    )
    max_repeats: int = Field(
        default=8,
        ge=1,
        description="`repetition` removes a pair that one answer lists more often: a teacher in a loop.",
    )

    @field_validator("steps")
    @classmethod
    def _are_known(cls, steps: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [step for step in steps if step not in FILTERS]
        if unknown:
            raise ValueError(f"no filter named {unknown[0]!r}; known: {', '.join(sorted(FILTERS))}")
        return steps


@dataclass(frozen=True, slots=True)
class Removed:
    """A mention and the name of the filter that removed it."""

    mention: Mention
    by: str


@dataclass(frozen=True, slots=True)
class Filtered:
    """What is left of a passage's mentions, in their order, and what is not."""

    kept: tuple[Mention, ...]
    removed: tuple[Removed, ...]
    counts: FilterCounts


@dataclass(frozen=True, slots=True)
class FilterCounts:
    """How many mentions each filter saw, removed and changed; adds."""

    seen: Counter[str] = field(default_factory=Counter)
    removed: Counter[str] = field(default_factory=Counter)
    changed: Counter[str] = field(default_factory=Counter)

    def __add__(self, other: FilterCounts) -> FilterCounts:
        return FilterCounts(
            self.seen + other.seen,
            self.removed + other.removed,
            self.changed + other.changed,
        )

    def to_dict(self) -> dict[str, dict[str, int]]:
        return {name: dict(sorted(getattr(self, name).items())) for name in ("seen", "removed", "changed")}

    @classmethod
    def from_dict(cls, data: Mapping[str, Mapping[str, int]]) -> Self:
        return cls(*(Counter(data[name]) for name in ("seen", "removed", "changed")))

    def table(self, steps: Iterable[str]) -> str:
        """A Markdown table with a row for each of the steps, in their order."""
        rows = [f"| {step} | {self.seen[step]} | {self.removed[step]} | {self.changed[step]} |" for step in steps]
        return "\n".join(["| filter | seen | removed | changed |", "|---|---|---|---|", *rows])


def apply(text: str, mentions: Sequence[Mention], options: FilterOptions) -> Filtered:
    """The mentions of a passage that pass every filter, each as the filters leave it."""
    kept = tuple(mentions)
    removed: list[Removed] = []
    counts = FilterCounts()
    for name in options.steps:
        after = FILTERS[name](text, kept, options)
        counts.seen[name] += len(kept)
        counts.removed[name] += after.count(None)
        counts.changed[name] += sum(one is not None and one != was for was, one in zip(kept, after, strict=True))
        removed += [Removed(was, name) for was, one in zip(kept, after, strict=True) if one is None]
        kept = tuple(one for one in after if one is not None)
    return Filtered(kept, tuple(removed), counts)


_Judged = list[Mention | None]
_Filter = Callable[[str, Sequence[Mention], FilterOptions], _Judged]


def _keep(mentions: Sequence[Mention], judge: Callable[[Mention], Any]) -> _Judged:
    return [mention if judge(mention) else None for mention in mentions]


def _repetition(text: str, mentions: Sequence[Mention], options: FilterOptions) -> _Judged:  # noqa: ARG001 - a filter
    listed = Counter((one.text, one.label) for one in mentions)
    return _keep(mentions, lambda one: listed[one.text, one.label] <= options.max_repeats)


def _agreement(text: str, mentions: Sequence[Mention], options: FilterOptions) -> _Judged:  # noqa: ARG001 - a filter
    return _keep(mentions, lambda one: one.score is None or one.score >= options.min_agreement)


def _normalize(text: str, mentions: Sequence[Mention], options: FilterOptions) -> _Judged:  # noqa: ARG001 - a filter
    return [replace(one, label=options.type_map.get(one.label, one.label)) for one in mentions]


def _duplicate(text: str, mentions: Sequence[Mention], options: FilterOptions) -> _Judged:  # noqa: ARG001 - a filter
    first: dict[tuple[str, str], int] = {}
    for number, one in enumerate(mentions):
        first.setdefault((one.text, one.label), number)
    return [one if first[one.text, one.label] == number else None for number, one in enumerate(mentions)]


def _length(text: str, mentions: Sequence[Mention], options: FilterOptions) -> _Judged:  # noqa: ARG001 - a filter
    def units(surface: str) -> int:
        return len(surface) if options.length_unit == "characters" else len(surface.split(" "))

    return _keep(mentions, lambda one: units(one.text) <= options.max_length)


def _in_text(text: str, mentions: Sequence[Mention], options: FilterOptions) -> _Judged:  # noqa: ARG001 - a filter
    lowered = text.lower()
    return _keep(mentions, lambda one: one.text.lower() in lowered)


def _type(text: str, mentions: Sequence[Mention], options: FilterOptions) -> _Judged:  # noqa: ARG001 - a filter
    return _keep(mentions, lambda one: one.label.lower() not in options.invalid_types)


def _brackets(text: str, mentions: Sequence[Mention], options: FilterOptions) -> _Judged:  # noqa: ARG001 - a filter
    """The surface without each of the pairs that encloses it, once; one that is nothing but a pair is removed."""
    judged: _Judged = []
    for one in mentions:
        surface = one.text
        for pair in options.brackets:
            if len(surface) > 1 and surface.startswith(pair[0]) and surface.endswith(pair[1]):
                surface = surface[1:-1]
        judged.append(replace(one, text=surface) if surface else None)
    return judged


FILTERS: Mapping[str, _Filter] = {
    "agreement": _agreement,
    "brackets": _brackets,
    "duplicate": _duplicate,
    "in_text": _in_text,
    "length": _length,
    "normalize": _normalize,
    "repetition": _repetition,
    "type": _type,
}
"""Every filter by its name: a mention for a mention, changed or not, or None where it is removed."""
