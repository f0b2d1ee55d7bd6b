"""Samples documents from all over a job's input, and annotates them in this process."""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Sequence
from concurrent.futures import Future
from itertools import accumulate

import pyarrow as pa

from ner_ray import schema
from ner_ray.annotator.annotator import Annotator
from ner_ray.annotator.result import AnnotatedDocument
from ner_ray.annotator.rows import columns_of
from ner_ray.pipeline.preflight import Job
from ner_ray.schema import ERRORS, LABELS, TEXT, Row
from ner_ray.store.documents import read_rows
from ner_ray.store.waves import NumberedShard, Wave
from ner_ray.types import Annotation, DocumentStatus

_SPOTS = 16  # parts of the input that documents are drawn from


def draw(job: Job, waves: Sequence[Wave], size: int, seed: int) -> pa.Table:
    """Samples documents of some waves: a few consecutive ones at each of 16 random spots, which is cheap to read.

    Returns:
        At most `size` rows, without repetition, with the columns of `store.documents.read_rows`.
    """
    each = -(-size // _SPOTS)
    shards = [shard for wave in waves for shard in wave.shards]
    ends = list(
        accumulate(-(-shard.shard.rows // each) for shard in shards)
    )  # shard i has windows ends[i-1] to ends[i]
    total = ends[-1] if ends else 0
    chosen = random.Random(seed).sample(range(total), min(_SPOTS, total))  # noqa: S311  # a sample, not a secret
    tables: list[pa.Table] = []
    for window in sorted(chosen):
        number = bisect_right(ends, window)
        first = (window - (ends[number - 1] if number else 0)) * each
        whole = NumberedShard(shards[number].ordinal, shards[number].shard)
        tables += read_rows(whole, first, min(first + each, whole.shard.rows), columns_of(job.spec), job.schema)
    return pa.concat_tables(tables).slice(0, size) if tables else pa.table({TEXT: pa.array([], pa.large_string())})


def ask(annotator: Annotator, row: Row, characters: int | None = None) -> Future[AnnotatedDocument]:
    """Starts to annotate a row of the sample; at most the first `characters` of its text, if given."""
    if row[ERRORS]:
        errors = tuple(schema.error_from_row(error) for error in row[ERRORS])
        failed: Future[AnnotatedDocument] = Future()
        failed.set_result(AnnotatedDocument.of("", Annotation((), status=DocumentStatus.FAILED, errors=errors)))
        return failed
    return annotator.submit(row[TEXT][:characters], labels=row.get(LABELS))
