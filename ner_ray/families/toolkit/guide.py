"""What is known about an answer before it is read: the label set, the passage, and the names that tools use for fields.

`Guide` tells labels from entities: the label set says which of two strings is the label; without a label set, the
passage does, since it contains the entity.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import resources
from typing import NamedTuple

import yaml

from ner_ray.families.toolkit.labels import fold
from ner_ray.families.toolkit.languages import says_nothing, whole_word
from ner_ray.families.toolkit.lists import Text

_FIELD = re.compile(r"[\s_\-\d.]+")
_BIO = re.compile(r"(?P<prefix>[BILUESMOW])[-_](?=\S)")
_MARKUP = "*_`\"' <>[]()#:"
_NUMBERED = re.compile(r"\(s$|(?<=[^\W\d]) ?\d{1,3}$")  # `person_1`, and `person(s)` without its markup
_PEOPLE = ("people",)
_LONGEST_LABEL = 200
_LONGEST_ACRONYM = 5
_LONGEST_ABBREVIATION = 5


def _fields_named(kind: str) -> frozenset[str]:
    loaded = yaml.safe_load(resources.files(__package__).joinpath("fields.yaml").read_text(encoding="utf-8"))
    return frozenset(loaded[kind])


ENTITY_FIELDS = _fields_named("entity")
TYPE_FIELDS = _fields_named("type")
CONTAINERS = _fields_named("container")
ASIDE = _fields_named("aside")
_PLACEHOLDER = re.compile(
    r"<.*>|\{.*\}|\.{2,}|…|string|str"
    r"|(?:the )?(?:extracted |named )?(?:entity|mention|name|text|word|span|label|type|实体|类型)s?"
    r"(?: ?(?:name|text|type|label|mention|value|here|\d+|[a-z]))?"
    r"|(?:type|label|class|category) of (?:the )?entity ?\d*|实体\d*的?(?:类型|类别)"
)


@dataclass(slots=True)
class Guide:
    """What is known about an answer before it is read.

    Attributes:
        names: the labels that the prompt offered.
        text: the passage.
        subject: the label that was asked for, if an answer lists entities of one label only.
        folded_text: the passage, case-folded.
    """

    names: Sequence[str]
    text: str
    subject: str = ""
    folded_text: str = field(init=False)
    _folded: dict[str, str] = field(init=False)
    _cased: dict[str, str] = field(init=False)
    _plural: dict[str, str] = field(init=False)
    _first_words: frozenset[str] = field(init=False)
    _labels: dict[str, str | None] = field(init=False, default_factory=dict)
    _headings: dict[str, str | None] = field(init=False, default_factory=dict)
    _present: dict[str, bool] = field(init=False, default_factory=dict)
    _void: dict[str, bool] = field(init=False, default_factory=dict)
    _named: re.Pattern[str] | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.folded_text = self.text.casefold()
        self._folded = {fold(name): name for name in reversed(self.names)}
        self._cased = {" ".join(name.split()).casefold(): name for name in reversed(self.names)}
        first = (word for name in (*self._folded, *_PEOPLE) for word in name.split()[:1])
        self._first_words = frozenset(word.removesuffix("y") for word in first)
        self._plural = {form: name for name in reversed(self.names) for form in _plurals(fold(name))}

    def label(self, written: str) -> str | None:
        """The label of the set that a string means, with or without a BIO prefix; None for any other string."""
        if written not in self._labels:
            self._labels[written] = self._label(written)
        return self._labels[written]

    def heading(self, written: str) -> str | None:
        """The label that a key or a heading means; plurals and numbers (`person_1`) count, too."""
        if written not in self._headings:
            bare = _NUMBERED.sub("", fold(written.strip(_MARKUP)))
            self._headings[written] = self.label(written) or self._plural.get(bare) or self._folded.get(bare)
        return self._headings[written]

    def named_in(self, prose: str) -> list[Text]:
        """The labels of the set in some prose, plurals included; acronyms (`PER`) must be written as such."""
        if self._named is None:
            self._named = _names_in_prose(self.names, self._plural)
        found = ((self.heading(match[0]), match) for match in self._named.finditer(prose))
        return [Text(label, match.start(), match.end()) for label, match in found if label]

    def may_name_a_label(self, line: str) -> bool:
        """A quick test for whether a line can contain a label of the set at all."""
        folded = line.casefold()
        return any(word in folded for word in self._first_words)

    def labels_in(self, line: str) -> int:
        """How many words in a line may begin a label of the set, at most."""
        folded = line.casefold()
        return sum(folded.count(word) for word in self._first_words)

    def _label(self, written: str) -> str | None:
        if len(written) > _LONGEST_LABEL:
            return None
        bare = written[2:] if _BIO.match(written) else written.strip(_MARKUP)
        return self._spelt(written) or (self._spelt(bare) if bare != written else None)

    def _spelt(self, written: str) -> str | None:
        """As `labels.same_name`: the exact name, then regardless of case, then regardless of underscores."""
        if written in self.names:
            return written
        folded = self._folded.get(fold(written))
        return folded and (self._cased.get(" ".join(written.split()).casefold()) or folded)

    def has(self, surface: str) -> bool:
        """Whether the passage contains a string."""
        known = self._present.get(surface)
        if known is None:
            known = self._present[surface] = bool(surface) and surface in self.text
        return known

    def is_abbreviated(self, line: str) -> bool:
        """Whether the last word of a line is one that the passage abbreviates, so that a full stop belongs to it."""
        word = line.rsplit(" ", maxsplit=1)[-1]
        if not word or not self.has(word + "."):
            return False
        inside = re.search(rf"(?<!\w){re.escape(word)}\.(?=\s*[^\sA-Z])", self.text)
        return "." in word or (len(word) <= _LONGEST_ABBREVIATION and inside is not None)

    def is_placeholder(self, value: str) -> bool:
        """Whether a string merely describes what belongs in its place, such as `entity 1`."""
        return len(value) < 60 and not self.has(value) and _PLACEHOLDER.fullmatch(fold(value)) is not None

    def is_nothing(self, value: str) -> bool:
        """Whether a string says that there are no entities; never true of a string that the passage contains."""
        if value not in self._void:
            self._void[value] = not value or (not self._may_name(value) and says_nothing(value))
        return self._void[value]

    def _may_name(self, value: str) -> bool:
        """Whether the passage contains a string; of signs alone (`-`), only if they stand by themselves."""
        return self.has(value) and (any(map(str.isalnum, value)) or f" {value} " in f" {self.text} ")


class Item(NamedTuple):
    """An entity and its label, as written; `label` is None if none was given."""

    entity: Text
    label: Text | None = None
    why: str = ""

    def moved(self, shift: int) -> Item:
        """The same item further behind."""
        return Item(self.entity.moved(shift), self.label and self.label.moved(shift), self.why)


@lru_cache(4096)
def field_name(key: str) -> str:
    """The name of a key or a heading, in the form used in `ENTITY_FIELDS` and `TYPE_FIELDS`."""
    return _FIELD.sub("", key).casefold()


def bio_prefix(written: str, guide: Guide) -> str:
    """`B`, `I`, ... if a label has a BIO prefix that is not part of its name; otherwise empty."""
    match = _BIO.match(written)
    return (
        match["prefix"] if match and written not in guide.names and fold(written) not in map(fold, guide.names) else ""
    )


def _names_in_prose(names: Sequence[str], plurals: Iterable[str]) -> re.Pattern[str]:
    acronyms = [name for name in names if name.isupper() and len(name) <= _LONGEST_ACRONYM]
    spoken = {*map(fold, names), *plurals} - {form for name in acronyms for form in _forms(name)}
    longest_first = sorted(spoken, key=lambda name: (-len(name), name))
    parts = [*map(whole_word, acronyms), *(f"(?i:{whole_word(name)})" for name in longest_first if name)]
    return re.compile("|".join(parts) or r"(?!)")


def _forms(name: str) -> list[str]:
    return [fold(name), *_plurals(fold(name))]


def _plurals(name: str) -> list[str]:
    stem = name.removesuffix("y")
    return [name + "s", name + "es", *([stem + "ies"] if stem != name else []), *(_PEOPLE if name == "person" else ())]
