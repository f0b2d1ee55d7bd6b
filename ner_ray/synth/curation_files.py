"""Curation on files: annotated sources in, one data set with a report out; what is done to them is in `curation`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field

from ner_ray.config import Section
from ner_ray.config import load as compose
from ner_ray.retrieval.pool import Reject, read_pool
from ner_ray.storage import join, open_store, put_atomically
from ner_ray.synth.curation import CurationOptions, Example, curate, parse_taxonomy, report
from ner_ray.types import Demonstration, Entity

_ENTITY = pa.struct({"start": pa.int64(), "end": pa.int64(), "text": pa.string(), "label": pa.string()})
_SCHEMA = pa.schema({"id": pa.string(), "source": pa.string(), "text": pa.string(), "entities": pa.list_(_ENTITY)})


class CurateConfig(Section):
    """Which annotated sources become one data set, under which names, and how large."""

    sources: dict[str, str | list[str]] = Field(
        min_length=1,
        description="Name of a source -> its files or folders: Parquet or JSON Lines with `text` and `entities` "
        "(text, label, and start and end where known), as for `ner-ray index`.",
    )
    taxonomy: dict[str, dict[str, str | None]] | str = Field(
        default_factory=dict,
        description="Source, or `*` for all -> its type -> the name to use, or null to drop it; other types stay as "
        "they are. Or a YAML file that says so.",
    )
    options: CurationOptions = Field(default_factory=CurationOptions)
    output: str = Field(description="The folder for data.parquet, report.md, conflicts.jsonl and rejects.jsonl.")


@dataclass(frozen=True, slots=True)
class CuratedFiles:
    """What was written.

    Attributes:
        output: the folder.
        read: rows of all sources that are examples.
        rejected: rows that are none; the reasons are in rejects.jsonl.
        kept: rows of the data set.
        conflicts: pairs of sources and types that were compared.
        types: types of the data set.
    """

    output: str
    read: int
    rejected: int
    kept: int
    conflicts: int
    types: int


def curate_files(config: CurateConfig) -> CuratedFiles:
    """Writes the data set and what was found, joined and dropped; the same configuration and files, the same bytes.

    Raises:
        ConfigError: the taxonomy is none.
        InputError: a source cannot be read.
    """
    said = config.taxonomy
    taxonomy = parse_taxonomy(compose.read_data(said) if isinstance(said, str) else said)
    examples: list[Example] = []
    rejects: list[Reject] = []
    for name, files in config.sources.items():
        pool = read_pool([files] if isinstance(files, str) else files)
        examples += [_example(name, one) for one in pool.examples]
        rejects += pool.rejects
    curated = curate(examples, taxonomy, config.options)
    store, folder = open_store(config.output)
    put_atomically(store, join(folder, "report.md"), report(curated).encode(errors="replace"))
    put_atomically(store, join(folder, "conflicts.jsonl"), _lines(asdict(one) for one in curated.conflicts))
    put_atomically(store, join(folder, "rejects.jsonl"), _lines(asdict(one) for one in rejects))
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist([_row(one) for one in curated.examples], _SCHEMA), sink, compression="zstd")
    put_atomically(store, join(folder, "data.parquet"), sink.getvalue().to_pybytes())
    return CuratedFiles(
        config.output, len(examples), len(rejects), len(curated.examples), len(curated.conflicts), len(curated.after)
    )


def _example(source: str, one: Demonstration) -> Example:
    entities = tuple(
        Entity(mention.start, mention.end, mention.text, mention.label)
        for mention in one.mentions
        if mention.start is not None and mention.end is not None
    )
    return Example(one.example_id, source, one.text, entities)


def _row(one: Example) -> dict[str, object]:
    entities = [
        {"start": entity.start, "end": entity.end, "text": entity.text, "label": entity.label}
        for entity in one.entities
    ]
    return {"id": one.example_id, "source": one.source, "text": one.text, "entities": entities}


def _lines(rows: Iterator[dict[str, object]]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode(errors="replace")
