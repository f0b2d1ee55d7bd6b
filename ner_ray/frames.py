"""`annotate`: data in, the same kind of data out, with the columns of an annotation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, overload

from ner_ray import schema
from ner_ray.annotator.annotator import Annotator, Configuration, configure
from ner_ray.config import AnnotateConfig
from ner_ray.config import labels as label_sets
from ner_ray.errors import ConfigError, InputError
from ner_ray.types import Annotation

if TYPE_CHECKING:
    import pyarrow as pa

    from ner_ray.annotator.result import AnnotatedDocument

Data = TypeVar("Data")
Column = list[Any]  # one value per row

_KINDS = "a list of strings, a pandas DataFrame, a pyarrow Table, a Hugging Face Dataset or DatasetDict, a Ray Dataset"


@overload
def annotate(
    data: list[str], config: Configuration = ..., overrides: Sequence[str] = ..., *, labels: Any = ...
) -> list[AnnotatedDocument]: ...


@overload
def annotate(data: Data, config: Configuration = ..., overrides: Sequence[str] = ..., *, labels: Any = ...) -> Data: ...


def annotate(
    data: Any,
    config: Configuration = "annotate/demo",
    overrides: Sequence[str] = (),
    *,
    labels: Any = None,
) -> Any:  # the same kind as `data`
    """Annotates texts and returns them in the form in which they were given.

    Everything but a Ray Dataset is annotated in this process, by an `Annotator` that is closed at the end. A Ray
    Dataset becomes a lazy Ray Dataset, with the job's own stages appended.

    Args:
        data: a list of strings, a pandas DataFrame, a pyarrow Table, a Hugging Face Dataset or DatasetDict, or a Ray
            Dataset. Tables have their texts in the column that the configuration names: `input.text`.
        config: as for `Annotator`.
        overrides: `key.path=value`, as on the command line.
        labels: as for `Annotator`. With `column:NAME`, each row of a table has its own.

    Returns:
        For a list, an `AnnotatedDocument` for each string. For a table, a new table of the same kind with the columns
        of the job's output: `entities`, `unaligned`, `dropped`, `status`, `errors`, `verdicts`,
        `repairs`, `usage`.

    Raises:
        ConfigError: the configuration is wrong, or the table already has one of these columns.
        InputError: a table has no such column, or a text is not a string.
        TypeError: the data is of another kind.

    Example:
        >>> import ner_ray, pyarrow
        >>> table = pyarrow.table({"text": ["Marie Curie grew up in Warsaw."]})
        >>> table = ner_ray.annotate(table, "annotate/demo", labels=["person", "place"])  # doctest: +SKIP
        >>> [entity["text"] for entity in table["entities"][0].as_py()]  # doctest: +SKIP
        ['Marie Curie', 'Warsaw']
    """
    kind = _kind_of(data)
    settings = configure(config, overrides, labels)
    for names in _column_names(kind, data):
        check_columns(settings, names)
    if kind == "ray":
        from ner_ray.pipeline.dataset import annotate_dataset

        return annotate_dataset(data, settings)
    with Annotator(settings) as annotator:
        return _ANNOTATE[kind](data, annotator)


def _kind_of(data: Any) -> str:
    """What the data is, without importing the library that it comes from."""
    if isinstance(data, (list, tuple)):
        return "list"
    for base in type(data).__mro__:
        kind = _CLASSES.get((base.__module__.partition(".")[0], base.__name__))
        if kind:
            return kind
    hint = "; Annotator(...)(text) takes a single string" if isinstance(data, str) else ""
    raise TypeError(f"cannot annotate {type(data).__name__}: expected {_KINDS}{hint}")


def _column_names(kind: str, data: Any) -> list[list[str]]:
    """The columns of each table in the data, as far as they can be checked before an engine is started."""
    match kind:
        case "pandas":
            return [list(data.columns)]
        case "arrow" | "datasets":
            return [data.column_names]
        case "splits":
            return list(data.column_names.values())
        case _:  # a list has no columns; those of a Ray Dataset are checked block by block
            return []


def _list(data: Sequence[str], annotator: Annotator) -> list[AnnotatedDocument]:
    return list(annotator.stream(_checked(data)))


def _pandas(data: Any, annotator: Annotator) -> Any:  # pandas' DataFrame, in and out
    return data.assign(**_columns(list(data.columns), lambda name: _without_nan(data[name]), annotator))


def _arrow(data: pa.Table, annotator: Annotator) -> pa.Table:
    columns = _columns(data.column_names, lambda name: data[name].to_pylist(), annotator)
    for field in schema.OUTPUT:
        data = schema.with_column(data, field.name, field.type, columns[field.name])
    return data


def _datasets(data: Any, annotator: Annotator) -> Any:  # Hugging Face's Dataset, in and out
    import pyarrow as pa
    from datasets import Dataset, concatenate_datasets

    columns = _columns(data.column_names, lambda name: list(data[name]), annotator)
    made = Dataset(pa.table(columns, schema=schema.OUTPUT))
    return concatenate_datasets([data, made], axis=1)


def _splits(data: Any, annotator: Annotator) -> Any:  # Hugging Face's DatasetDict, in and out
    return type(data)({split: _datasets(part, annotator) for split, part in data.items()})


def _columns(names: Sequence[str], values_of: Callable[[str], Column], annotator: Annotator) -> dict[str, Column]:
    """The columns of the annotations of a table's rows, by name."""
    texts = _checked(values_of(annotator.config.input.text))
    column = label_sets.column_of(annotator.config.labels)
    if column and column in names:
        asked = [annotator.submit(text, labels=wanted) for text, wanted in zip(texts, values_of(column), strict=True)]
        annotations: Iterator[Annotation] = (future.result() for future in asked)
    else:
        annotations = annotator.stream(texts)
    rows = [schema.annotation_to_row(annotation) for annotation in annotations]
    return {name: [row[name] for row in rows] for name in schema.OUTPUT.names}


def check_columns(config: AnnotateConfig, names: Sequence[str]) -> None:
    """Makes sure that a table has its text column once, and none that the annotation would replace.

    Raises:
        InputError: there is no text column, or there are several.
        ConfigError: there is a column of that name already.
    """
    if config.input.text not in names:
        raise InputError(
            f"the data has no column {config.input.text!r}; it has: {', '.join(map(str, names))}",
            hint="overrides=['input.text=COLUMN'] names the column with the text",
        )
    if (count := list(names).count(config.input.text)) > 1:
        raise InputError(f"the data has {count} columns named {config.input.text!r}", hint="rename or drop all but one")
    if taken := [name for name in schema.OUTPUT.names if name in names]:
        raise ConfigError(f"the data already has {', '.join(taken)}", hint="rename or drop these columns first")


def _checked(texts: Sequence[Any]) -> list[str | None]:
    for number, text in enumerate(texts):
        if text is not None and not isinstance(text, str):
            raise InputError(f"text {number} is not a string but {type(text).__name__}")
    return list(texts)


def _without_nan(series: Any) -> Column:  # pandas' Series
    """A column as a list; what pandas counts as missing is None."""
    return [None if missing else value for value, missing in zip(series.tolist(), series.isna().tolist(), strict=True)]


_CLASSES = {
    ("pandas", "DataFrame"): "pandas",
    ("pyarrow", "Table"): "arrow",
    ("datasets", "Dataset"): "datasets",
    ("datasets", "DatasetDict"): "splits",
    ("ray", "Dataset"): "ray",
}
_ANNOTATE: dict[str, Callable[[Any, Annotator], Any]] = {
    "list": _list,
    "pandas": _pandas,
    "arrow": _arrow,
    "datasets": _datasets,
    "splits": _splits,
}
