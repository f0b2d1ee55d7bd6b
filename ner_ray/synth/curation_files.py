"""Curation of files: reads annotated sources, and writes one data set and a report; `curation` does the work."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field

from ner_ray.config import Section
from ner_ray.config import load as compose
from ner_ray.data import AnnotatedText, Reject, distinct, read, split
from ner_ray.data.annotated import SCHEMA, to_row
from ner_ray.storage import join, open_store, put_atomically
from ner_ray.synth.curation import CurationOptions, curate, parse_taxonomy, report


class CurateConfig(Section):
    """The configuration of `ner-ray curate`: what to merge, under which names, and how much to keep."""

    sources: dict[str, str | list[str]] = Field(
        min_length=1,
        description="Name of a source -> its files, folders or run directories: annotated texts in any format, as for "
        "`ner-ray index`.",
    )
    taxonomy: dict[str, dict[str, str | None]] | str = Field(
        default_factory=dict,
        description="Source, or `*` for all -> a label map: its type -> the name to use, or null to drop its entities. "
        "Other types keep their names; a type that the source does not have is refused. Or a YAML file that holds "
        "this.",
    )
    options: CurationOptions = Field(default_factory=CurationOptions)
    output: str = Field(description="The folder for data.parquet, report.md, conflicts.jsonl and rejects.jsonl.")


@dataclass(frozen=True, slots=True)
class CuratedFiles:
    """What was written.

    Attributes:
        output: the output folder.
        read: number of usable rows in all sources.
        rejected: number of unusable rows; the reasons are in rejects.jsonl.
        dropped: number of entities whose type the taxonomy drops.
        kept: number of rows in the data set.
        conflicts: number of comparisons: of pairs of sources, for each type that both have.
        types: number of types in the data set.
    """

    output: str
    read: int
    rejected: int
    dropped: int
    kept: int
    conflicts: int
    types: int


def curate_files(config: CurateConfig) -> CuratedFiles:
    """Writes the data set and the report. The same configuration and files yield the same bytes.

    Raises:
        ConfigError: the taxonomy is malformed, or names a source or a type that does not exist.
        InputError: a source cannot be read.
    """
    plain = config.taxonomy
    taxonomy = parse_taxonomy(compose.read_data(plain) if isinstance(plain, str) else plain)
    examples: list[AnnotatedText] = []
    rejects: list[Reject] = []
    for name, files in config.sources.items():
        found, unusable = split(distinct(read(files)))
        examples += [replace(example, source=name) for example in found]
        rejects += unusable
    curated = curate(examples, taxonomy, config.options)
    store, folder = open_store(config.output)
    put_atomically(store, join(folder, "report.md"), report(curated).encode(errors="replace"))
    put_atomically(store, join(folder, "conflicts.jsonl"), _lines(map(asdict, curated.conflicts)))
    put_atomically(store, join(folder, "rejects.jsonl"), _lines(map(asdict, rejects)))
    sink = pa.BufferOutputStream()
    pq.write_table(
        pa.Table.from_pylist([to_row(example) for example in curated.examples], SCHEMA), sink, compression="zstd"
    )
    put_atomically(store, join(folder, "data.parquet"), sink.getvalue().to_pybytes())
    return CuratedFiles(
        output=config.output,
        read=len(examples),
        rejected=len(rejects),
        dropped=curated.removed.total(),
        kept=len(curated.examples),
        conflicts=len(curated.conflicts),
        types=len(curated.after),
    )


def _lines(rows: Iterator[dict[str, object]]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode(errors="replace")
