r"""Sentences with typed names, from a grammar: data without any licence attached.

The grammar is text (`grammar/*.txt`): `= name` starts a list of words, separated by spaces (`\\ ` is a space inside a
word); `: name` starts alternatives, one per line. In an alternative, `{name}` expands, `<a|b|>` chooses one in place,
`[TYPE ...]` is an entity, `_` is nothing and `~` a space. Punctuation is separate from words, as in tokenised corpora.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources

from ner_ray.errors import InputError
from ner_ray.types import Entity

_PIECE = re.compile(r"\{(\w+)\}|<((?:[^<>]|<[^<>]*>)*)>")
_ENTITY = re.compile(r"\[([A-Za-z]+) ([^\[\]]*)\]")
_DEEPEST = 40

Grammar = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Sentence:
    """A text, its entities by start, and the types that annotators looked for; none where that is not known."""

    text: str
    entities: tuple[Entity, ...]
    labels: tuple[str, ...] = ()


def load_grammar() -> Grammar:
    """The English grammar that ships with the package."""
    folder = resources.files("ner_ray.train.mixture") / "grammar"
    files = sorted((f for f in folder.iterdir() if f.name.endswith(".txt")), key=lambda f: f.name)
    return parse_grammar("\n".join(f.read_text(encoding="utf-8") for f in files))


def parse_grammar(source: str) -> Grammar:
    """The rules of a grammar by name.

    Raises:
        InputError: a line comes before the first rule, or a rule is used and not defined.
    """
    rules: dict[str, list[str]] = {}
    name, words = "", False
    for line in source.splitlines():
        head = re.fullmatch(r"([=:]) (\w+)", line)
        if head:
            name, words = head[2], head[1] == "="
            rules.setdefault(name, [])
        elif line.strip() and not line.startswith("#"):
            if not name:
                raise InputError(f"grammar: {line!r} comes before the first rule")
            rules[name] += _words(line) if words else [line]
    _check(rules)
    return {name: tuple(alternatives) for name, alternatives in rules.items()}


def _words(line: str) -> list[str]:
    return [word.replace("\\ ", " ") for word in re.split(r"(?<!\\) +", line.strip())]


def _check(rules: Mapping[str, list[str]]) -> None:
    used = {name for lines in rules.values() for line in lines for name in re.findall(r"\{(\w+)\}", line)}
    missing = sorted(used - {name for name, lines in rules.items() if lines})
    if missing:
        raise InputError(f"grammar: rules that are used and not defined: {', '.join(missing)}")


def sentences(grammar: Grammar, seed: int, rule: str = "sentence") -> Iterator[Sentence]:
    """Endless sentences; the same seed gives the same ones."""
    rng = random.Random(seed)  # noqa: S311 - text, not secrets
    while True:
        yield _read_marks(_tidy(_expand(grammar, f"{{{rule}}}", rng)))


def _expand(grammar: Grammar, text: str, rng: random.Random, depth: int = 0) -> str:
    if depth > _DEEPEST:
        raise InputError(f"grammar: the rules of {text!r} refer back to themselves")

    def replace(match: re.Match[str]) -> str:
        if match[1]:
            return _expand(grammar, rng.choice(grammar[match[1]]), rng, depth + 1)
        return _expand(grammar, rng.choice(_options(match[2])), rng, depth + 1)

    return _PIECE.sub(replace, text)


def _options(inside: str) -> list[str]:
    """The alternatives of `a|b|`; a `|` inside inner angle brackets belongs to those."""
    parts, level = [""], 0
    for char in inside:
        level += (char == "<") - (char == ">")
        if char == "|" and level == 0:
            parts.append("")
        else:
            parts[-1] += char
    return parts


def _tidy(text: str) -> str:
    text = re.sub(r" +", " ", text.replace("_", "").replace("~", " ")).strip()
    text = text.replace(" ]", "]")
    text = re.sub(r"\b([Aa]) (?=(?:\[[A-Z]+ )?[aeiouAEIO])", r"\1n ", text)
    return text[:1].upper() + text[1:]


def _read_marks(marked: str) -> Sentence:
    text, entities, last = "", [], 0
    for match in _ENTITY.finditer(marked):
        text += marked[last : match.start()]
        surface = match[2].strip()
        entities.append(Entity(len(text), len(text) + len(surface), surface, match[1]))
        text += surface
        last = match.end()
    return Sentence(text + marked[last:], tuple(entities))
