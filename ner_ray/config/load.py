"""A configuration from YAML files that compose, and from `key.path=value` on the command line.

A file may begin with `defaults:`, a list of files to start from. What the file itself says overrides those, and the
command line overrides both. Files are looked for beside the file that names them, in its `conf/` folder, in `conf/` of
the working directory, and among those that ship with the package. How values are read: `ner_ray.config.parse`.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import BaseModel, ValidationError

from ner_ray.config import labels
from ner_ray.config.parse import label_lines, parse_override, parse_yaml
from ner_ray.errors import ConfigError

Config = TypeVar("Config", bound=BaseModel)


def load(
    model: type[Config], source: str | Path | Mapping[str, Any], overrides: Sequence[str] = (), *, command: str = ""
) -> Config:
    """The typed configuration that a file and its overrides describe.

    Args:
        model: what to make of it.
        source: a YAML file; the name of one that ships with the package, such as `annotate/demo`; or plain data.
        overrides: `key.path=value`, the value in YAML.
        command: the command that the configuration is for, named in messages.

    Raises:
        ConfigError: a file is missing or is not YAML, a key is unknown, a value is out of range.
    """
    named = "the configuration" if isinstance(source, Mapping) else str(source)
    return validate(model, compose(source, overrides), named, command=command)


def compose(source: str | Path | Mapping[str, Any], overrides: Sequence[str] = ()) -> dict[str, Any]:
    """The plain data that a file, the files it builds on, and overrides add up to; see `load`.

    Raises:
        ConfigError: a file is missing or is not YAML, or an override cannot be read.
    """
    if isinstance(source, Mapping):
        base = _compose_content(dict(source), Path.cwd(), ())
    else:
        base = _compose(find(str(source), Path.cwd()), ())
    if any(override.partition("=")[0].strip() == "labels" for override in overrides):
        base.pop("labels", None)
    try:
        merged = OmegaConf.to_container(OmegaConf.merge(base, *map(_override, overrides)), resolve=True)
    except (OmegaConfBaseException, TypeError) as error:
        raise ConfigError(f"{source}: {error}") from error
    assert isinstance(merged, dict)
    return {str(key): value for key, value in merged.items()}


def validate(model: type[Config], plain: Any, source: str, *, command: str = "") -> Config:  # `plain`: any YAML
    """Plain data as a typed configuration.

    Raises:
        ConfigError: names every wrong field, what was found there, and the nearest known name.
    """
    try:
        return model.model_validate(plain)
    except ValidationError as error:
        lines = [_explain(model, dict(problem)) for problem in error.errors()]
        raise ConfigError(
            f"{source} is not valid:\n" + "\n".join(f"  {line}" for line in lines),
            hint=f"`ner-ray schema {command}` prints every field with its meaning" if command else "",
        ) from error


def find(name: str, beside: Path) -> Path:
    """The configuration file that `name` means, seen from the folder `beside`.

    Raises:
        ConfigError: there is none; the message says where it was looked for.
    """
    for folder in (beside, beside / "conf", *beside.parents[:2], Path.cwd() / "conf", packaged()):
        for candidate in (folder / name, folder / f"{name}.yaml"):
            if candidate.is_file():
                return candidate
    raise ConfigError(
        f"no configuration file {name!r} beside {beside}, in conf/, or in the package",
        hint=f"shipped with the package: {', '.join(_nearest(name))}",
    )


def _nearest(name: str) -> list[str]:
    """The shipped configurations with the most similar names, with or without their folder; otherwise some of them."""
    known = shipped()
    near = difflib.get_close_matches(name, known, n=3)
    if not near:
        files = difflib.get_close_matches(name, {Path(path).name for path in known}, n=3)
        near = [path for path in known if Path(path).name in files]
    return near or known[:8]


def shipped() -> list[str]:
    """The names of the configurations that ship with the package, sorted."""
    return sorted(str(path.relative_to(packaged()).with_suffix("")) for path in packaged().rglob("*.yaml"))


def packaged() -> Path:
    """The folder of the configurations that ship with the package."""
    package = Path(__file__).parent.parent
    return package / "conf" if (package / "conf").is_dir() else package.parent / "conf"


def label_source(source: Any, beside: Path | None = None) -> Any:  # whatever YAML held, before and after
    """Plain label data; read from its file, where `source` names one: YAML, or text with one label per line.

    Raises:
        ConfigError: there is no such file, or it cannot be read.
    """
    if not isinstance(source, str) or labels.column_of(source):
        return source
    try:
        path = find(source, beside or Path.cwd())
    except ConfigError as error:
        if "/" in source or "." in source:
            raise
        names = ", ".join(name.strip() for name in source.split(","))
        raise ConfigError(
            f"labels: there is no file {source!r}", hint=f"to list labels, write them in brackets: 'labels=[{names}]'"
        ) from error
    if path.suffix in {".txt", ".lst", ".labels"}:
        return label_lines(_text(path))
    return _read(path, labels=True)


def read_data(name: str) -> Any:  # whatever YAML holds
    """What a YAML file of labels holds, found as configurations are."""
    return _read(find(name, Path.cwd()), labels=True)


def _compose(path: Path, above: tuple[Path, ...]) -> DictConfig:
    if path in above:
        raise ConfigError(f"{path} is among its own defaults: {' -> '.join(map(str, above))}")
    content = _read(path)
    if not isinstance(content, dict):
        raise ConfigError(f"{path} must hold a mapping of settings, not {type(content).__name__}")
    return _compose_content(content, path.parent, (*above, path))


def _compose_content(content: dict[str, Any], beside: Path, above: tuple[Path, ...]) -> DictConfig:
    bases = content.pop("defaults", None) or []
    parts = [_compose(find(base, beside), above) for base in bases]
    return _merge(*parts, OmegaConf.create(content))


def _merge(*configs: DictConfig) -> DictConfig:
    """Later ones override earlier ones, setting by setting; but a label set is one setting, and replaced as a whole."""
    merged = OmegaConf.create({})
    for config in configs:
        if config.get("labels") is not None:
            merged.pop("labels", None)
        result = OmegaConf.merge(merged, config)
        assert isinstance(result, DictConfig)
        merged = result
    return merged


def _read(path: Path, *, labels: bool = False) -> Any:  # whatever YAML holds
    try:
        return parse_yaml(_text(path), labels=labels)
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not YAML: {error}") from error


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8: {error}", hint="save it as UTF-8") from error


def _override(override: str) -> DictConfig:
    path, equals, text = override.partition("=")
    if not equals or not path.strip():
        raise ConfigError(f"{override!r} is not an override", hint="write key.path=value, such as resources.replicas=4")
    config = OmegaConf.create({})
    try:
        OmegaConf.update(config, path.strip(), parse_override(path.strip().split("."), text))
    except (OmegaConfBaseException, yaml.YAMLError) as error:
        raise ConfigError(f"cannot read {override!r}: {error}") from error
    return config


def _explain(model: type[BaseModel], problem: dict[str, Any]) -> str:
    place = ".".join(str(step) for step in problem["loc"]) or "(whole file)"
    if problem["type"] == "extra_forbidden":
        known = _fields_at(model, problem["loc"][:-1])
        near = difflib.get_close_matches(str(problem["loc"][-1]), known, n=1)
        return f"{place}: no such setting" + (f"; do you mean {near[0]!r}?" if near else f"; known: {', '.join(known)}")
    if problem["type"] == "no_such_setting":
        return f"{place}: {problem['msg']}"
    if problem["type"] == "missing":
        return f"{place}: must be given"
    if problem["type"] in ("list_type", "tuple_type") and isinstance(problem["input"], str):
        return f"{place}: must be a list, such as '{place}=[{problem['input']}]'"
    return f"{place}: {problem['msg']}, found {problem['input']!r}"


def _fields_at(model: type[BaseModel], place: Sequence[int | str]) -> list[str]:
    for step in place:
        field = model.model_fields.get(str(step))
        sections = [kind for kind in _kinds(field.annotation if field else None) if issubclass(kind, BaseModel)]
        if sections:  # otherwise the step is a key of a mapping, such as a role
            model = sections[0]
    return sorted(model.model_fields)


def _kinds(annotation: Any) -> list[type]:  # a type, or a union of types
    kinds = [annotation, *getattr(annotation, "__args__", ())]
    return [kind for kind in kinds if isinstance(kind, type)]
