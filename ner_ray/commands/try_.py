"""Open a page to type texts into, and see what a configuration finds in them.

The engine starts once and stays warm. The page listens on this machine only, unless `--host` says otherwise: then its
address holds a token. Nothing that is typed is logged or kept.

For example:

    ner-ray try

    ner-ray try families/gner-llama-7b 'labels=[person, ship]' engine.max_num_seqs=8
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ner_ray.commands._serving import Result, say, say_address, show
from ner_ray.commands.base import argument, option
from ner_ray.config import Section

if TYPE_CHECKING:
    from ner_ray.config import AnnotateConfig
    from ner_ray.playground.server import Example

_DEFAULT = "annotate/demo"
_EXAMPLES = ("1-en.parquet", (0, 1, 2, 4)), ("6-long-en.parquet", (0,))  # files of the sample, and their rows

__all__ = ["Config", "Result", "run", "show"]


class Config(Section):
    """What to try, and where to listen."""

    config: str = argument(_DEFAULT, description="A YAML file, or the name of one that ships with the package.")
    settings: list[str] = argument((), description="Settings as `key.path=value`; they override the file.")
    host: str = option("127.0.0.1", description="The interface to listen on; 0.0.0.0 for all.")
    port: int = option(8765, ge=0, le=65535, description="The port; 0 for any that is free.")


def run(config: Config) -> Result:
    """Starts the engine and serves the page until it is interrupted; raises what `ner_ray.Annotator` raises."""
    from ner_ray.annotator.annotator import Annotator
    from ner_ray.pages.serving import serve, token_for
    from ner_ray.playground.server import Playground

    name, settings = _words(config)
    say("starting the engine; a large model takes minutes")
    with Annotator(name, settings) as annotator:
        token = token_for(config.host)
        playground = Playground(annotator, name, settings, _typed(annotator.config), list(_examples()), token)
        asyncio.run(serve(playground.application(), config.host, config.port, token, say_address))
    return Result()


def _words(config: Config) -> tuple[str, Sequence[str]]:
    """The configuration's name and the settings; a first word that is a setting is no name."""
    if "=" in config.config:
        return _DEFAULT, [config.config, *config.settings]
    return config.config, config.settings


def _typed(config: AnnotateConfig) -> str:
    """The configuration's label set as a person would type it; empty if each row has its own."""
    import yaml

    from ner_ray.config.labels import column_of, parse
    from ner_ray.config.load import label_source

    if column_of(config.labels):
        return ""
    source = label_source(config.labels)
    label_set = parse(source)
    if any(label.children for label in label_set):
        return str(yaml.safe_dump(source, allow_unicode=True, sort_keys=False))
    if any(label.description for label in label_set):
        return "\n".join(f"{label.name}: {label.description}".rstrip(": ") for label in label_set)
    return ", ".join(label.name for label in label_set)


def _examples() -> Sequence[Example]:
    import pyarrow.parquet as pq

    from ner_ray.playground.server import Example
    from ner_ray.storage import open_store

    examples = []
    for name, numbers in _EXAMPLES:
        store, path = open_store(f"package://sample/{name}")
        rows = pq.read_table(path, columns=["title", "text"], filesystem=store).take(numbers).to_pylist()
        examples += [Example(row["title"], row["text"]) for row in rows]
    return examples
