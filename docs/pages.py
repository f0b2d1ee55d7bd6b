"""What the pages of this site take from elsewhere: sections of the repository's documents, reference from the code.

A page is a Jinja template: `{{ section("OPERATIONS.md", "Every night") }}` is that section,
`{{ settings("annotate") }}` all settings of a command.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin

import jinja2
import pyarrow as pa
from pydantic import BaseModel
from pydantic.fields import FieldInfo

import ner_ray
from ner_ray import commands, plugins, schema
from ner_ray.commands.base import ARGUMENT, OPTION, words_of
from ner_ray.config import EngineConfig
from ner_ray.config.load import packaged
from ner_ray.families.base import FamilyOptions

ROOT = Path(__file__).resolve().parent.parent

# Where this site has what the repository's documents link to.
_LINKS = {
    "GLOSSARY.md": "/reference/glossary.md",
    "OPERATIONS.md": "/howto/nightly.md",
    "CONTRIBUTING.md": "/howto/extend.md",
    "#error-codes": "/reference/problems.md#error-codes",
    "#columns": "/reference/columns.md",
}
_COLUMNS = {
    "row_id": "A number that is unique in the run: the file's ordinal and the row.",
    "doc_id": "The document's id: `input.id`, or FILE:ROW.",
    "entities": "What was found, in the order of the text. `text[start:end]` is the entity, in code points.",
    "unaligned": "Mentions in an answer that could not be found in the text.",
    "dropped": "Mentions that were understood and refused, such as those with a label outside the label set.",
    "status": "`ok`, `partial` or `failed`.",
    "errors": "What went wrong: [code](problems.md#error-codes), stage, message.",
    "verdicts": "How many of its answers were parsed how well.",
    "repairs": "How answers that are not of the expected form were read.",
    "usage": "Requests and tokens; of prompt tokens, those that were in the engine's cache.",
}


def rendered(source: str, name: str) -> str:
    """A page's Markdown.

    Raises:
        ValueError: it names a section or a command that does not exist.
    """
    functions = {
        found.__name__: found
        for found in (section, settings, command_list, columns, python_names, presets, document, engines, families)
    }
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True)  # noqa: S701  # Markdown
    template = environment.from_string(source)
    return template.render(page=name, **functions)


def section(file: str, heading: str) -> str:
    """The text below a heading of one of the repository's documents, up to the next heading of its level."""
    text = (ROOT / file).read_text(encoding="utf-8")
    found = re.search(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    if not found:
        raise ValueError(f"{file} has no section {heading!r}")
    return _linked(found[1].strip())


def document(file: str) -> str:
    """A whole document of the repository, without its title."""
    return _linked((ROOT / file).read_text(encoding="utf-8").partition("\n")[2].strip())


def settings(command: str, level: int = 3) -> str:
    """All settings of a command, section by section, under headings of that level."""
    return "\n".join(_section_of(commands.load(command).Config, "", "#" * level))


def command_list() -> str:
    """Every command: what it does, its words and options, examples."""
    return "\n".join(line for name in commands.names() for line in _command(name))


def columns() -> str:
    """The columns of a run's rows, with their types."""
    fields = [*schema.output_schema(pa.schema([]), hashes=False, completions=False)]
    if {field.name for field in fields} != set(_COLUMNS):
        raise ValueError("`_COLUMNS` does not say what each column of the output is")
    rows = [f"| `{field.name}` | {_type_of(field.type)} | {_COLUMNS[field.name]} |" for field in fields]
    return "\n".join(["| column | type | meaning |", "| --- | --- | --- |", *rows])


def python_names() -> str:
    """The public names of the package, for autodoc."""
    lines = ["```{eval-rst}"]
    for name in ner_ray.__all__:
        public = getattr(ner_ray, name)
        if inspect.isclass(public):
            lines += [f".. autoclass:: ner_ray.{name}", "   :members:", "   :show-inheritance:", ""]
        elif callable(public):
            lines += [f".. autofunction:: ner_ray.{name}", ""]
    return "\n".join([*lines, "```"])


def presets() -> str:
    """The presets of released checkpoints, with their first comment."""
    rows = []
    for path in sorted((packaged() / "families").glob("*.yaml")):
        comment = " ".join(re.findall(r"^#\s*(.*)", path.read_text(encoding="utf-8"), re.MULTILINE))
        rows.append(f"| `families/{path.stem}` | {comment} |")
    return "\n".join(["| preset | what it is |", "| --- | --- |", *rows])


def engines() -> str:
    """The settings of all engines, then what each has beyond them."""
    return "\n".join([*_section_of(EngineConfig, "engine.", "###"), "", *_extensions("engines", EngineConfig)])


def families() -> str:
    """The families' own settings, beyond those that all have."""
    return "\n".join(_extensions("families", FamilyOptions))


def _extensions(kind: str, base: type[BaseModel]) -> Iterator[str]:
    for name in plugins.names(kind):
        module: Any = plugins.load(kind, name)
        yield f"### {name}\n\n{(module.__doc__ or '').strip()}\n"
        own = {key: field for key, field in module.Options.model_fields.items() if key not in base.model_fields}
        yield from (_setting(key, field) for key, field in own.items())


def _linked(text: str) -> str:
    return re.sub(r"\]\(([^)]+)\)", lambda found: f"]({_LINKS.get(found[1], found[1])})", text)


def _section_of(model: type[BaseModel], place: str, mark: str) -> Iterator[str]:
    """A list entry per setting, those of inner sections under a heading of their own."""
    inner = {}
    for name, field in model.model_fields.items():
        path = f"{place}{name}"
        if found := _inner(field.annotation):
            inner[path] = found
        yield _setting(path, field, f" See [{path}](#{path.replace('.', '')})." if found else "")
    for path, found in inner.items():
        yield f"\n{mark} {path}\n\n{(found.__doc__ or '').partition('>>>')[0].strip()}\n"
        yield from _section_of(found, f"{path}.", mark)


def _setting(path: str, field: FieldInfo, more: str = "") -> str:
    extra = field.json_schema_extra
    mark = " *Operational.*" if isinstance(extra, dict) and extra.get("operational") and "word" not in extra else ""
    return f"`{path}`\n: {field.description or ''}{more}{_default(field)}{mark}\n"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return " *Required.*"
    default = field.get_default(call_default_factory=not field.default_factory_takes_validated_data)
    if default in (None, "", [], {}, ()) or isinstance(default, BaseModel):
        return ""
    return f" Default: `{json.dumps(default, ensure_ascii=False, default=str)}`."


def _inner(annotation: Any) -> type[BaseModel] | None:  # a type
    """The section that a setting is, if it is one, or None or one."""
    kinds = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)
    found = [kind for kind in kinds if inspect.isclass(kind) and issubclass(kind, BaseModel)]
    return found[0] if found else None


def _command(name: str) -> Iterator[str]:
    module = commands.names()[name]
    command = commands.load(name)
    yield f"## ner-ray {commands.words(name)}\n\n{commands.described(module)}\n"
    fields = command.Config.model_fields
    for word in words_of(command.Config, ARGUMENT):
        yield _setting(word.upper(), fields[word])
    for option in words_of(command.Config, OPTION):
        yield _setting(f"--{option.replace('_', '-')}", fields[option])


def _type_of(kind: pa.DataType) -> str:
    """A type as people write it."""
    if pa.types.is_list(kind):
        return f"list of {_type_of(kind.value_type)}"
    if pa.types.is_struct(kind):
        return "{" + ", ".join(f"{field.name}: {_type_of(field.type)}" for field in kind) + "}"
    return str(kind)
