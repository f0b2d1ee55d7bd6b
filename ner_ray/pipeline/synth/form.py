"""The fourth stage of synthesis: annotated passages become training rows, in every form that is asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import fs

from ner_ray.annotator.spec import family_steps
from ner_ray.config import DemonstrationsConfig, IndexConfig, labels
from ner_ray.config import load as compose
from ner_ray.data import training
from ner_ray.pipeline.index import index
from ner_ray.pipeline.retrieve import selector_of
from ner_ray.pipeline.tasks import map_tasks
from ner_ray.retrieval import select
from ner_ray.retrieval.base import load
from ner_ray.schema import Row
from ner_ray.storage import clear, join, open_store, put_table
from ner_ray.synth import forms
from ner_ray.synth.config import FormConfig, SynthConfig
from ner_ray.synth.forms import Asked, Form
from ner_ray.synth.negatives import TypePool

_TRAIN = "train"
_LAYOUTS = {"llama_factory": training.write_llama_factory, "ms_swift": training.write_ms_swift}


@dataclass(frozen=True, slots=True)
class Counted:
    """Rows that were written, and gold entities that their answers leave out, by reason; adds."""

    rows: int = 0
    left_out: Counter[str] = field(default_factory=Counter)

    def __add__(self, other: Counted) -> Counted:
        return Counted(self.rows + other.rows, self.left_out + other.left_out)


def resolve_forms(config: SynthConfig) -> dict[str, Form]:
    """The forms by name, with their families' steps and their label sets.

    Raises:
        ConfigError: a family's options or a label set is not valid.
    """
    return {name: _resolve(config, form) for name, form in config.forms.items()}


def _resolve(config: SynthConfig, form: FormConfig) -> Form:
    given = () if form.labels is None else labels.parse(compose.label_source(form.labels))
    return Form(form, family_steps(form.family), given, forms.origin(config, form))


def make_forms(config: SynthConfig, wanted: Mapping[str, Form], frequencies: Mapping[str, int]) -> dict[str, Counted]:
    """Writes the training rows of every form; returns what was written, by form.

    Args:
        config: all of it.
        wanted: the forms, from `resolve_forms`.
        frequencies: mentions of each type in the whole data set.
    """
    store, path = open_store(config.output)
    for folder in (_TRAIN, *_LAYOUTS):
        clear(store, join(path, folder))
    files = _files(store, join(path, "annotated"))
    pool = TypePool(frequencies)
    made = {}
    for name, form in wanted.items():
        shown = _index_annotated(config, form)
        made[name] = _sum(map_tasks(_make_shard, files, config.output, name, form, pool, shown))
        if form.varied:
            made[name] += _make_varied(config, name, form, pool, files)
        _write_layouts(config, name)
    return made


def _index_annotated(config: SynthConfig, form: Form) -> DemonstrationsConfig | None:
    """How to choose a form's demonstrations, with their index built; None where it shows none."""
    wanted = form.config.demonstrations
    if wanted is None:
        return None
    uri = join(config.output, f"index-{wanted.retriever}")
    retrievers = {name: _build_options(name, wanted) for name in load(wanted.retriever).PARTS or (wanted.retriever,)}
    index(IndexConfig(pool=(join(config.output, "annotated"),), output=uri, retrievers=retrievers, overwrite=True))
    return wanted.model_copy(update={"index": uri})


def _build_options(retriever: str, wanted: DemonstrationsConfig) -> dict[str, Any]:
    """The options of a retriever that matter for building its index too, such as an encoder."""
    known = load(retriever).BuildOptions.model_fields
    return {name: value for name, value in wanted.options.get(retriever, {}).items() if name in known}


def _make_shard(
    file: str, output: str, name: str, form: Form, pool: TypePool, demonstrations: DemonstrationsConfig | None
) -> Counted:
    """Writes the training rows of one file of annotated passages; a Ray task."""
    store, path = open_store(output)
    rows = _annotated(store, file)
    shown = None
    if demonstrations is not None:
        shown, _ = select(selector_of(demonstrations.model_dump_json()), [row["text"] for row in rows])
    made = forms.make(form, rows, pool, shown)
    put_table(store, join(path, _TRAIN, name, file.rsplit("/", 1)[-1]), training.to_table(made.rows))
    return Counted(len(made.rows), made.left_out)


def _make_varied(config: SynthConfig, name: str, form: Form, pool: TypePool, files: Sequence[str]) -> Counted:
    """Writes the classifier's varied rows, which depend on all passages together."""
    store, path = open_store(config.output)
    asked = [passage for part in map_tasks(_ask_shard, files, config.output, form, pool) for passage in part]
    made = forms.make_varied(form, asked, pool.names)
    put_table(store, join(path, _TRAIN, name, f"{forms.CLASSIFIER}.parquet"), training.to_table(made.rows))
    return Counted(len(made.rows), made.left_out)


def _ask_shard(file: str, output: str, form: Form, pool: TypePool) -> list[Asked]:
    """The classifier's questions about one file of annotated passages; a Ray task."""
    return forms.ask(form, _annotated(open_store(output)[0], file), pool)


def _annotated(store: fs.FileSystem, file: str) -> list[Row]:
    """The annotated passages of a file that training rows are made from: those with a readable answer."""
    table = pq.read_table(file, filesystem=store, partitioning=None)
    rows: list[Row] = table.filter(pc.equal(table["status"], "ok")).to_pylist()
    return rows


def _write_layouts(config: SynthConfig, name: str) -> None:
    """Writes a form for the other trainers that the configuration names."""
    if not config.layouts:
        return
    rows = list(training.read_rows([join(config.output, _TRAIN, name)]))
    for layout in config.layouts:
        _LAYOUTS[layout](join(config.output, layout), name, rows)


def _files(store: fs.FileSystem, folder: str) -> list[str]:
    infos = store.get_file_info(fs.FileSelector(folder, allow_not_found=True))
    return sorted(info.path for info in infos if info.is_file and info.path.endswith(".parquet"))


def _sum(parts: Iterable[Counted]) -> Counted:
    return sum(parts, Counted())
