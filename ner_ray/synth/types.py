"""One name for a type that teachers spell in several ways: case, width, white space, plural, synonyms."""

from __future__ import annotations

import re
from collections.abc import Mapping

from ner_ray.text.normalize import fold

_BETWEEN = re.compile(r"[\s_]+")
_PLURALS = (("ies", "y"), ("sses", "ss"), ("xes", "x"), ("ches", "ch"), ("shes", "sh"))
_SINGULARS = ("ss", "us", "is", "news", "series", "species")


def unify(frequencies: Mapping[str, int], synonyms: Mapping[str, str] | None = None) -> dict[str, str]:
    """Maps each type whose name changes to its new name.

    Types that differ only in case, width, spaces, underscores or an English plural of the last word get the most
    frequent of their names (ties: the first by code points). A word counts as a plural only if its singular occurs as
    a type, too, so words that merely look like plurals are not cut. A synonym, looked up the same way, takes
    precedence.

    >>> unify({"place": 5, "Places": 2, "news": 1})
    {'Places': 'place'}

    Args:
        frequencies: how often each type occurs in the whole data set.
        synonyms: type -> the name to use; that name need not occur.
    """
    keys = {name: _key(name) for name in frequencies}
    known = set(keys.values())
    groups: dict[str, list[str]] = {}
    for name, key in keys.items():
        single = singular(key)
        groups.setdefault(single if single in known else key, []).append(name)
    preferred = {key: min(names, key=lambda name: (-frequencies[name], name)) for key, names in groups.items()}
    wanted = {_key(name): other for name, other in (synonyms or {}).items()}
    found = {
        name: wanted.get(keys[name], wanted.get(key, preferred[key])) for key, names in groups.items() for name in names
    }
    return {name: found[name] for name in sorted(found) if found[name] != name}


def singular(name: str) -> str:
    """An English noun phrase with its last word in the singular, judged by spelling alone; other text is unchanged."""
    if not name.isascii() or len(name) < 4 or not name.endswith("s") or name.endswith(_SINGULARS):
        return name
    for ending, single in _PLURALS:
        if name.endswith(ending):
            return name.removesuffix(ending) + single
    return name[:-1]


def _key(name: str) -> str:
    return _BETWEEN.sub(" ", fold(name)).strip()
