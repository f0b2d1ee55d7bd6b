"""What an input file is called: its name, from which document ids are made, and the columns that its folders hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from urllib.parse import unquote

from ner_ray.storage import path_of
from ner_ray.store.listing import InputFile

_NULL = "__HIVE_DEFAULT_PARTITION__"
_ENDING = ".parquet"


def unique_names(files: Sequence[InputFile], taken: Iterable[str]) -> list[str]:
    """A name for each file that no other file has: its path below the input's root, as short as possible.

    The ending `.parquet` is left out. Where two files would have the same name, both keep their ending, or have folders
    above the root in front.

    Args:
        files: of the input.
        taken: names that other files have already.
    """
    used = set(taken)
    names: dict[str, str] = {}
    waiting = list(files)
    length = 0
    while waiting:
        wanted = {file.uri: _name(file, length) for file in waiting}
        counts = Counter(wanted.values())
        names |= {uri: name for uri, name in wanted.items() if counts[name] == 1 and name not in used}
        used.update(names[uri] for uri in wanted if uri in names)
        waiting = [file for file in waiting if file.uri not in names]
        length += 1
    return [names[file.uri] for file in files]


def first_name(uri: str) -> str:
    """The name of a file in a run that was planned before names were recorded."""
    return uri.rsplit("/", 1)[-1].removesuffix(_ENDING)


def partitions(uri: str, name: str) -> dict[str, str | None]:
    """The columns that the folders of a file hold, as in `date=2024-01-01/part-0.parquet`.

    All of them are text, so that `month=01` stays what it is, and a run's columns have one type whatever comes later.
    Hive's name for a missing value is null.

    >>> partitions("/corpus/lang=en/day=01/part-0.parquet", "day=01/part-0")
    {'lang': 'en', 'day': '01'}
    """
    folders = [*path_of(uri).split("/")[:-1], *name.split("/")[:-1]]
    pairs = (folder.partition("=") for folder in folders)
    values = {_decoded(key): _decoded(value) for key, equals, value in pairs if key and equals}
    return {key: None if value == _NULL else value for key, value in values.items()}


def _decoded(part: str) -> str:
    """Characters that cannot stand in a folder's name are written as `%2F`; what is no such escape stays as it is."""
    try:
        return unquote(part, errors="strict")
    except UnicodeDecodeError:
        return part


def _name(file: InputFile, length: int) -> str:
    """The shortest name, then with the ending, then with ever more folders, at last the URI."""
    if length < 2:
        return file.name if length else file.name.removesuffix(_ENDING)
    folders = [folder for folder in path_of(file.root).split("/") if folder]
    if length - 1 > len(folders):
        return file.uri if length - 2 == len(folders) else f"{file.uri}#{length}"
    return "/".join([*folders[1 - length :], file.name.removesuffix(_ENDING)])
