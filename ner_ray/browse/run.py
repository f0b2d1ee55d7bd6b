"""What is committed in a run now, and the parts of a page on it, each read when it is asked for.

A part belongs to a version: the committed files at one time. Files never change, so what has been read of one is good
for as long as the run has it.
"""

from __future__ import annotations

import json
import threading
import time
import zlib
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import accumulate
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ner_ray import schema
from ner_ray.data.formats.run import InputTexts, kept_text, text_of
from ner_ray.errors import InputError
from ner_ray.store.run import RunDirectory
from ner_ray.store.tally import Tally
from ner_ray.types import Document, ErrorRecord, Mention
from ner_ray.viewer.documents import STATES, Shown, of_annotation
from ner_ray.viewer.index import Index, score_value
from ner_ray.viewer.pages import DOCUMENTS, Counts, chunk, contains, described
from ner_ray.viewer.search import fold

CHUNK_DOCUMENTS = 50  # as many as a page shows
_BATCH_ROWS = 256
_GROUPS = 8  # row groups that are kept in memory
_BLOCKS = 256  # of the index, likewise
_SIZES = 4_096  # files whose row groups are known, likewise
_EVERY = 2.0  # seconds, in which the store is asked at most once
_FEATURES = ("entities.list.element.label", "entities.list.element.score", "status", "errors.list.element.code")
NO_TEXT = "no_text"
"""The code of a document whose text cannot be shown, because the input is another one now."""


class GoneError(LookupError):
    """There is no such part; the run has grown since the page was told of it."""


@dataclass(frozen=True, slots=True)
class Committed:
    """What is committed at one time.

    Attributes:
        version: tells it from other times.
        files: paths on the store.
        rows: how many each file has.
        chunks: where the chunks of each file begin among all chunks; at last, their number.
        tally: counts over all of them.
        text: the column with the texts; None where they come from the input.
        inputs: where they come from then.
    """

    version: str
    files: tuple[str, ...]
    rows: tuple[int, ...]
    chunks: tuple[int, ...]
    tally: Tally
    text: str | None
    inputs: InputTexts | None


class BrowsedRun:
    """A run as a page needs it. Safe to use from several threads.

    Args:
        uri: the run directory.
        summarize: figures of a run's counts, for people.

    Raises:
        RunError: there is no run.
    """

    def __init__(self, uri: str, summarize: Callable[[Tally], Mapping[str, str]]) -> None:
        self._directory = RunDirectory(uri)
        self._summarize = summarize
        self._lock = threading.Lock()
        self._looked = 0.0
        self._sizes = lru_cache(_SIZES)(self._read_sizes)
        self._group = lru_cache(_GROUPS)(self._read_group)
        self._block = lru_cache(_BLOCKS)(self._read_block)
        if not self._directory.record() and not self._directory.history().planned:
            raise self._directory.nothing_committed()
        self._now = self._look()

    @property
    def title(self) -> str:
        return self._directory.uri.rstrip("/").rsplit("/", 1)[-1]

    def summary(self) -> Mapping[str, str]:
        """Figures of what is committed."""
        return self._summarize(self._now.tally)

    def meta(self) -> dict[str, Any]:
        """What the page's script is told, after a look at the store."""
        with self._lock:
            if time.monotonic() - self._looked > _EVERY:
                self._now = self._look()
            now = self._now
        counts = Counts(
            Counter({STATES.index(state): times for state, times in now.tally.statuses.items()}),
            now.tally.errors,
            Counter({(label, 0): times for label, times in now.tally.labels.items()}),
            scored=True,
        )
        sizes = [min(CHUNK_DOCUMENTS, rows - first) for rows in now.rows for first in range(0, rows, CHUNK_DOCUMENTS)]
        return described(DOCUMENTS, counts, sizes, now.rows) | {
            "version": now.version,
            "search": False,
            "more": False,
            "live": True,
            "summary": list(self._summarize(now.tally).items()),
        }

    def chunk(self, version: str, number: int) -> str:
        """The documents of a chunk.

        Raises:
            GoneError: there is no such part.
        """
        now, file = self._place(version, number, "chunks")
        first = (number - now.chunks[file]) * CHUNK_DOCUMENTS
        return chunk(self._shown(now, self._rows(now, file, first, min(first + CHUNK_DOCUMENTS, now.rows[file]))))

    def index(self, version: str, number: int) -> str:
        """The index of a file's documents.

        Raises:
            GoneError: there is no such part.
        """
        now, file = self._place(version, number, "files")
        return self._block(now.files[file])

    def find(self, version: str, number: int, query: str) -> list[int]:
        """Which documents of a file contain a text, by their numbers in the file.

        Raises:
            GoneError: there is no such part.
        """
        now, file = self._place(version, number, "files")
        wanted = fold(query)
        columns = [schema.ROW_ID, schema.DOC_ID, *([now.text] if now.text else [])]
        found, begins = [], 0
        with self._opened(now.files[file]) as parquet:
            for batch in parquet.iter_batches(_BATCH_ROWS, columns=columns):
                pairs = self._with_texts(now, batch.to_pylist())
                hits = (contains(Shown(row[schema.DOC_ID], text or "", ()), wanted) for row, text, _ in pairs)
                found += [begins + at for at, hit in enumerate(hits) if hit]
                begins += batch.num_rows
        return found

    def _look(self) -> Committed:
        directory = RunDirectory(self._directory.uri)
        history = directory.history()
        files = history.files_with_rows()
        self._looked = time.monotonic()
        version = f"{zlib.crc32(json.dumps(files).encode()):08x}"
        if getattr(self, "_now", None) and self._now.version == version:
            return self._now
        rows = tuple(rows for _, rows in files)
        chunks = accumulate((-(-count // CHUNK_DOCUMENTS) for count in rows), initial=0)
        text = kept_text(directory) if files else None
        inputs = InputTexts(directory) if files and text is None else None
        paths = tuple(f"{directory.path}/{path}" for path, _ in files)
        return Committed(version, paths, rows, tuple(chunks), directory.tally(), text, inputs)

    def _place(self, version: str, number: int, of: str) -> tuple[Committed, int]:
        """The file in which a part is."""
        now = self._now
        most = now.chunks[-1] if of == "chunks" else len(now.files)
        if version != now.version or not 0 <= number < most:
            raise GoneError(version)
        return now, bisect_right(now.chunks, number) - 1 if of == "chunks" else number

    def _opened(self, path: str) -> pq.ParquetFile:
        return pq.ParquetFile(path, filesystem=self._directory.store)

    def _rows(self, now: Committed, file: int, first: int, stop: int) -> list[dict[str, Any]]:
        """Some rows of a file; the row groups that hold them stay in memory for a while."""
        sizes = self._sizes(now.files[file])
        found: list[dict[str, Any]] = []
        for group, begins in enumerate(accumulate(sizes[:-1], initial=0)):
            start, end = max(first - begins, 0), min(stop - begins, sizes[group])
            if start < end:
                table = self._group(now.files[file], group, now.text)
                found += table.slice(start, end - start).to_pylist()
        return found

    def _read_sizes(self, path: str) -> list[int]:
        """The number of rows in each row group."""
        with self._opened(path) as parquet:
            return [parquet.metadata.row_group(group).num_rows for group in range(parquet.metadata.num_row_groups)]

    def _read_group(self, path: str, group: int, text: str | None) -> pa.Table:
        wanted = {schema.ROW_ID, schema.DOC_ID, *schema.OUTPUT.names, text}
        with self._opened(path) as parquet:
            columns = [name for name in parquet.schema_arrow.names if name in wanted]
            return parquet.read_row_group(group, columns=columns)

    def _shown(self, now: Committed, rows: Sequence[dict[str, Any]]) -> Iterator[Shown]:
        for row, text, problem in self._with_texts(now, rows):
            annotation = schema.annotation_from_row(row)
            shown = of_annotation(Document(row[schema.DOC_ID], text or "", ()), annotation)
            yield shown if problem is None else _without_text(shown, problem)

    def _with_texts(
        self, now: Committed, rows: Sequence[dict[str, Any]]
    ) -> Iterator[tuple[dict[str, Any], str | None, str | None]]:
        """Rows with their texts, and why there is none where the input is another one now."""
        if now.text is not None:
            yield from ((row, text_of(row[now.text]), None) for row in rows)
            return
        assert now.inputs is not None  # where there is a file
        try:
            texts, problem = now.inputs.of([row[schema.ROW_ID] for row in rows]), None
        except InputError as error:
            texts, problem = {}, str(error)
        yield from ((row, texts.get(row[schema.ROW_ID]), problem) for row in rows)

    def _read_block(self, path: str) -> str:
        index = Index()
        with self._opened(path) as parquet:
            for batch in parquet.iter_batches(columns=list(_FEATURES)):
                for row in batch.to_pylist():
                    codes = (error["code"] for error in row["errors"])
                    pairs = ((entity["label"], score_value(entity["score"])) for entity in row["entities"])
                    index.add(STATES.index(row["status"]), codes, pairs)
        return json.dumps(index.block(), ensure_ascii=False)


def _without_text(shown: Shown, problem: str) -> Shown:
    """A document that shows why its text is missing, and its entities as mentions."""
    lost = [Mention(mark.entity.text, mark.entity.label) for mark in shown.sides[0]]
    return replace(
        shown,
        sides=((),),
        unaligned=[*lost, *shown.unaligned],
        errors=[*shown.errors, ErrorRecord(NO_TEXT, "input", problem)],
    )
