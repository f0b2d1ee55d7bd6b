"""Several annotated sources as one data set: conflicts between their types found, names joined, rows chosen.

After B2NERD (Yang et al., "Beyond Boundaries", 2024; github.com/UmeanNever/B2NER, commit 01858da). `conflicts` is its
rule-based screening (`data/analysis/rule_screen_conflict.py`): does one source annotate what the other calls a person?
It reads words of any script, where theirs reads blanks and so English only, and its draws are seeded. `unify` is the
taxonomy that people write after reading the conflicts. `prune` follows the paper's aim, types balanced and texts
unlike each other; how the published set was chosen is not published.
"""

from __future__ import annotations

import heapq
import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from ner_ray.errors import ConfigError
from ner_ray.text.normalize import fold
from ner_ray.text.tokens import spans
from ner_ray.types import Entity

ANY_SOURCE = "*"
"""The key of a taxonomy's names that hold for every source."""

NO_ENTITY = ""
"""The type under which `prune` counts rows without an entity."""

_LONGEST = 32  # tokens of a mention that is looked for elsewhere
_RUN = 3  # tokens of what texts are compared by

Taxonomy = Mapping[str, Mapping[str, str | None]]
Outcome = Literal["consistent", "other_type", "other_span", "not_annotated"]


class CurationOptions(BaseModel):
    """How much is compared, and how much is kept."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mentions: int = Field(default=2000, ge=1, description="Mentions of a type that are looked for in another source.")
    texts: int = Field(default=2000, ge=1, description="Texts of a source in which mentions are looked for.")
    min_matched: int = Field(
        default=5, ge=1, description="Mentions found elsewhere without which two types are not compared."
    )
    size: int | None = Field(default=None, ge=1, description="Rows to keep; null: all.")
    choices: int = Field(
        default=8, ge=1, description="Rows out of which the one is taken whose text is least like what is there."
    )
    seed: int = Field(default=0, description="Of all draws.")


@dataclass(frozen=True, slots=True)
class Example:
    """An annotated text and the source that it comes from."""

    example_id: str
    source: str
    text: str
    entities: tuple[Entity, ...]


@dataclass(frozen=True, slots=True)
class Conflict:
    """What became of the mentions of a type of one source in the texts of another that knows the type too.

    Attributes:
        label: the type, as the first source writes it.
        source: whose mentions these are.
        other: whose texts these are.
        outcomes: consistent: annotated there alike; other_type: with another type; other_span: a part of it is
            annotated with the type; not_annotated: none of these.
        examples: some mentions of each kind that is not consistent.
    """

    label: str
    source: str
    other: str
    outcomes: Mapping[Outcome, int]
    examples: Mapping[Outcome, tuple[str, ...]]

    @property
    def matched(self) -> int:
        return sum(self.outcomes.values())

    @property
    def share(self) -> float:
        """Of the mentions that were found, those that the other source does not annotate alike; 0 for none."""
        return 1 - self.outcomes.get("consistent", 0) / self.matched if self.matched else 0.0


@dataclass(frozen=True, slots=True)
class Curated:
    """A curated data set, and what was done.

    Attributes:
        examples: in their order.
        conflicts: the worst first, in the sources as they came.
        renamed: (source, type, new name) -> entities.
        removed: (source, type) -> entities whose type the taxonomy drops.
        pruned: source -> rows that were not kept.
        before: type -> entities, before rows were chosen.
        after: the same afterwards.
    """

    examples: tuple[Example, ...]
    conflicts: tuple[Conflict, ...]
    renamed: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    removed: Counter[tuple[str, str]] = field(default_factory=Counter)
    pruned: Counter[str] = field(default_factory=Counter)
    before: Counter[str] = field(default_factory=Counter)
    after: Counter[str] = field(default_factory=Counter)


def curate(examples: Sequence[Example], taxonomy: Taxonomy, options: CurationOptions) -> Curated:
    """The sources as one data set. The same arguments give the same data set.

    Args:
        examples: of all sources.
        taxonomy: source, or `*` for all -> its type -> the name to use, or None to drop it; what is not in it stays.
        options: how much.
    """
    found = conflicts(examples, options)
    renamed: Counter[tuple[str, str, str]] = Counter()
    removed: Counter[tuple[str, str]] = Counter()
    unified = [unify(one, taxonomy, renamed, removed) for one in examples]
    kept = prune(unified, options)
    every, chosen = (Counter(one.source for one in some) for some in (unified, kept))
    return Curated(
        tuple(kept), tuple(found), renamed, removed, every - chosen, _type_counts(unified), _type_counts(kept)
    )


def parse_taxonomy(plain: Any) -> Taxonomy:  # whatever a YAML file held
    """The taxonomy that plain data describes.

    Raises:
        ConfigError: it is not a mapping of sources to mappings of types to names (or null).
    """
    if not isinstance(plain, Mapping) or not all(isinstance(names, Mapping) for names in plain.values()):
        raise ConfigError(
            "a taxonomy must map sources (or `*`) to mappings of their types", hint="such as {'*': {PER: person}}"
        )
    for source, renames in plain.items():
        for label, name in renames.items():
            if name is not None and not (isinstance(name, str) and name.strip()):
                raise ConfigError(f"taxonomy, {source}, {label}: {name!r} is no name", hint="null drops a type")
    return {str(source): {str(label): name for label, name in names.items()} for source, names in plain.items()}


def conflicts(examples: Iterable[Example], options: CurationOptions) -> list[Conflict]:
    """What every two sources make of each other's mentions, for each type that both have; the worst first.

    Types are the same if they differ in case alone. A mention counts once for each time it was drawn, with the first
    drawn text that holds it as whole words, and not strictly inside another entity. Both directions are reported.
    """
    by_source: dict[str, list[Example]] = defaultdict(list)
    for one in examples:
        by_source[one.source].append(one)
    mentions = {name: _mentions(name, some, options) for name, some in by_source.items()}
    wanted = {text for labels in mentions.values() for _, drawn in labels.values() for text in drawn}
    found = []
    for other, some in by_source.items():
        places = _places(_drawn_texts(other, some, options), wanted)
        for source in by_source:
            if source == other:
                continue
            for key in sorted(mentions[source].keys() & mentions[other].keys()):
                label, drawn = mentions[source][key]
                found.append(_compare(label, source, other, drawn, places))
    tested = [one for one in found if one.matched >= options.min_matched]
    return sorted(tested, key=lambda one: (-one.share, -one.matched, one.label, one.source, one.other))


def unify(
    example: Example,
    taxonomy: Taxonomy,
    renamed: Counter[tuple[str, str, str]] | None = None,
    removed: Counter[tuple[str, str]] | None = None,
) -> Example:
    """The example with the taxonomy's names; a source's own come before those of `*`. Counts into the counters."""
    names = {**taxonomy.get(ANY_SOURCE, {}), **taxonomy.get(example.source, {})}
    kept = []
    for entity in example.entities:
        name = names.get(entity.label, entity.label)
        if name is None:
            if removed is not None:
                removed[example.source, entity.label] += 1
            continue
        if name != entity.label and renamed is not None:
            renamed[example.source, entity.label, name] += 1
        kept.append(replace(entity, label=name))
    return replace(example, entities=tuple(kept))


def prune(examples: Sequence[Example], options: CurationOptions) -> list[Example]:
    """So many of the examples, in their order: types balanced, texts unlike each other.

    The type with the fewest entities so far is served next: of the next few of its examples, in seeded order, the one
    that is taken has the largest share of word runs that no example taken before has. Rows without entities count as
    a type of their own.
    """
    if options.size is None or options.size >= len(examples):
        return list(examples)
    waiting = _queues(examples, options)
    queue = [(0, name) for name in sorted(waiting)]
    taken: dict[int, None] = {}
    counts: Counter[str] = Counter()
    seen: set[str] = set()
    while queue and len(taken) < options.size:
        count, name = heapq.heappop(queue)
        if count < counts[name]:
            heapq.heappush(queue, (counts[name], name))
            continue
        best = _least_like(waiting[name], taken, examples, seen, options.choices)
        if best is None:
            continue
        taken[best] = None
        seen |= _runs(examples[best].text)
        counts.update(_types(examples[best]))
        heapq.heappush(queue, (counts[name], name))
    return [examples[number] for number in sorted(taken)]


def report(curated: Curated, rows: int = 50) -> str:
    """What was found, joined and dropped, in Markdown; of long tables the first rows."""
    parts = [
        f"{len(curated.examples):,} rows are kept, {curated.pruned.total():,} are not.",
        _table(
            "Types that conflict",
            ("type", "mentions of", "in texts of", "conflict", "found", "other type", "other span", "not annotated"),
            [
                (
                    one.label,
                    one.source,
                    one.other,
                    f"{one.share:.2f}",
                    one.matched,
                    *(one.outcomes.get(kind, 0) for kind in _CONFLICTING),
                )
                for one in curated.conflicts
            ],
            rows,
        ),
        _table(
            "Types that were renamed",
            ("source", "type", "name", "entities"),
            [(*key, count) for key, count in curated.renamed.most_common()],
            rows,
        ),
        _table(
            "Types that were dropped",
            ("source", "type", "entities"),
            [(*key, count) for key, count in curated.removed.most_common()],
            rows,
        ),
        _table("Rows that were not kept", ("source", "rows"), curated.pruned.most_common(), rows),
        _table(
            "Entities by type",
            ("type", "before", "after"),
            [(name, count, curated.after[name]) for name, count in curated.before.most_common()],
            rows,
        ),
    ]
    return "\n\n".join(parts) + "\n"


_CONFLICTING: tuple[Outcome, ...] = ("other_type", "other_span", "not_annotated")
_EXAMPLES = 20

_Place = tuple[Example, int, int]


def _mentions(source: str, examples: Iterable[Example], options: CurationOptions) -> dict[str, tuple[str, list[str]]]:
    """Type in lower case -> how it is written first, and the mentions that are drawn of it, repeats included."""
    listed: dict[str, tuple[str, list[str]]] = {}
    for one in examples:
        for entity in one.entities:
            listed.setdefault(entity.label.lower(), (entity.label, []))[1].append(one.text[entity.start : entity.end])
    return {
        key: (label, _draw(f"{options.seed}:{source}:{key}", texts, options.mentions))
        for key, (label, texts) in listed.items()
    }


def _drawn_texts(source: str, examples: Sequence[Example], options: CurationOptions) -> list[Example]:
    return _draw(f"{options.seed}:{source}", examples, options.texts)


def _draw(seed: str, items: Sequence[Any], most: int) -> list[Any]:
    rng = random.Random(seed)  # noqa: S311 - to be repeatable, not secret
    return rng.sample(items, min(most, len(items)))


def _places(examples: Iterable[Example], wanted: set[str]) -> dict[str, _Place]:
    """Surface -> the first place at which it stands as whole words and not strictly inside an entity."""
    found: dict[str, _Place] = {}
    for one in examples:
        inner = [(entity.start, entity.end) for entity in one.entities]
        for start, end in _word_runs(one.text):
            surface = one.text[start:end]
            if surface in wanted and surface not in found and not _is_inside(start, end, inner):
                found[surface] = (one, start, end)
    return found


def _word_runs(text: str) -> Iterator[tuple[int, int]]:
    words = spans(text)
    for first, (start, _) in enumerate(words):
        for _, end in words[first : first + _LONGEST]:
            yield start, end


def _is_inside(start: int, end: int, entities: Iterable[tuple[int, int]]) -> bool:
    return any(low <= start and end <= high and (low, high) != (start, end) for low, high in entities)


def _compare(label: str, source: str, other: str, drawn: Iterable[str], places: Mapping[str, _Place]) -> Conflict:
    outcomes: Counter[Outcome] = Counter()
    examples: dict[Outcome, dict[str, None]] = {}
    for surface in drawn:
        if surface in places:
            outcome = _outcome(label.lower(), *places[surface])
            outcomes[outcome] += 1
            examples.setdefault(outcome, {})[surface] = None
    shown = {kind: tuple(examples[kind])[:_EXAMPLES] for kind in _CONFLICTING if kind in examples}
    return Conflict(label, source, other, dict(outcomes), shown)


def _outcome(label: str, example: Example, start: int, end: int) -> Outcome:
    same = {entity.label.lower() for entity in example.entities if (entity.start, entity.end) == (start, end)}
    if label in same:
        return "consistent"
    if same:
        return "other_type"
    parts = (one for one in example.entities if one.label.lower() == label and start <= one.start and one.end <= end)
    return "other_span" if any(parts) else "not_annotated"


def _queues(examples: Sequence[Example], options: CurationOptions) -> dict[str, list[int]]:
    """Type -> the numbers of its examples in seeded order, the next one last."""
    order = list(range(len(examples)))
    random.Random(options.seed).shuffle(order)  # noqa: S311 - to be repeatable, not secret
    waiting: dict[str, list[int]] = defaultdict(list)
    for number in order:
        for name in _types(examples[number]):
            waiting[name].append(number)
    return waiting


def _least_like(
    waiting: list[int], taken: Mapping[int, None], examples: Sequence[Example], seen: set[str], choices: int
) -> int | None:
    """The next example of a type; those that it was chosen out of stay, for later."""
    looked: list[int] = []
    while waiting and len(looked) < choices:
        number = waiting.pop()
        if number not in taken:
            looked.append(number)
    if not looked:
        return None
    best = max(looked, key=lambda number: _novelty(examples[number].text, seen))
    waiting += [number for number in reversed(looked) if number != best]
    return best


def _novelty(text: str, seen: set[str]) -> float:
    """The share of a text's word runs that have not been seen."""
    runs = _runs(text)
    return len(runs - seen) / len(runs)


def _runs(text: str) -> set[str]:
    folded = fold(text)
    words = [folded[start:end] for start, end in spans(folded)]
    return {" ".join(words[at : at + _RUN]) for at in range(max(1, len(words) - _RUN + 1))}


def _types(example: Example) -> Counter[str]:
    return Counter(entity.label for entity in example.entities) or Counter([NO_ENTITY])


def _type_counts(examples: Iterable[Example]) -> Counter[str]:
    return Counter(entity.label for one in examples for entity in one.entities)


def _table(title: str, head: Sequence[str], lines: Sequence[Sequence[object]], most: int) -> str:
    if not lines:
        return f"## {title}\n\nnone"
    shown = ["| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines[:most]]
    rest = [f"\nand {len(lines) - most:,} more"] if len(lines) > most else []
    return "\n".join([f"## {title}\n", f"| {' | '.join(head)} |", "|" + "---|" * len(head), *shown, *rest])
