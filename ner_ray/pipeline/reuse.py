"""Reuses the annotations of texts that this run has annotated before: a new crawl costs only its new texts.

Committed rows carry a hash of their text and label set. Before waves run, the hashes of their rows are looked up among
them; an annotation that is found travels through the graph with its row, for which no engine is asked. Only rows with
the status `ok` are reused, and only within one run directory, where the configuration is the same by construction.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads
import ray

from ner_ray import schema
from ner_ray.errors import ChangedInputError
from ner_ray.pipeline.progress import Counts
from ner_ray.pipeline.tasks import map_tasks
from ner_ray.schema import KEPT_HASH, LABELS, REUSED, TEXT, TEXT_HASH
from ner_ray.store.documents import Columns, read_rows
from ner_ray.store.run import RunDirectory
from ner_ray.store.waves import NumberedShard, Wave

_LOG = logging.getLogger(__name__)

_CARRIED = [field for field in schema.OUTPUT if field.name != "usage"]


class ReuseStage:
    """Adds to each row its hash, and the annotation of an earlier row with that hash, or null."""

    def __init__(self, known: Any, counts: Counts) -> None:  # a Ray object reference to a table, or None
        self._known = known
        self._counts = counts

    def __call__(self, table: pa.Table) -> pa.Table:
        hashes = hashes_of(table)
        table = table.append_column(TEXT_HASH, hashes)
        known = ray.get(self._known) if self._known is not None else None
        if known is None:
            return table.append_column(REUSED, pa.nulls(len(table), pa.struct(_CARRIED)))
        # For each row, the position of its hash in `known`, or null; `take` passes nulls on, and the mask makes the
        # whole struct null there.
        positions = pc.index_in(hashes, known[KEPT_HASH].combine_chunks())
        reused = pa.StructArray.from_arrays(
            [known[field.name].combine_chunks().take(positions) for field in _CARRIED],
            fields=_CARRIED,
            mask=pc.is_null(positions),
        )
        self._counts.add(reused=len(table) - reused.null_count)
        return table.append_column(REUSED, reused)


def hashes_of(table: pa.Table) -> pa.Array:
    """A 16-byte hash of each row's text and, where rows have their own, label set; of shape (rows,)."""
    sets = table[LABELS].to_pylist() if LABELS in table.column_names else [None] * len(table)
    hashes = [_hash(text, labels) for text, labels in zip(table[TEXT].to_pylist(), sets, strict=True)]
    return pa.array(hashes, schema.HASH)


def known_annotations(run: RunDirectory, waves: Sequence[Wave], columns: Columns, kept: pa.Schema) -> Any:
    """A Ray object reference to a table of committed annotations of the waves' texts, one per hash; None if empty."""
    if not run.files():
        return None
    committed = run.dataset()
    if KEPT_HASH not in committed.schema.names:
        return None
    shards = [numbered for wave in waves for numbered in wave.shards]
    hashes = pa.array(np.unique(np.concatenate(list(map_tasks(_hashes, shards, columns, kept)))).tolist(), schema.HASH)
    names = [KEPT_HASH, *(field.name for field in _CARRIED)]
    matches = committed.to_table(
        columns=names, filter=(pads.field("status") == "ok") & pads.field(KEPT_HASH).isin(hashes)
    )
    if not len(matches):
        return None
    _, first = np.unique(matches[KEPT_HASH].to_numpy(zero_copy_only=False), return_index=True)
    _LOG.info("reuse.found texts=%d", len(first))
    return ray.put(matches.take(pa.array(first)))


def _hashes(shard: NumberedShard, columns: Columns, kept: pa.Schema) -> Any:
    tables = read_rows(shard, 0, shard.shard.rows, columns, kept)
    hashes = [np.empty(0, object)]
    with suppress(ChangedInputError):  # which is told when the rows themselves are read
        hashes += [hashes_of(table).to_numpy(zero_copy_only=False) for table in tables]
    return np.concatenate(hashes)


def _hash(text: str, labels: list[str] | None) -> bytes:
    digest = hashlib.blake2b(text.encode(), digest_size=16)
    if labels is not None:
        digest.update(b"\0" + json.dumps(labels, ensure_ascii=False).encode())
    return digest.digest()
