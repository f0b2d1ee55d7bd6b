"""The configuration that `ner-ray init` writes: completed from what the corpus shows, and laid out with comments."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from ner_ray.config.labels import column_of
from ner_ray.errors import ConfigError

if TYPE_CHECKING:
    from ner_ray.commands._corpus import Corpus
    from ner_ray.commands.init import Config

NO_COLUMN = "none"
_LABELS = ("person", "organization", "location")
_FILES = (".yaml", ".yml", ".json", ".txt", ".lst", ".labels")
_ON_GPUS, _ANYWHERE = "gner-llama-7b", "b2ner-smollm2"
_FIRST = re.compile(r"[^(:]*\([^)]*\)(, \w+)?|[^.:]*")
_WIDE = 10**9
_COMMANDS = {
    "ner-ray preview {}": "a few documents: prompts, answers, entities",
    "ner-ray plan {} --measure": "how long it will take",
    "ner-ray annotate {}": "all documents; again to resume, or for new files",
}

_LAYOUT = """\
# Entities in {path}: {size}.
{commands}
# `ner-ray schema annotate` prints every setting with its meaning.

{model}

input:
  path: {input}
  text: {text}
  {id}
  keep: {keep}{others}

labels:{labels}

output:
  path: {output}
"""


@dataclass(frozen=True, slots=True)
class Draft:
    """What the file will say.

    Attributes:
        text: the column with the text.
        id: the column with the id; None for ids made of file and row.
        labels: a list of names or `{name, description}`, the name of a file, or `column:NAME`.
        preset: a preset's name, or a model.
        output: the run directory.
    """

    text: str
    id: str | None
    labels: str | Sequence[str | Mapping[str, str]]
    preset: str
    output: str


def completed(config: Config, corpus: Corpus) -> Draft:
    """What was given, and proposals for the rest.

    Raises:
        ConfigError: no text column was given, and no column holds text.
    """
    text = config.text or corpus.text_column()
    if text is None:
        raise ConfigError(f"no column of {corpus.path} holds text", hint=f"it has: {', '.join(corpus.schema.names)}")
    doc_id = config.id or corpus.id_column()
    return Draft(
        text,
        None if doc_id == NO_COLUMN else doc_id,
        labels_of(config.labels or _LABELS),
        config.preset or (_ON_GPUS if shutil.which("nvidia-smi") else _ANYWHERE),
        config.output or f"runs/{_stem(corpus.path)}",
    )


def labels_of(words: Sequence[str]) -> str | list[str | Mapping[str, str]]:
    """Labels from words such as `person`, `person, place`, `ship: a vessel`, `labels.txt` and `column:types`.

    >>> labels_of(["person, place", "ship: a vessel, at sea"])
    ['person', 'place', {'name': 'ship', 'description': 'a vessel, at sea'}]
    """
    if len(words) == 1 and (column_of(words[0]) or words[0].endswith(_FILES)):
        return words[0]
    found: list[str | Mapping[str, str]] = []
    for word in words:
        name, colon, description = word.partition(":")
        if colon and description.strip():
            found.append({"name": name.strip(), "description": description.strip()})
        else:
            found += [part.strip() for part in word.strip("[] ").split(",") if part.strip()]
    return found


def presets() -> dict[str, str]:
    """The presets that ship with the package: name -> what its file's first comment says."""
    from ner_ray.config.load import packaged

    return {path.stem: _first_comment(path) for path in sorted((packaged() / "families").glob("*.yaml"))}


def yaml_of(draft: Draft, corpus: Corpus, file: str) -> str:
    """The file's content.

    Raises:
        ConfigError: a label occurs twice, or there is no such preset, model or file of labels.
        InputError: the corpus has no such column, or one of another type.
    """
    content = _LAYOUT.format(
        path=corpus.path, size=corpus.size, commands=_commands(file), model=_model(draft.preset),
        input=_value(corpus.path), text=_value(draft.text), id=_id(draft), keep=_value([draft.text]),
        others=_others(draft, corpus), labels=_labels(draft.labels), output=_value(draft.output),
    )  # fmt: skip
    _check(content, corpus)
    return content


def _check(content: str, corpus: Corpus) -> None:
    from ner_ray.annotator.rows import columns_of
    from ner_ray.annotator.spec import resolve
    from ner_ray.config import AnnotateConfig
    from ner_ray.config.load import load
    from ner_ray.config.parse import parse_yaml
    from ner_ray.store.input_types import check_columns

    spec = resolve(load(AnnotateConfig, parse_yaml(content), command="annotate"))
    check_columns(corpus.path, columns_of(spec), corpus.schema)


def _model(preset: str) -> str:
    known = presets()
    if preset in known:
        return f"# {known[preset]}\ndefaults: [families/{preset}]"
    if preset.startswith("hub:") or "://" in preset or (Path(preset) / "config.json").is_file():
        return f"# Any chat model can be asked this way.\nfamily: instruct\nengine: {{model: {_value(preset)}}}"
    raise ConfigError(
        f"there is no preset and no model folder {preset!r}",
        hint=f"presets: {', '.join(known)}; a model of the hub is written hub:ORGANIZATION/NAME",
    )


def _commands(file: str) -> str:
    """What to do with the file, as comments."""
    lines = {line.format(shlex.quote(file)): meaning for line, meaning in _COMMANDS.items()}
    width = max(map(len, lines))
    return "\n".join(f"#   {line:{width}}   {meaning}" for line, meaning in lines.items())


def _first_comment(path: Path) -> str:
    """What the comment at the beginning of a preset says first: its name, and in brackets its origin and licence."""
    lines = path.read_text(encoding="utf-8").splitlines()
    comment = " ".join(line.removeprefix("#").strip() for line in lines[:3] if line.startswith("#"))
    return _FIRST.match(comment)[0]  # type: ignore[index]  # it matches anything


def _id(draft: Draft) -> str:
    return f"id: {_value(draft.id)}" if draft.id else "# id: COLUMN         # without it, ids are FILE:ROW"


def _others(draft: Draft, corpus: Corpus) -> str:
    rest = ", ".join(name for name in corpus.schema.names if name not in (draft.text, draft.id))
    return f"    # columns to copy to the output; also there: {rest}" if rest else ""


def _labels(labels: str | Sequence[str | Mapping[str, str]]) -> str:
    if isinstance(labels, str):
        return f" {_value(labels)}"
    return "".join(f"\n  - {_value(label)}" for label in labels) or " []"


def _value(value: Any) -> str:  # plain data
    """A value in YAML, on one line."""
    return yaml.safe_dump([value], default_flow_style=True, allow_unicode=True, width=_WIDE, sort_keys=False)[1:-2]


def _stem(path: str) -> str:
    """The last part of a path that is no pattern, without its ending."""
    parts = [part for part in re.split(r"[/\\]", path.partition("?")[0]) if part and not set(part) & set("*[{:")]
    return re.sub(r"[^\w.-]", "-", parts[-1].partition(".")[0]) if parts and parts[-1].strip(".") else "corpus"
