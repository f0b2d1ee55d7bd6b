"""The types of a run's columns: settled before anything is written, and the same for all its rows.

Every wave writes the types that `run.json` records. A later night whose input needs wider ones widens the record if all
committed values are values of the wider type as well; readers then get those of older files in that type. So a run
always reads as one table.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from ner_ray.errors import InputError, RunError
from ner_ray.store.column_types import can_cast, common, fits, holds, is_null, plain

_READERS = 16


@dataclass(frozen=True, slots=True)
class TypedFile:
    """A Parquet file and the types of its columns.

    Attributes:
        place: how messages name the file.
        schema: the columns, as Arrow reads them.
        footer: reads the file's footer.
    """

    place: str
    schema: pa.Schema
    footer: Callable[[], pq.FileMetaData]

    def kind(self, name: str) -> pa.DataType:
        """The plain type of a column."""
        return plain(self.schema.field(name).type)


def typed_files(store: fs.FileSystem, paths: Sequence[str]) -> list[TypedFile]:
    """Output files of a run with the types of their columns; reads their footers by 16 threads.

    Raises:
        RunError: a file cannot be read.
    """
    with ThreadPoolExecutor(_READERS) as threads:
        return list(threads.map(partial(_typed_file, store), paths))


def _typed_file(store: fs.FileSystem, path: str) -> TypedFile:
    try:
        schema = pq.read_schema(path, filesystem=store)
    except (pa.ArrowException, OSError) as error:
        raise RunError(f"{path} cannot be read: {error}", hint="`ner-ray verify` names all such files") from error
    return TypedFile(path, schema, partial(pq.read_metadata, path, filesystem=store))


def encoded(schema: pa.Schema) -> str:
    """A schema as text, for JSON."""
    return base64.b64encode(schema.serialize().to_pybytes()).decode()


def decoded(text: str) -> pa.Schema:
    """The schema that was encoded."""
    return pa.ipc.read_schema(pa.py_buffer(base64.b64decode(text)))


def settle(
    names: Iterable[str],
    files: Sequence[TypedFile],
    recorded: pa.Schema,
    committed: Callable[[], Sequence[TypedFile]],
) -> pa.Schema:
    """The types in which columns of the input are kept: those of the run, or wider ones that hold all values.

    Args:
        names: of the columns, which all files have.
        files: of the input, at least one.
        recorded: columns of the run so far; empty for a new run.
        committed: reads the types of the run's committed files.

    Raises:
        InputError: no type holds the values of all files.
    """
    try:
        return pa.schema([_settle(name, files, recorded, committed) for name in names])
    except _MismatchError as error:
        hint = "give the column one type in all files, or leave it out of input.keep"
        if recorded.names:
            hint = "give the column the type that it has in the run, or choose another output.path"
        raise InputError(str(error), hint=hint) from None


def derive(files: Sequence[TypedFile]) -> pa.Schema:
    """The types of all columns of output files, of which some may lack columns that others have.

    Raises:
        RunError: the files cannot be read as one table.
    """
    having: dict[str, list[TypedFile]] = {}
    for file in files:
        for name in file.schema.names:
            having.setdefault(name, []).append(file)
    try:
        return pa.schema([_settle(name, some, pa.schema([]), list) for name, some in having.items()])
    except _MismatchError as error:
        raise RunError(
            f"the run does not read as one table: {error}",
            hint="annotate the corpus again, into another output.path: its types are settled before it starts",
        ) from None


def merged(recorded: pa.Schema, written: pa.Schema) -> pa.Schema:
    """The columns of a run whose next wave writes some types: those, and the columns that only earlier waves have."""
    fields = {field.name: field.type for field in recorded}
    for field in written:
        kind = fields.get(field.name, field.type)
        fields[field.name] = kind if holds(kind, field.type) else field.type
    return pa.schema(list(fields.items()))


def mismatch(file: TypedFile, schema: pa.Schema) -> str:
    """What keeps a committed file from being read in the types of its run; empty if nothing does."""
    for name in file.schema.names:
        if name not in schema.names:
            return f"column {name!r} is not one of the run"
        kind = schema.field(name).type
        if not _reads_as(kind, file, name):
            return f"column {name!r} is {file.kind(name)}, but {kind} in the run"
    return ""


class _MismatchError(Exception):
    """No type of a column holds the values of all files."""


def _settle(
    name: str, files: Sequence[TypedFile], recorded: pa.Schema, committed: Callable[[], Sequence[TypedFile]]
) -> pa.Field:
    known = recorded.field(name).type if name in recorded.names else None
    with suppress(_MismatchError):
        return _widest(name, [(file, file.kind(name)) for file in files], known, committed)
    # Without a value to go by, writers declare a column as anything.
    kinds = [(file, pa.null() if is_null(file.footer(), name) else file.kind(name)) for file in files]
    try:
        return _widest(name, kinds, known, committed)
    except _MismatchError:
        if known is None or not all(is_null(file.footer(), name) for file in committed()):
            raise
        return _widest(name, kinds, pa.null(), committed)


def _widest(
    name: str,
    kinds: Sequence[tuple[TypedFile, pa.DataType]],
    known: pa.DataType | None,
    committed: Callable[[], Sequence[TypedFile]],
) -> pa.Field:
    """The type that holds the values of all files, and those of the run, whose type is `known`."""
    kind, origin = (kinds[0][1], kinds[0][0].place) if known is None else (known, "the run")
    for file, own in kinds:
        wide = common(kind, own)
        if wide is None:
            raise _MismatchError(f"{file.place}: column {name!r} is {own}, but {kind} in {origin}")
        kind, origin = wide, (origin if wide == kind else file.place)
    for file, own in kinds:
        if not holds(kind, own) and not fits(file.footer(), name, own, kind):
            place = f"{file.place}: column {name!r} is {own}"
            raise _MismatchError(f"{place}, but {kind} in {origin}, which may not hold all its values")
    widened = known is not None and (known == pa.null() or not holds(kind, known))
    if widened and not all(_reads_as(kind, file, name) for file in committed()):
        raise _MismatchError(f"{origin}: column {name!r} is {kind}, which may not hold all values of the run ({known})")
    return pa.field(name, kind)


def _reads_as(kind: pa.DataType, file: TypedFile, name: str) -> bool:
    """Whether a committed file's values can be read in a type."""
    own = file.kind(name)
    if holds(kind, own) or fits(file.footer(), name, own, kind):
        return True
    return can_cast(own, kind) and is_null(file.footer(), name)
