"""Extensions by name: modules of our own packages, and modules that other distributions register.

A model family, an engine, a retriever, an exporter or a published scorer is one module. Its name in a configuration is
the module's name. Another distribution registers its module as an entry point in the group `ner_ray.<kind>`:

    [project.entry-points."ner_ray.families"]
    angle = "my_package.angle"

There is no list to edit. What a module defines is the `CONTRACT` in the `base` module of its kind; `load` checks it.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import EntryPoint, EntryPoints, entry_points
from types import ModuleType
from typing import Any, Generic, TypeVar, cast, get_args, get_origin, get_type_hints

from ner_ray.errors import ConfigError

M = TypeVar("M")


@dataclass(frozen=True, slots=True)
class Contract(Generic[M]):
    """What the modules of one kind of extension define.

    Attributes:
        kind: the package below `ner_ray`, in dotted form; `ner_ray.<kind>` is the group of entry points.
        word: what people call one of them, such as `model family`.
        protocol: the Protocol of the module. An attribute annotated `type[X]` must be a subclass of X, a plain class
            such as `str` an instance; methods must be callable.
        others: further names that people may give in its place, for the message about an unknown one.
    """

    kind: str
    word: str
    protocol: type[Any]  # a Protocol, which is abstract, so that `type[M]` would not take it
    others: tuple[str, ...] = ()

    def load(self, name: str) -> M:
        """The module of that name, which has all that the protocol lists.

        Raises:
            ConfigError: there is none; it cannot be imported; or it lacks something.
        """
        if name not in names(self.kind):
            known = ", ".join(sorted({*names(self.kind), *self.others}))
            raise ConfigError(f"no {self.word} named {name!r}; known: {known}")
        module = _import(self, name)
        if faults := list(_faults(self.protocol, module)):
            raise ConfigError(
                f"the {self.word} {name} ({module.__name__}) {'; '.join(faults)}",
                hint=f"{self.protocol.__module__}.{self.protocol.__name__} says what a {self.word} defines",
            )
        return cast("M", module)


def names(kind: str) -> list[str]:
    """All known names of a kind (`families`, `engines`, `retrieval.retrievers`, ...), sorted.

    Imports only the package of that kind. Its sub-packages are not extensions, nor are `base` and private modules.
    """
    package = importlib.import_module(f"ner_ray.{kind}")
    own = {module.name for module in pkgutil.iter_modules(package.__path__) if _is_extension(module)}
    foreign = {point.name for point in _registered(f"ner_ray.{kind}")}
    return sorted(own | foreign)


def contract(kind: str) -> Contract[Any]:
    """The contract of a kind: `CONTRACT` in the module `base` of its package, or of the package above."""
    package = f"ner_ray.{kind}"
    here = any(module.name == "base" for module in pkgutil.iter_modules(importlib.import_module(package).__path__))
    base = importlib.import_module(f"{package if here else package.rpartition('.')[0]}.base")
    found: Contract[Any] = base.CONTRACT
    return found


def load(kind: str, name: str) -> ModuleType:
    """The module that implements `name`; the `load` of a kind's `base` module is the typed form of this.

    Raises:
        ConfigError: there is none of that name (the message lists those there are), or it breaks its contract.
    """
    return cast("ModuleType", contract(kind).load(name))


def _import(wanted: Contract[Any], name: str) -> ModuleType:
    """A registered module, before one of our own of the same name."""
    for point in _registered(f"ner_ray.{wanted.kind}").select(name=name):
        try:
            module: ModuleType = point.load()
        except (ImportError, AttributeError) as error:
            raise ConfigError(
                f"the {wanted.word} {name} ({point.value}{_origin(point)}) cannot be imported: {error}",
                hint=f"it is registered as an entry point in the group ner_ray.{wanted.kind}",
            ) from error
        return module
    return importlib.import_module(f"ner_ray.{wanted.kind}.{name}")


def _registered(group: str) -> EntryPoints:
    return _registered_on(group, tuple(sys.path))


@lru_cache(maxsize=32)
def _registered_on(group: str, path: tuple[str, ...]) -> EntryPoints:  # noqa: ARG001  # where Python looks for it
    """The entry points of a group. Reading the metadata of all distributions takes a tenth of a second."""
    return entry_points(group=group)


def _origin(point: EntryPoint) -> str:
    return f" of {point.dist.name}" if point.dist else ""


def _is_extension(module: pkgutil.ModuleInfo) -> bool:
    return not module.ispkg and module.name != "base" and not module.name.startswith("_")


def _faults(protocol: type[Any], module: ModuleType) -> Iterator[str]:
    """What a module lacks, as the ends of sentences."""
    hints = get_type_hints(protocol)
    members = [*hints, *(name for name in vars(protocol) if callable(getattr(protocol, name)))]
    public = [name for name in dict.fromkeys(members) if not name.startswith("_")]
    if missing := [name for name in public if not hasattr(module, name)]:
        yield f"does not define {', '.join(missing)}"
    for name in public:
        if hasattr(module, name) and (expected := _expectation(hints.get(name), getattr(module, name))):
            yield f"defines {name} as {getattr(module, name)!r}, not as {expected}"


def _expectation(hint: Any, value: object) -> str:  # a type, or a form from `typing`
    """What a value should be instead, by the annotation of its attribute; empty where it is right."""
    if hint is None:
        return "" if callable(value) else "a function"
    if get_origin(hint) is type:
        (base,) = get_args(hint)
        right = isinstance(value, type) and (not isinstance(base, type) or issubclass(value, base))
        return "" if right else f"a subclass of {getattr(base, '__name__', base)}"
    expected = get_origin(hint) or hint
    return "" if not isinstance(expected, type) or isinstance(value, expected) else f"a {expected.__name__}"
