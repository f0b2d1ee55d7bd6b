"""A look into a corpus: how many rows, which columns, and which of them hold the texts and the ids."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from ner_ray.store.column_types import is_text, plain
from ner_ray.store.ids import is_id
from ner_ray.store.shards import Shard, list_shards, open_parquet, schemas_of

_HEAD_ROWS = 64
_SHOWN = 60  # characters of a value
_TEXTS = ("text", "body", "content", "passage", "sentence", "document", "article", "abstract")
_IDS = ("id", "doc_id", "document_id", "docid", "uid", "uuid", "guid", "url", "uri", "key")


@dataclass(frozen=True, slots=True)
class Corpus:
    """What a look into the input shows.

    Attributes:
        path: as it was written.
        files: how many can be read.
        rows: of all of them.
        schema: of the first file that has rows, with the columns that its folders hold.
        head: the first values of each column of that file.
    """

    path: str
    files: int
    rows: int
    schema: pa.Schema
    head: Mapping[str, Sequence[Any]]

    def text_column(self) -> str | None:
        """The column that holds the texts, by its name or by the length of its values."""
        texts = (field.name for field in self.schema if is_text(plain(field.type)))
        columns: list[str] = [name for name in texts if name in self.head]
        named = [name for wanted in _TEXTS for name in columns if name.lower() == wanted]
        return next(iter(named or sorted(columns, key=self._length, reverse=True)), None)

    def id_column(self) -> str | None:
        """The column with a name of an id, whose first values all differ."""
        names = {name.lower(): name for name in self.schema.names}
        return next((names[wanted] for wanted in _IDS if wanted in names and self._tells(names[wanted])), None)

    @property
    def size(self) -> str:
        """The numbers of files and rows, in words."""
        return f"{self.files:,} file{'s' * (self.files != 1)}, {self.rows:,} row{'s' * (self.rows != 1)}"

    def described(self) -> str:
        """The size of the corpus, and one row, as text."""
        from rich.markup import escape

        from ner_ray.commands import _tables

        table = _tables.grid("column", "type", "in the first row")
        for field in self.schema:
            values = self.head.get(field.name) or [""]
            table.add_row(escape(field.name), str(field.type), escape(_short(values[0])))
        return f"{self.path}: {self.size}\n\n{_tables.text(table)}"

    def to_dict(self) -> dict[str, Any]:
        """As plain data, without values."""
        return {"files": self.files, "rows": self.rows, "columns": {one.name: str(one.type) for one in self.schema}}

    def _length(self, name: str) -> float:
        return sum(len(str(value)) for value in self.head[name] if value is not None)

    def _tells(self, name: str) -> bool:
        values = self.head.get(name, ())
        return is_id(self.schema.field(name).type) and None not in values and len(set(values)) == len(values)


def look(path: str) -> Corpus:
    """What is at a path.

    Raises:
        InputError: there is nothing that can be read.
    """
    from ner_ray.pipeline.preflight import readable

    good = readable(list_shards(path), path)
    first = next((shard for shard in good if shard.rows), good[0])
    [schema] = schemas_of([first])
    return Corpus(path, len(good), sum(shard.rows for shard in good), schema, dict(_head(first)))


def _head(shard: Shard) -> Iterator[tuple[str, list[Any]]]:
    """The first values of each column, as far as they can be decoded."""
    from ner_ray.storage import open_store

    store, path = open_store(shard.address)
    with store.open_input_file(path) as stream:
        for batch in open_parquet(stream).iter_batches(batch_size=_HEAD_ROWS):
            for name, column in zip(batch.schema.names, batch.columns, strict=True):
                yield name, column.to_pylist()
            return


def _short(value: Any) -> str:  # a value of any type
    text = "".join(char if char.isprintable() else " " for char in str(value))
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
