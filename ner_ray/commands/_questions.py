"""The questions of `ner-ray init`, in a terminal: each with a proposal, and asked only if its answer is not given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.prompt import Prompt

from ner_ray.commands import _drafts, _tables

if TYPE_CHECKING:
    from ner_ray.commands._corpus import Corpus
    from ner_ray.commands.init import Config

_CONSOLE = Console(stderr=True)


def corpus() -> str:
    """Where the corpus is."""
    return _ask("Parquet files, a folder or a glob", "corpus/")


def answered(config: Config, corpus: Corpus, draft: _drafts.Draft) -> _drafts.Draft:
    """The draft with answers in place of proposals."""
    _CONSOLE.print(escape(corpus.described()), highlight=False)
    names = corpus.schema.names
    text = config.text or _ask("Column with the text", draft.text, names)
    given = config.id or _ask("Column with the id", draft.id or _drafts.NO_COLUMN, [*names, _drafts.NO_COLUMN])
    labels = draft.labels if config.labels else _labels(draft)
    preset = config.preset or _preset(draft.preset)
    output = config.output or _ask("Run directory", draft.output)
    return _drafts.Draft(text, None if given == _drafts.NO_COLUMN else given, labels, preset, output)


def _labels(draft: _drafts.Draft) -> str | Sequence[str | Mapping[str, str]]:
    """The labels, and what each means, if that is said."""
    words = _ask("Labels, with commas between them", ", ".join(map(str, draft.labels)))
    labels = _drafts.labels_of([words])
    if isinstance(labels, str):
        return labels
    return [_described(label) if isinstance(label, str) else label for label in labels]


def _described(label: str) -> str | Mapping[str, str]:
    description = _ask(f"  What counts as {label}? (Enter: the name says it)", "")
    return {"name": label, "description": description} if description else label


def _preset(proposal: str) -> str:
    table = _tables.grid()
    for name, meaning in _drafts.presets().items():
        table.add_row(f"  {escape(name)}", escape(meaning))
    _CONSOLE.print(table)
    return _ask("Model: one of these, a folder, or hub:ORGANIZATION/NAME", proposal)


def _ask(question: str, proposal: str, choices: list[str] | None = None) -> str:
    """The answer; the proposal at Enter. At the end of input the command stops as at Ctrl-C."""
    try:
        return Prompt.ask(
            escape(question), console=_CONSOLE, default=proposal, choices=choices, show_choices=False,
            show_default=bool(proposal),
        )  # fmt: skip
    except EOFError:
        raise KeyboardInterrupt from None
