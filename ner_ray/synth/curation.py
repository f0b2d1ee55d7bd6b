"""Merge several annotated sources into one data set: find conflicting types, unify names, select rows.

After B2NERD (Yang et al., "Beyond Boundaries", 2024; github.com/UmeanNever/B2NER, commit 01858da). `conflicts` is its
rule-based screening (`data/analysis/rule_screen_conflict.py`): does one source annotate what the other calls a person?
It finds words in any script, whereas theirs splits at spaces and so suits English only, and its draws are seeded.
`unify` applies the taxonomy that people write after reading the conflicts. `prune` follows the paper's aim of balanced
types and dissimilar texts; how the published set was selected has not been published.
"""

from __future__ import annotations

import heapq
import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import Field

from ner_ray.config import Section
from ner_ray.data import AnnotatedText, check_label_map, relabel
from ner_ray.data.label_map import labels_of
from ner_ray.errors import ConfigError
from ner_ray.text.normalize import fold
from ner_ray.text.tokens import spans

ANY_SOURCE = "*"
"""The taxonomy key for names that apply to every source."""

NO_ENTITY = ""
"""The type under which `prune` counts rows without entities."""

_LONGEST = 32  # tokens; longer mentions are not searched for in other texts
_RUN = 3  # tokens per n-gram by which texts are compared

Taxonomy = Mapping[str, Mapping[str, str | None]]
Outcome = Literal["consistent", "other_type", "other_span", "not_annotated"]

_CONFLICTING: tuple[Outcome, ...] = ("other_type", "other_span", "not_annotated")
_EXAMPLES = 20  # mentions shown for each outcome

_Place = tuple[AnnotatedText, int, int]  # a text, and start and end offset in it


class CurationOptions(Section):
    """How much to compare, and how much to keep."""

    mentions: int = Field(default=2000, ge=1, description="Mentions of each type to look for in the other sources.")
    texts: int = Field(default=2000, ge=1, description="Texts of each source in which to look for mentions.")
    min_matched: int = Field(
        default=5,
        ge=1,
        description="Minimum number of mentions found in the other source for two types to be compared.",
    )
    size: int | None = Field(default=None, ge=1, description="Number of rows to keep; null keeps all.")
    choices: int = Field(
        default=8,
        ge=1,
        description="Candidates per selected row; the one least similar to the rows selected so far is taken.",
    )
    seed: int = Field(default=0, description="Seed of all draws.")


@dataclass(frozen=True, slots=True)
class Conflict:
    """How one source's mentions of a type are annotated in the texts of another source with that type.

    Attributes:
        label: the type, as the first source writes it.
        source: the source of the mentions.
        other: the source of the texts.
        outcomes: consistent: annotated in the same way; other_type: annotated with another type; other_span: a part
            of it is annotated with the type; not_annotated: none of these.
        examples: some mentions for each outcome except consistent.
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
        """The fraction of the mentions found that the other source annotates differently; 0 if none were found."""
        return 1 - self.outcomes.get("consistent", 0) / self.matched if self.matched else 0.0


@dataclass(frozen=True, slots=True)
class Curated:
    """A curated data set, and how it was made.

    Attributes:
        examples: the rows that are kept, in their order.
        conflicts: the worst first, with the types as the sources name them.
        renamed: (source, type, new name) -> number of entities.
        removed: (source, type) -> number of entities whose type the taxonomy drops.
        pruned: source -> number of rows that are not kept.
        before: type -> number of entities before rows are selected.
        after: type -> number of entities after rows are selected.
    """

    examples: tuple[AnnotatedText, ...]
    conflicts: tuple[Conflict, ...]
    renamed: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    removed: Counter[tuple[str, str]] = field(default_factory=Counter)
    pruned: Counter[str] = field(default_factory=Counter)
    before: Counter[str] = field(default_factory=Counter)
    after: Counter[str] = field(default_factory=Counter)


def curate(examples: Sequence[AnnotatedText], taxonomy: Taxonomy, options: CurationOptions) -> Curated:
    """Merges several sources into one data set. The same arguments yield the same data set.

    Args:
        examples: the rows of all sources.
        taxonomy: source, or `*` for all -> a label map. Types that are not in it keep their names.
        options: how much to compare, and how much to keep.

    Raises:
        ConfigError: the taxonomy names a source or a type that no row has.
    """
    _check_taxonomy(taxonomy, examples)
    found = conflicts(examples, options)
    unified = [unify(example, taxonomy) for example in examples]
    removed = Counter((example.source, entity.label) for example in unified for entity in example.dropped)
    renamed = _renamed(examples, unified)
    kept = prune(unified, options)
    every, chosen = (Counter(example.source for example in rows) for rows in (unified, kept))
    return Curated(
        tuple(kept), tuple(found), renamed, removed, every - chosen, _type_counts(unified), _type_counts(kept)
    )


def _renamed(before: Iterable[AnnotatedText], after: Iterable[AnnotatedText]) -> Counter[tuple[str, str, str]]:
    """Source, type and new name of the entities whose name has changed."""
    counts: Counter[tuple[str, str, str]] = Counter()
    for old, new in zip(before, after, strict=True):
        kept = (entity for entity in old.entities if entity not in new.dropped)
        pairs = zip(kept, new.entities, strict=True)
        counts.update((old.source, was.label, now.label) for was, now in pairs if was.label != now.label)
    return counts


def parse_taxonomy(plain: Any) -> Taxonomy:  # whatever a YAML file held
    """The taxonomy that plain data describes.

    Raises:
        ConfigError: it is not a mapping of sources to mappings of types to names (or null).
    """
    if not isinstance(plain, Mapping) or not all(isinstance(names, Mapping) for names in plain.values()):
        raise ConfigError(
            "a taxonomy maps sources (or `*`) to mappings of their types", hint="such as {'*': {PER: person}}"
        )
    for source, renames in plain.items():
        for label, name in renames.items():
            if name is not None and not (isinstance(name, str) and name.strip()):
                raise ConfigError(f"taxonomy, {source}, {label}: {name!r} is not a name", hint="null drops a type")
    return {str(source): {str(label): name for label, name in names.items()} for source, names in plain.items()}


def conflicts(examples: Iterable[AnnotatedText], options: CurationOptions) -> list[Conflict]:
    """How each source annotates the mentions of each other source, for every type that both have; the worst first.

    Types that differ only in case are the same. A mention counts once for each time it is drawn; it is compared with
    the first drawn text that contains it as whole words and not strictly inside another entity. Both directions are
    reported.
    """
    by_source: dict[str, list[AnnotatedText]] = defaultdict(list)
    for example in examples:
        by_source[example.source].append(example)
    mentions = {name: _mentions(name, texts, options) for name, texts in by_source.items()}
    wanted = {text for labels in mentions.values() for _, drawn in labels.values() for text in drawn}
    found = []
    for other, texts in by_source.items():
        places = _places(_drawn_texts(other, texts, options), wanted)
        for source in by_source:
            if source == other:
                continue
            for key in sorted(mentions[source].keys() & mentions[other].keys()):
                label, drawn = mentions[source][key]
                found.append(_compare(label, source, other, drawn, places))
    tested = [conflict for conflict in found if conflict.matched >= options.min_matched]
    return sorted(tested, key=lambda found: (-found.share, -found.matched, found.label, found.source, found.other))


def unify(example: AnnotatedText, taxonomy: Taxonomy) -> AnnotatedText:
    """The example with the taxonomy's names; a source's own names take precedence over those of `*`."""
    return relabel(example, {**taxonomy.get(ANY_SOURCE, {}), **taxonomy.get(example.source, {})})


def _check_taxonomy(taxonomy: Taxonomy, examples: Iterable[AnnotatedText]) -> None:
    """Refuses a source or a type that no example has.

    Raises:
        ConfigError: names the source or the type.
    """
    types: dict[str, set[str]] = defaultdict(set)
    for example in examples:
        types[example.source] |= labels_of(example)
    for source, names in taxonomy.items():
        if source == ANY_SOURCE:
            check_label_map(names, set().union(*types.values()), "taxonomy: any source")
        elif source not in types:
            raise ConfigError(f"taxonomy: no source is named {source!r}", hint=f"sources: {', '.join(sorted(types))}")
        else:
            check_label_map(names, types[source], f"taxonomy: the source {source!r}")


def prune(examples: Sequence[AnnotatedText], options: CurationOptions) -> list[AnnotatedText]:
    """A selection of `options.size` examples, in their order: types balanced, texts dissimilar.

    The type with the fewest entities so far is next. Among its next few examples, in seeded order, the one with the
    largest fraction of n-grams that no example taken before has is selected. Rows without entities count as a type of
    their own.
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
    """What was found, renamed and dropped, in Markdown; long tables are cut after `rows` rows."""
    parts = [
        f"{len(curated.examples):,} rows are kept, {curated.pruned.total():,} are not.",
        _table(
            "Types that conflict",
            ("type", "mentions of", "in texts of", "conflict", "found", "other type", "other span", "not annotated"),
            [
                (
                    conflict.label,
                    conflict.source,
                    conflict.other,
                    f"{conflict.share:.2f}",
                    conflict.matched,
                    *(conflict.outcomes.get(kind, 0) for kind in _CONFLICTING),
                )
                for conflict in curated.conflicts
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


def _mentions(
    source: str, examples: Iterable[AnnotatedText], options: CurationOptions
) -> dict[str, tuple[str, list[str]]]:
    """Type in lower case -> its first spelling, and the mentions drawn of it, repetitions included."""
    listed: dict[str, tuple[str, list[str]]] = {}
    for example in examples:
        for entity in example.entities:
            listed.setdefault(entity.label.lower(), (entity.label, []))[1].append(entity.text)
    return {
        key: (label, _draw(f"{options.seed}:{source}:{key}", texts, options.mentions))
        for key, (label, texts) in listed.items()
    }


def _drawn_texts(source: str, examples: Sequence[AnnotatedText], options: CurationOptions) -> list[AnnotatedText]:
    return _draw(f"{options.seed}:{source}", examples, options.texts)


def _draw(seed: str, items: Sequence[Any], most: int) -> list[Any]:
    rng = random.Random(seed)  # noqa: S311 - to be repeatable, not secret
    return rng.sample(items, min(most, len(items)))


def _places(examples: Iterable[AnnotatedText], wanted: set[str]) -> dict[str, _Place]:
    """Surface -> the first place where it occurs as whole words and not strictly inside an entity."""
    found: dict[str, _Place] = {}
    for example in examples:
        inner = [(entity.start, entity.end) for entity in example.entities]
        for start, end in _word_runs(example.text):
            surface = example.text[start:end]
            if surface in wanted and surface not in found and not _is_inside(start, end, inner):
                found[surface] = (example, start, end)
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


def _outcome(label: str, example: AnnotatedText, start: int, end: int) -> Outcome:
    same = {entity.label.lower() for entity in example.entities if (entity.start, entity.end) == (start, end)}
    if label in same:
        return "consistent"
    if same:
        return "other_type"
    inner = (entity for entity in example.entities if start <= entity.start and entity.end <= end)
    return "other_span" if any(entity.label.lower() == label for entity in inner) else "not_annotated"


def _queues(examples: Sequence[AnnotatedText], options: CurationOptions) -> dict[str, list[int]]:
    """Type -> indices of its examples in seeded order, as a stack: the next one is last."""
    order = list(range(len(examples)))
    random.Random(options.seed).shuffle(order)  # noqa: S311 - to be repeatable, not secret
    waiting: dict[str, list[int]] = defaultdict(list)
    for number in order:
        for name in _types(examples[number]):
            waiting[name].append(number)
    return waiting


def _least_like(
    waiting: list[int], taken: Mapping[int, None], examples: Sequence[AnnotatedText], seen: set[str], choices: int
) -> int | None:
    """Index of the next example of a type; the other candidates go back on the stack."""
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
    """The fraction of a text's n-grams that have not been seen."""
    runs = _runs(text)
    return len(runs - seen) / len(runs)


def _runs(text: str) -> set[str]:
    folded = fold(text)
    words = [folded[start:end] for start, end in spans(folded)]
    return {" ".join(words[at : at + _RUN]) for at in range(max(1, len(words) - _RUN + 1))}


def _types(example: AnnotatedText) -> Counter[str]:
    return Counter(entity.label for entity in example.entities) or Counter([NO_ENTITY])


def _type_counts(examples: Iterable[AnnotatedText]) -> Counter[str]:
    return Counter(entity.label for example in examples for entity in example.entities)


def _table(title: str, head: Sequence[str], lines: Sequence[Sequence[object]], most: int) -> str:
    if not lines:
        return f"## {title}\n\nnone"
    shown = ["| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines[:most]]
    rest = [f"\nand {len(lines) - most:,} more"] if len(lines) > most else []
    return "\n".join([f"## {title}\n", f"| {' | '.join(head)} |", "|" + "---|" * len(head), *shown, *rest])
