"""Annotated documents in any number, and runs of them, written by the store's own code as jobs write theirs."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ner_ray import schema
from ner_ray.store.run import RunDirectory
from ner_ray.store.shards import list_shards
from ner_ray.types import Annotation, Document, DocumentStatus, Entity, ErrorRecord, Mention, SpanStatus, Usage

_NAMES = {
    "person": ("Moira Tavish", "Declan Mooney", "Søren Kvist", "周德顺", "محمود درويش", "𝒳eno"),
    "place": ("Port Ellery", "Halmer Sound", "白鹭镇", "رام الله"),
    "organization": ("Lagan Optics", "the Halmer Sound Trust", "Kestrel"),
}
_WORDS = ("the", "of", "a", "met", "sailed", "from", "left", "because", "harbour", "said", "report", "year", "water")
_GROUP_ROWS = 5_000

Annotated = tuple[Document, Annotation]


def annotated(number: int, words: int = 80) -> Annotated:
    """A document with entities, some of them nested, and, once in a while, with problems."""
    draw = random.Random(number)
    text, entities = f"Report {number}.", []
    for _ in range(draw.randint(words // 2, words * 3 // 2)):
        text += "\n" if draw.random() < 0.02 else " "
        if draw.random() < 0.9:
            text += draw.choice(_WORDS)
            continue
        label = draw.choice(list(_NAMES))
        name = draw.choice(_NAMES[label])
        score = None if draw.random() < 0.05 else round(draw.random(), 3)
        entities.append(Entity(len(text), len(text) + len(name), name, label, score, draw.choice(list(SpanStatus))))
        if name.startswith("the "):
            entities.append(Entity(len(text) + 4, len(text) + 16, "Halmer Sound", "place", 0.5))
        text += name
    document = Document(f"news/{number:07}", text, ())
    usage = Usage(3, 1_200, 0, 88)
    if number % 41 == 5:
        errors = (ErrorRecord("unparsable", "tagger", "no mark was closed"),)
        return document, Annotation((), (), DocumentStatus.FAILED, errors, usage)
    if number % 17 == 3:
        errors = (ErrorRecord("truncated", "extractor", "the answer was cut"),)
        return document, Annotation(
            tuple(entities), (Mention("Dundalk", "town"),), DocumentStatus.PARTIAL, errors, usage
        )
    return document, Annotation(tuple(entities), usage=usage)


def documents(count: int, words: int = 80) -> Iterator[Annotated]:
    """Many documents."""
    return (annotated(number, words) for number in range(count))


def write_run(folder: Path, found: Iterable[Annotated], *, keep: bool = True, per_shard: int = 10_000) -> RunDirectory:
    """A run over `folder/in` in `folder/run`, one wave per shard; texts are kept or not."""
    (folder / "in").mkdir(parents=True, exist_ok=True)
    directory = RunDirectory(str(folder / "run"))
    settings = {"input": {"text": "text", "id": "id", "keep": ["text"] if keep else []}}
    directory.write_record({"settings": settings, "config": {"input": {"path": str(folder / "in")}}})
    add_waves(directory, folder, found, keep=keep, per_shard=per_shard)
    return directory


def add_waves(
    directory: RunDirectory, folder: Path, found: Iterable[Annotated], *, keep: bool = True, per_shard: int = 10_000
) -> None:
    """Further shards of a run, and what was found in them."""
    waiting = iter(found)
    strings = [schema.DOC_ID, *(["text"] if keep else [])]
    fields = pa.schema([(schema.ROW_ID, pa.int64()), *((name, pa.string()) for name in strings), *schema.OUTPUT])
    before = len(list((folder / "in").iterdir()))
    while some := list(islice(waiting, per_shard)):
        columns = {"id": [document.doc_id for document, _ in some], "text": [document.text for document, _ in some]}
        pq.write_table(pa.table(columns), folder / "in" / f"{before:05}.parquet", row_group_size=_GROUP_ROWS)
        before += 1
        (wave,) = directory.plan_waves(list_shards(str(folder / "in")), per_shard)
        rows = [
            {schema.ROW_ID: row_id, schema.DOC_ID: document.doc_id, "text": document.text}
            | schema.annotation_to_row(annotation)
            for row_id, (document, annotation) in zip(wave.row_ids().tolist(), some, strict=True)
        ]
        directory.write(wave.number, pa.Table.from_pylist(rows, schema=fields), _GROUP_ROWS)
        directory.commit(wave, {})
