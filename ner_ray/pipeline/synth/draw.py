"""The first stage of synthesis: passages are drawn from the corpus and written down."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
from pyarrow import fs

from ner_ray import schema
from ner_ray.config import fingerprint, semantic
from ner_ray.errors import InputError, RunError
from ner_ray.pipeline.tasks import map_tasks
from ner_ray.storage import get_json, join, open_store, put_json, put_table
from ner_ray.store import documents
from ner_ray.store.input_types import check_columns
from ner_ray.store.shards import Shard, list_shards, schemas_of
from ner_ray.store.waves import NumberedShard
from ner_ray.synth import answers, corpus
from ner_ray.synth.config import SynthConfig
from ner_ray.synth.corpus import Candidate, Draw

_LOG = logging.getLogger(__name__)

_DOCUMENTS_PER_TASK = 10_000
_PASSAGES_PER_FILE = 5_000
_NOTE = "passages.json"


def draw_passages(config: SynthConfig) -> dict[str, int]:
    """Writes the passages, unless they are there already; returns what was counted.

    Raises:
        RunError: the passages that are there were drawn with other settings, or from another corpus.
        InputError: no document can be read, or no passage is suitable.
    """
    store, path = open_store(config.output)
    shards = [
        shard for shard in list_shards(config.input.path, left_out=[config.output]) if not shard.problem and shard.rows
    ]
    if not shards:
        raise InputError(f"no document can be read at {config.input.path}")
    settings = _settings(config, shards)
    done = get_json(store, join(path, _NOTE))
    if done:
        _check_same(config.output, done["settings"], settings)
        return dict(done["counts"])
    for shard, found in zip(shards, schemas_of(shards), strict=True):
        check_columns(shard.uri, _columns(config), found)
    draw = corpus.start_draw(config.passages)
    for part in map_tasks(_look_at, _ranges([NumberedShard(*pair) for pair in enumerate(shards)]), config):
        draw.update(part)
    chosen = corpus.choose(draw, config.passages)
    if not chosen:
        counted = ", ".join(f"{name} {count}" for name, count in sorted(draw.counts.items()) if count)
        raise InputError(
            f"no passage at {config.input.path} is suitable: {counted}",
            hint="widen passages.languages, passages.min_characters or passages.rate",
        )
    counts = dict(sorted(draw.counts.items()))
    _write(store, path, chosen, {"settings": settings, "counts": counts})
    _LOG.info("passages.drawn passages=%d of=%d", len(chosen), draw.counts["passages"])
    return counts


def _settings(config: SynthConfig, shards: Sequence[Shard]) -> dict[str, Any]:
    """What the draw depends on."""
    found: dict[str, Any] = {name: semantic(getattr(config, name)) for name in ("input", "passages")}
    sizes = {shard.uri: [shard.size, shard.rows] for shard in shards}
    return found | {"seed": config.seed, "corpus": fingerprint(sizes)}


def _check_same(output: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    # Through JSON, whose sequences are all lists.
    changed = [name for name, value in json.loads(json.dumps(now)).items() if before.get(name) != value]
    if changed:
        raise RunError(
            f"the passages in {output} were drawn with another {', '.join(changed)}",
            hint="choose another output, or restore the former settings and corpus",
        )


def _columns(config: SynthConfig) -> documents.Columns:
    section = config.input
    kept = (section.source,) if section.source else ()
    return documents.Columns(section.text, section.id, None, kept, section.max_characters)


def _ranges(shards: Iterable[NumberedShard]) -> Iterator[tuple[NumberedShard, int, int]]:
    """Stretches of rows for one task each, end exclusive."""
    for numbered in shards:
        for first in range(0, numbered.shard.rows, _DOCUMENTS_PER_TASK):
            yield numbered, first, min(first + _DOCUMENTS_PER_TASK, numbered.shard.rows)


def _look_at(part: tuple[NumberedShard, int, int], config: SynthConfig) -> Draw:
    """What can be drawn from some documents; a Ray task."""
    columns = _columns(config)
    draw = corpus.start_draw(config.passages)
    for table in documents.read_groups(*part, columns, pa.schema([(name, pa.string()) for name in columns.keep])):
        for row in table.to_pylist():
            _look_at_row(draw, row, config)
    draw.trim()
    return draw


def _look_at_row(draw: Draw, row: schema.Row, config: SynthConfig) -> None:
    if row[schema.ERRORS]:
        draw.counts[row[schema.ERRORS][0]["code"]] += 1
        return
    origin = (row[config.input.source] if config.input.source else None) or ""
    place = row[schema.ROW_ID], row[schema.DOC_ID], origin, row[schema.TEXT]
    corpus.look_at(draw, *place, config.passages, config.seed)


def _write(store: fs.FileSystem, path: str, chosen: Sequence[Candidate], note: Mapping[str, Any]) -> None:
    """Writes the passages, and last the note that says that they are all there."""
    for number, first in enumerate(range(0, len(chosen), _PASSAGES_PER_FILE)):
        table = _table(chosen[first : first + _PASSAGES_PER_FILE])
        put_table(store, join(path, "passages", f"{number:05}.parquet"), table)
    put_json(store, join(path, _NOTE), note)


def _table(chosen: Sequence[Candidate]) -> pa.Table:
    names = answers.PASSAGE.names[1:]
    rows = [{name: getattr(candidate, name) for name in names} | {"id": candidate.passage_id} for candidate in chosen]
    return pa.Table.from_pylist(rows, answers.PASSAGE)
