"""Look into a corpus and write a small commented configuration for it, which `preview` and `annotate` then run.

In a terminal, what is not given is asked for, with a proposal. Elsewhere the proposals are taken. A file that exists is
never overwritten.

For example:

    ner-ray init corpus/

    ner-ray init corpus/ news.yaml --text body --labels person --labels 'ship: a vessel with a name'

    ner-ray init 's3://corpus/news/*.parquet' news.yaml --preset gner-llama-7b --output s3://runs/news
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ner_ray.commands.base import argument, option
from ner_ray.config import Section
from ner_ray.errors import EXIT_DONE, ConfigError

if TYPE_CHECKING:
    from ner_ray.commands._corpus import Corpus


class Config(Section):
    """What to annotate, and the file to write."""

    input: str | None = argument(None, description="The corpus: Parquet files, a folder or a glob, on any store.")
    file: str = argument("ner.yaml", description="The configuration file to write.")
    text: str | None = option(None, description="The column that holds the text.")
    id: str | None = option(None, description="The column that holds the document id; `none` for FILE:ROW.")
    labels: list[str] = option(
        (),
        description="A label, or `label: what it means`; give the option once for each. Also a file of labels, or "
        "`column:NAME` for a set per row.",
    )
    preset: str | None = option(
        None,
        description="The model: the name of a preset in conf/families, or a chat model of yours, as a folder or as "
        "hub:ORGANIZATION/NAME.",
    )
    output: str | None = option(None, description="The run directory, on any store.")


@dataclass(frozen=True, slots=True)
class Result:
    """The file that was written, and what it is for."""

    file: str
    run: str
    corpus: Corpus
    exit_status: int = EXIT_DONE

    def to_dict(self) -> dict[str, Any]:
        return {"file": self.file, "run": self.run, **self.corpus.to_dict(), "next": list(_next(self))}


def run(config: Config) -> Result:
    """Writes the file.

    Raises:
        ConfigError: the file exists, something is not given and cannot be proposed, or what is given is not valid.
        InputError: the input cannot be read, or lacks a column.
    """
    from ner_ray.commands import _questions
    from ner_ray.commands._corpus import look
    from ner_ray.commands._drafts import completed, yaml_of

    if Path(config.file).exists():
        raise ConfigError(
            f"{config.file} exists", hint=f"name another file: ner-ray init {config.input or 'INPUT'} other.yaml"
        )
    ask = sys.stdin.isatty() and sys.stderr.isatty()
    path = config.input or (_questions.corpus() if ask else _missing())
    corpus = look(path)
    draft = completed(config, corpus)
    if ask:
        draft = _questions.answered(config, corpus, draft)
    text = yaml_of(draft, corpus, config.file)
    with Path(config.file).open("x", encoding="utf-8") as stream:
        stream.write(text)
    return Result(config.file, draft.output, corpus)


def show(result: Result) -> str:
    """What was found and written, and the next three commands."""
    found = result.corpus.described()
    return f"{found}\nwrote {result.file}; next:\n\n" + "".join(f"  {line}\n" for line in _next(result))


def _next(result: Result) -> Sequence[str]:
    from shlex import quote

    file, out = quote(result.file), quote(result.run)
    return f"ner-ray preview {file}", f"ner-ray annotate {file}", f"ner-ray export {out} page.html"


def _missing() -> str:
    raise ConfigError("INPUT is missing: where the corpus is", hint="usage: ner-ray init INPUT [FILE]")
