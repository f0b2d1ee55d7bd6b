"""Annotates any Ray Dataset lazily with the job's own stages, so that it composes with the rest of Ray Data."""

from __future__ import annotations

import secrets
from typing import Any

import pyarrow as pa
from ray.data import Dataset

from ner_ray import schema
from ner_ray.annotator import pools
from ner_ray.annotator.budget import fit
from ner_ray.annotator.rows import columns_of
from ner_ray.annotator.spec import resolve
from ner_ray.config import AnnotateConfig
from ner_ray.errors import ConfigError, InputError
from ner_ray.pipeline.graph import annotated
from ner_ray.pipeline.progress import Counts
from ner_ray.pipeline.suspects import start_suspects
from ner_ray.schema import BETWEEN_STAGES, ERRORS, LABELS, ROW_ID, TEXT
from ner_ray.store.documents import Columns, label_sets, texts_of

_ID_BITS = 62


def annotate_dataset(rows: Dataset, config: AnnotateConfig) -> Dataset:
    """The dataset with the columns of the job's output; nothing runs until it is consumed.

    Engines start with the execution and end with it. There is no run directory, so nothing is committed or resumed:
    for that, use `ner-ray annotate`.

    Args:
        rows: a dataset with the texts in the column `config.input.text`.
        config: as for the job; `input.path`, `input.keep`, `output`, `reuse` and `max_error_rate` are not used.

    Raises:
        NerRayError: the configuration is wrong, or a model is missing.
    """
    output = config.output.model_copy(update={"completions": False})
    spec = resolve(config.model_copy(update={"output": output, "reuse": False}))
    if not spec.pools:
        raise ConfigError("replay is for jobs, whose input carries recorded answers", hint="replay=false")
    pools.check(spec)
    documents = rows.map_batches(
        _Documents(columns_of(spec)), batch_size=None, batch_format="pyarrow", zero_copy_batch=True
    )
    books = {"suspects": start_suspects(), "journals": None}
    return annotated(documents, fit(spec), Counts(None), None, books)


class _Documents:
    """Adds to a table the columns that the stages expect."""

    def __init__(self, columns: Columns) -> None:
        self._columns = columns

    def __call__(self, table: pa.Table) -> pa.Table:
        self._check(table.column_names)
        texts, errors = texts_of(table[self._columns.text], self._columns.max_characters)
        # Ids need to be unique only while the rows are being processed: they tell which documents kill engines.
        ids = [secrets.randbits(_ID_BITS) for _ in range(len(table))]
        added: list[tuple[str, pa.DataType, list[Any]]] = [
            (ROW_ID, pa.int64(), ids),
            (TEXT, pa.large_string(), texts),
            (ERRORS, pa.list_(schema.ERROR), errors),
        ]
        for name, kind, values in added:
            table = schema.with_column(table, name, kind, values)
        if self._columns.labels:
            table = table.append_column(LABELS, label_sets(table[self._columns.labels]))
        return table

    def _check(self, names: list[str]) -> None:
        needed = [name for name in (self._columns.text, self._columns.labels) if name]
        if missing := [name for name in needed if name not in names]:
            raise InputError(f"the dataset has no column {missing[0]!r}; it has: {', '.join(names)}")
        if repeated := [name for name in needed if names.count(name) > 1]:
            raise InputError(
                f"the dataset has several columns named {repeated[0]!r}", hint="rename all but one of them"
            )
        reserved = {*BETWEEN_STAGES, ROW_ID, *schema.OUTPUT.names}
        if taken := sorted(reserved & set(names)):
            raise InputError(f"the dataset already has {', '.join(taken)}", hint="rename or drop these columns first")
