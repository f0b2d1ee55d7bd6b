"""Which of a teacher's mentions become training data: named filters, selected and ordered by the configuration.

A filter keeps, changes or removes each mention, and what it did is counted under its name. `config.PUBLISHED_FILTERS`
are the rules of Sky-NER's `3.ner_annotation_filter.py` (github.com/Emma1066/Retrieval-Augmented-IT-OpenNER, commit
f4b177b), which go back to UniversalNER's, in their order. They keep the first of equal pairs, while the published code
keeps an arbitrary one. That code's list of types without meaning lacks a comma, so it contains neither `entity` nor
`entity type`: `config.PUBLISHED_TYPES` is the list as it works, `config.MEANINGLESS_TYPES` as it was meant.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ner_ray.synth.config import FilterName, FilterOptions
from ner_ray.types import Mention


@dataclass(frozen=True, slots=True)
class Removed:
    """A mention and the name of the filter that removed it."""

    mention: Mention
    by: str


@dataclass(frozen=True, slots=True)
class Filtered:
    """What remains of a passage's mentions, in their order, and what was removed."""

    kept: tuple[Mention, ...]
    removed: tuple[Removed, ...]
    counts: FilterCounts


@dataclass(frozen=True, slots=True)
class FilterCounts:
    """How many mentions each filter saw, removed and changed, by the filter's name; instances can be added."""

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

    def table(self, steps: Iterable[str]) -> str:
        """A Markdown table with a row for each step, in order."""
        rows = [f"| {step} | {self.seen[step]} | {self.removed[step]} | {self.changed[step]} |" for step in steps]
        return "\n".join(["| filter | seen | removed | changed |", "|---|---|---|---|", *rows])


def apply(text: str, mentions: Sequence[Mention], options: FilterOptions) -> Filtered:
    """The mentions of a passage that pass every filter, as changed by the filters."""
    kept = tuple(mentions)
    removed: list[Removed] = []
    counts = FilterCounts()
    for name in options.steps:
        after = FILTERS[name](text, kept, options)
        counts.seen[name] += len(kept)
        counts.removed[name] += after.count(None)
        counts.changed[name] += sum(new is not None and new != old for old, new in zip(kept, after, strict=True))
        removed += [Removed(old, name) for old, new in zip(kept, after, strict=True) if new is None]
        kept = tuple(mention for mention in after if mention is not None)
    return Filtered(kept, tuple(removed), counts)


_Judged = list[Mention | None]
_Filter = Callable[[str, Sequence[Mention], FilterOptions], _Judged]


def _keep(mentions: Sequence[Mention], judge: Callable[[Mention], Any]) -> _Judged:
    return [mention if judge(mention) else None for mention in mentions]


def _repetition(text: str, mentions: Sequence[Mention], options: FilterOptions) -> _Judged:  # noqa: ARG001 - a filter
    listed = Counter((mention.text, mention.label) for mention in mentions)
    return _keep(mentions, lambda mention: listed[mention.text, mention.label] <= options.max_repeats)


def _agreement(text: str, mentions: Sequence[Mention], options: FilterOptions) -> _Judged:  # noqa: ARG001 - a filter
    return _keep(mentions, lambda mention: mention.score is None or mention.score >= options.min_agreement)


def _normalize(text: str, mentions: Sequence[Mention], options: FilterOptions) -> _Judged:  # noqa: ARG001 - a filter
    return [replace(mention, label=options.type_map.get(mention.label, mention.label)) for mention in mentions]


def _duplicate(text: str, mentions: Sequence[Mention], options: FilterOptions) -> _Judged:  # noqa: ARG001 - a filter
    first: dict[tuple[str, str], int] = {}
    for number, mention in enumerate(mentions):
        first.setdefault((mention.text, mention.label), number)
    return [
        mention if first[mention.text, mention.label] == number else None for number, mention in enumerate(mentions)
    ]


def _length(text: str, mentions: Sequence[Mention], options: FilterOptions) -> _Judged:  # noqa: ARG001 - a filter
    def units(surface: str) -> int:
        return len(surface) if options.length_unit == "characters" else len(surface.split(" "))

    return _keep(mentions, lambda mention: units(mention.text) <= options.max_length)


def _in_text(text: str, mentions: Sequence[Mention], options: FilterOptions) -> _Judged:  # noqa: ARG001 - a filter
    lowered = text.lower()
    return _keep(mentions, lambda mention: mention.text.lower() in lowered)


def _type(text: str, mentions: Sequence[Mention], options: FilterOptions) -> _Judged:  # noqa: ARG001 - a filter
    return _keep(mentions, lambda mention: mention.label.lower() not in options.invalid_types)


def _brackets(text: str, mentions: Sequence[Mention], options: FilterOptions) -> _Judged:  # noqa: ARG001 - a filter
    """Removes each pair that encloses the surface, stripping it once; removes a mention that is only a pair."""
    judged: _Judged = []
    for mention in mentions:
        surface = mention.text
        for pair in options.brackets:
            if len(surface) > 1 and surface.startswith(pair[0]) and surface.endswith(pair[1]):
                surface = surface[1:-1]
        judged.append(replace(mention, text=surface) if surface else None)
    return judged


FILTERS: Mapping[FilterName, _Filter] = {
    "agreement": _agreement,
    "brackets": _brackets,
    "duplicate": _duplicate,
    "in_text": _in_text,
    "length": _length,
    "normalize": _normalize,
    "repetition": _repetition,
    "type": _type,
}
"""Filters by name. A filter returns, for each mention, the mention, changed or not, or None if it removes it."""
