"""Extensions by name: a module of one of our packages, or an entry point of somebody else's.

A model family, engine, retriever or exporter is one module. Its name in a configuration is the module's
name; outsiders register theirs under the entry point group `ner_ray.<kind>`. There is no list to edit.
"""

from __future__ import annotations

import importlib
import pkgutil
from importlib.metadata import entry_points
from types import ModuleType

from ner_ray.errors import ConfigError


def names(kind: str) -> list[str]:
    """All known names of a kind (`families`, `engines`, `retrieval.retrievers`, ...), sorted.

    Imports only the package of that kind. Its sub-packages are no extensions, nor are `base` and private modules.
    """
    package = importlib.import_module(f"ner_ray.{kind}")
    own = {module.name for module in pkgutil.iter_modules(package.__path__) if _is_extension(module)}
    foreign = {point.name for point in entry_points(group=f"ner_ray.{kind}")}
    return sorted(own | foreign)


def load(kind: str, name: str) -> ModuleType:
    """The module that implements `name`.

    Raises:
        ConfigError: no such name; the message lists those there are.
    """
    if name not in names(kind):
        known = ", ".join(names(kind))
        word = kind.rpartition(".")[2]
        raise ConfigError(f"no {word[:-1] if word != 'families' else 'family'} named {name!r}; known: {known}")
    for point in entry_points(group=f"ner_ray.{kind}", name=name):
        module: ModuleType = point.load()
        return module
    return importlib.import_module(f"ner_ray.{kind}.{name}")


def _is_extension(module: pkgutil.ModuleInfo) -> bool:
    return not module.ispkg and module.name != "base" and not module.name.startswith("_")
