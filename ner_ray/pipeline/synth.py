"""The synthesis job: a raw corpus in, training data for open NER out.

    passages/      the passages that were drawn, and passages.json, written when they are all there
    answers/       a run directory of the annotation job, which asks the teacher
    types.json     which types got another name
    annotated/     passages with their entities, and what each filter removed
    train/FORM/    training rows with their lineage
    statistics.json, filters.md, page.html, synth.json; llama_factory/ and ms_swift/ on request

The teacher is asked by `annotate`, so what it has answered is kept when the job is killed. All after it is made again
by every call, from the answers alone, in an order of its own: filters and forms can be changed without asking anew.
"""

from __future__ import annotations

import json
import logging
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads
import pyarrow.parquet as pq
import ray
from pyarrow import fs

from ner_ray import schema
from ner_ray.annotator import pools
from ner_ray.annotator.spec import family_steps, resolve
from ner_ray.config import AnnotateConfig, DemonstrationsConfig, IndexConfig, fingerprint, labels, semantic
from ner_ray.config import load as compose
from ner_ray.errors import InputError, NerRayError, RunError
from ner_ray.pipeline.annotate import Summary, annotate
from ner_ray.pipeline.cluster import connect
from ner_ray.pipeline.index import index
from ner_ray.retrieval import Selector, open_selector, select
from ner_ray.storage import get_json, join, open_store, put_atomically, put_json
from ner_ray.store import documents
from ner_ray.store.run import NumberedShard, RunDirectory
from ner_ray.store.shards import Shard, list_shards, schemas_of
from ner_ray.synth import answers, corpus, forms, layouts, page, records
from ner_ray.synth.annotated import GROUND
from ner_ray.synth.answers import Tally
from ner_ray.synth.config import FormConfig, SynthConfig
from ner_ray.synth.corpus import Candidate, Draw
from ner_ray.synth.filters import FilterOptions
from ner_ray.synth.forms import Asked, Form
from ner_ray.synth.negatives import TypePool
from ner_ray.synth.types import unify

_LOG = logging.getLogger(__name__)

_DOCUMENTS_PER_TASK = 10_000
_PASSAGES_PER_FILE = 5_000
_TASKS_IN_FLIGHT = 64
_WHOLE = 10_000_000  # tokens of a chunk: passages are asked about in one piece
_LAYOUTS = _LLAMA_FACTORY, _MS_SWIFT = "llama_factory", "ms_swift"
_INFO = "dataset_info.json"
_ANY_LABEL = "entity"  # the annotation job wants a label set, which an open question does not show


@dataclass(frozen=True, slots=True)
class Result:
    """What the job did.

    Attributes:
        output: its directory.
        passages: documents, passages, what was left out by reason, and how many were `drawn`.
        asked: what the teacher was asked by this call: requests and tokens.
        cost: the same of all answers that are there, whenever they were given; what was under way when a run was
            killed is not in it.
        annotated: passages by status.
        statistics: mentions, types, pairs.
        rows: of each form.
        seconds: of each part.
        exit_status: 0, or 3 where more passages than allowed have no readable answer.
    """

    output: str
    passages: dict[str, int]
    asked: dict[str, int]
    cost: dict[str, int]
    annotated: dict[str, int]
    statistics: dict[str, int | float]
    rows: dict[str, int]
    seconds: dict[str, float]
    exit_status: int


def synthesize(config: SynthConfig) -> Result:
    """Makes the training data; again to go on after a stop, or after a change of filters, types or forms.

    Raises:
        NerRayError: with what was expected, what was found, and what to do; before the teacher is asked.
    """
    clock = _Clock()
    questions = _questions(config)
    made = {name: _form(config, form) for name, form in config.forms.items()}
    if not _is_answered(questions):
        pools.check(resolve(questions))
    corpus.token_counter(config.passages.tokenizer)
    connect()
    drawn = _draw_passages(config)
    clock.lap("passages")
    asked = None if _is_answered(questions) else annotate(questions)
    clock.lap("teacher")
    tally = _read_answers(config)
    clock.lap("read")
    rows = _make_forms(config, made, TypePool(tally.statistics.frequencies()))
    clock.lap("forms")
    result = _result(config, drawn, asked, tally, rows, clock.seconds)
    _report(config, tally, result)
    return result


class _Clock:
    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._since = time.monotonic()

    def lap(self, name: str) -> None:
        now = time.monotonic()
        self.seconds[name] = round(now - self._since, 3)
        self._since = now


def _form(config: SynthConfig, form: FormConfig) -> Form:
    given = () if form.labels is None else labels.parse(compose.label_source(form.labels))
    return Form(form, family_steps(form.family), given, forms.origin(config, form))


def _draw_passages(config: SynthConfig) -> dict[str, int]:
    """Writes the passages, unless they are there; returns the counts.

    Raises:
        RunError: those that are there were drawn otherwise, or from another corpus.
        InputError: no document can be read, or no passage is fit.
    """
    store, path = open_store(config.output)
    shards = [shard for shard in list_shards(config.input.path) if not shard.problem and shard.rows]
    if not shards:
        raise InputError(f"no document can be read at {config.input.path}")
    settings: dict[str, Any] = {name: semantic(getattr(config, name)) for name in ("input", "passages")}
    settings |= {"seed": config.seed, "corpus": fingerprint({shard.uri: [shard.size, shard.rows] for shard in shards})}
    done = get_json(store, join(path, "passages.json"))
    if done:
        _check_same(config.output, done["settings"], settings)
        return dict(done["counts"])
    for shard, found in zip(shards, schemas_of(shards), strict=True):
        _check_columns(config, shard, found)
    draw = corpus.start_draw(config.passages)
    for part in _each(_look_at, _ranges([NumberedShard(*one) for one in enumerate(shards)]), config):
        draw.update(part)
    chosen = corpus.choose(draw, config.passages)
    if not chosen:
        raise InputError(f"no passage at {config.input.path} is fit: {dict(draw.counts)}")
    for number, first in enumerate(range(0, len(chosen), _PASSAGES_PER_FILE)):
        table = _passages(chosen[first : first + _PASSAGES_PER_FILE])
        _put_table(store, join(path, "passages", f"{number:05}.parquet"), table)
    counts = dict(sorted(draw.counts.items()))
    put_json(store, join(path, "passages.json"), {"settings": settings, "counts": counts})
    _LOG.info("passages.drawn passages=%d of=%d", len(chosen), draw.counts["passages"])
    return counts


def _check_same(output: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    # Through JSON, which has lists only.
    changed = [name for name, value in json.loads(json.dumps(now)).items() if before.get(name) != value]
    if changed:
        raise RunError(
            f"the passages in {output} were drawn with another {', '.join(changed)}",
            hint="choose another output, or the former settings and corpus",
        )


def _check_columns(config: SynthConfig, shard: Shard, found: pa.Schema) -> None:
    wanted = [name for name in (config.input.text, config.input.id, config.input.source) if name]
    missing = [name for name in wanted if name not in found.names]
    if missing:
        raise InputError(
            f"{shard.uri} has no column {missing[0]!r}; it has: {', '.join(found.names)}",
            hint="set input.text, input.id and input.source to columns that are there",
        )


def _ranges(shards: Iterable[NumberedShard]) -> Iterator[tuple[NumberedShard, int, int]]:
    for numbered in shards:
        for first in range(0, numbered.shard.rows, _DOCUMENTS_PER_TASK):
            yield numbered, first, min(first + _DOCUMENTS_PER_TASK, numbered.shard.rows)


def _look_at(part: tuple[NumberedShard, int, int], config: SynthConfig) -> Draw:
    """What can be drawn of some documents; a Ray task."""
    section = config.input
    kept = (section.source,) if section.source else ()
    columns = documents.Columns(section.text, section.id, None, kept, section.max_characters)
    draw = corpus.start_draw(config.passages)
    for table in documents.read_rows(*part, columns, pa.schema([(name, pa.string()) for name in kept])):
        for row in table.to_pylist():
            if row[schema.ERRORS]:
                draw.counts[row[schema.ERRORS][0]["code"]] += 1
                continue
            origin = (row[section.source] if section.source else None) or ""
            corpus.look_at(
                draw, row[schema.ROW_ID], row[schema.DOC_ID], origin, row[schema.TEXT], config.passages, config.seed
            )
    draw.trim()
    return draw


def _passages(chosen: Sequence[Candidate]) -> pa.Table:
    rows = [{name: getattr(one, name) for name in answers.PASSAGE.names[1:]} | {"id": one.passage_id} for one in chosen]
    return pa.Table.from_pylist(rows, answers.PASSAGE)


def _questions(config: SynthConfig) -> AnnotateConfig:
    """The annotation job that asks the teacher about every passage."""
    teacher = config.teacher
    return AnnotateConfig.model_validate(
        {
            "input": {"path": join(config.output, "passages"), "id": "id", "keep": list(answers.KEPT)},
            "labels": teacher.labels if teacher.family else [_ANY_LABEL],
            "family": teacher.family or {"name": "instruct", **teacher.question, "outside_labels": "keep"},
            "engine": teacher.engine,
            "chunk": {"tokens": _WHOLE, "overlap": 0},
            "align": config.align.model_copy(update={"fuzzy": False}),
            "output": {
                "path": _answers_uri(config),
                "completions": True,
                "rows_per_wave": teacher.rows_per_wave,
                "min_rows_per_file": teacher.rows_per_file,
            },
            "resources": teacher.resources,
            "max_error_rate": teacher.max_error_rate,
        }
    )


def _is_answered(questions: AnnotateConfig) -> bool:
    """Whether this very teacher has been asked all there is; it need not be there any more then."""
    run = RunDirectory(questions.output.path)
    record = run.record()
    if record.get("fingerprint") != fingerprint(questions) or "last" not in record:
        return False
    return bool(run.waves()) and not run.open_waves()


def _answers_uri(config: SynthConfig) -> str:
    return join(config.output, "answers")


def _read_answers(config: SynthConfig) -> Tally:
    """Writes the annotated passages, a file for each file of passages."""
    store, path = open_store(config.output)
    shards = _answered(config)
    filters = _with_types(config, shards)
    put_json(store, join(path, "types.json"), dict(filters.type_map))
    _clear(store, join(path, "annotated"))
    return answers.add_up(_each(_annotate_shard, shards, config, filters))


def _with_types(config: SynthConfig, shards: Sequence[NumberedShard]) -> FilterOptions:
    """The filters, knowing the names of all types there are."""
    filters = config.filters
    if "normalize" not in filters.steps or not (config.types.unify or config.types.synonyms):
        return filters
    frequencies: Counter[str] = Counter()
    for counted in _each(_count_types, shards, config):
        frequencies.update(counted)
    found = unify(frequencies, config.types.synonyms) if config.types.unify else config.types.synonyms
    return filters.model_copy(update={"type_map": {**found, **filters.type_map}})


def _answered(config: SynthConfig) -> list[NumberedShard]:
    """The files of passages that the teacher has answered, in order."""
    run = RunDirectory(_answers_uri(config))
    done = run.committed()
    shards = {numbered.ordinal: numbered for wave in run.waves() if wave.number in done for numbered in wave.shards}
    return [shards[ordinal] for ordinal in sorted(shards)]


def _count_types(numbered: NumberedShard, config: SynthConfig) -> Counter[str]:
    return answers.type_frequencies(_answer_rows(numbered, config), config.teacher.asks)


def _annotate_shard(numbered: NumberedShard, config: SynthConfig, filters: FilterOptions) -> Tally:
    rows = _answer_rows(numbered, config)
    table, tally = answers.read(rows, config.teacher.asks, filters, config.align)
    store, path = open_store(config.output)
    _put_table(store, join(path, "annotated", numbered.shard.uri.rsplit("/", 1)[-1]), table)
    return tally


def _answer_rows(numbered: NumberedShard, config: SynthConfig) -> list[schema.Row]:
    """The answers to one file of passages, in its order, wherever they were written."""
    first = numbered.first_row_id()
    row_id = pads.field(schema.ROW_ID)
    mine = (row_id >= first) & (row_id < first + numbered.shard.rows)
    found = RunDirectory(_answers_uri(config)).dataset().to_table(columns=list(answers.COLUMNS), filter=mine)
    rows: list[schema.Row] = found.sort_by(schema.ROW_ID).to_pylist()
    return rows


def _make_forms(config: SynthConfig, made: Mapping[str, Form], pool: TypePool) -> dict[str, int]:
    store, path = open_store(config.output)
    for folder in ("train", *_LAYOUTS):
        _clear(store, join(path, folder))
    files = _files(store, join(path, "annotated"))
    rows = {}
    for name, form in made.items():
        demos = _index_annotated(config, form)
        rows[name] = sum(_each(_make_shard, files, config.output, name, form, pool, demos))
        if form.varied:
            rows[name] += _make_varied(config, name, form, pool, files)
        _lay_out(config, name)
    return rows


def _index_annotated(config: SynthConfig, form: Form) -> DemonstrationsConfig | None:
    """How a form's demonstrations are chosen, their index built; None where it shows none."""
    wanted = form.config.demonstrations
    if wanted is None:
        return None
    uri = join(config.output, f"index-{wanted.retriever}")
    retrievers: dict[str, dict[str, Any]] = {"bm25": {}}
    if wanted.retriever != "bm25":
        retrievers |= {"dense": wanted.options.get("dense", {})}
    index(IndexConfig(pool=(join(config.output, "annotated"),), output=uri, retrievers=retrievers, overwrite=True))
    return wanted.model_copy(update={"index": uri})


def _make_shard(
    file: str, output: str, name: str, form: Form, pool: TypePool, demos: DemonstrationsConfig | None
) -> int:
    """Writes the rows of one file of annotated passages; returns how many."""
    store, path = open_store(output)
    rows = _annotated(store, file)
    shown = None
    if demos is not None:
        shown, _ = select(_selector(demos.model_dump_json()), [row["text"] for row in rows])
    made = forms.make(form, rows, pool, shown)
    _put_table(store, join(path, "train", name, file.rsplit("/", 1)[-1]), records.to_table(made))
    return len(made)


@lru_cache(maxsize=2)
def _selector(config: str) -> Selector:
    return open_selector(DemonstrationsConfig.model_validate_json(config))


def _make_varied(config: SynthConfig, name: str, form: Form, pool: TypePool, files: Sequence[str]) -> int:
    """Writes the classifier's varied rows, which depend on all passages together."""
    store, path = open_store(config.output)
    asked = [one for some in _each(_ask_shard, files, config.output, form, pool) for one in some]
    made = forms.make_varied(form, asked, pool.names)
    _put_table(store, join(path, "train", name, f"{forms.CLASSIFIER}.parquet"), records.to_table(made))
    return len(made)


def _ask_shard(file: str, output: str, form: Form, pool: TypePool) -> list[Asked]:
    return forms.ask(form, _annotated(open_store(output)[0], file), pool)


def _annotated(store: fs.FileSystem, file: str) -> list[schema.Row]:
    """The annotated passages of a file from which training rows are made."""
    table = pq.read_table(file, filesystem=store, partitioning=None)
    rows: list[schema.Row] = table.filter(pc.equal(table["status"], "ok")).to_pylist()
    return rows


def _lay_out(config: SynthConfig, name: str) -> None:
    """Writes a form in the layouts that are asked for."""
    if not config.layouts:
        return
    store, path = open_store(config.output)
    files = _files(store, join(path, "train", name))
    rows = [instance for file in files for instance, _ in records.from_table(pq.read_table(file, filesystem=store))]
    if _LLAMA_FACTORY in config.layouts:
        folder = join(path, _LLAMA_FACTORY)
        put_atomically(store, join(folder, f"{name}.json"), layouts.sharegpt(rows).encode())
        known = get_json(store, join(folder, _INFO)) or {}
        put_json(store, join(folder, _INFO), known | layouts.dataset_info(name, f"{name}.json"))
    if _MS_SWIFT in config.layouts:
        put_atomically(store, join(path, _MS_SWIFT, f"{name}.jsonl"), layouts.swift(rows).encode())


def _result(
    config: SynthConfig,
    drawn: dict[str, int],
    asked: Summary | None,
    tally: Tally,
    rows: dict[str, int],
    seconds: dict[str, float],
) -> Result:
    counts = asked.counts if asked else {}
    last = RunDirectory(_answers_uri(config)).record()["last"]
    return Result(
        output=config.output,
        passages=drawn,
        asked={name: counts.get(name, 0) for name in schema.USAGE.names},
        cost={name: tally.usage[name] for name in schema.USAGE.names},
        annotated=dict(sorted(tally.statuses.items())),
        statistics=tally.statistics.summary(),
        rows=rows,
        seconds=seconds,
        exit_status=asked.exit_status if asked else last["exit_status"],
    )


def _report(config: SynthConfig, tally: Tally, result: Result) -> None:
    store, path = open_store(config.output)
    steps = (*config.filters.steps, GROUND)
    found = {
        "summary": tally.statistics.summary(),
        "passages": tally.statistics.passages,
        "empty": tally.statistics.empty,
        "tail": tally.statistics.tail(),
        "frequencies": tally.statistics.frequencies(),
        "filters": tally.filters.to_dict(),
    }
    put_json(store, join(path, "statistics.json"), found)
    put_atomically(store, join(path, "filters.md"), f"{tally.filters.table(steps)}\n".encode())
    shown = page.render(config.output.rstrip("/").rsplit("/", 1)[-1], tally.statistics, tally.filters, steps)
    put_atomically(store, join(path, "page.html"), shown.encode())
    put_json(store, join(path, "synth.json"), {"config": config.model_dump(mode="json"), "last": asdict(result)})


def _each(work: Callable[..., Any], items: Iterable[Any], *more: Any) -> Iterator[Any]:
    """What a function makes of each item, in their order; in Ray tasks, some ahead of the reader.

    Raises:
        NerRayError: that a task has raised.
    """
    task = ray.remote(work)
    shared = [ray.put(one) for one in more]
    waiting: deque[Any] = deque()
    for item in items:
        waiting.append(task.remote(item, *shared))
        if len(waiting) >= _TASKS_IN_FLIGHT:
            yield _got(waiting.popleft())
    while waiting:
        yield _got(waiting.popleft())


def _got(reference: Any) -> Any:  # Ray's references have no types
    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        raise error.cause if isinstance(error.cause, NerRayError) else error from None


def _put_table(store: fs.FileSystem, path: str, table: pa.Table) -> None:
    """Writes a Parquet file that is seen whole or not at all; the same table gives the same bytes."""
    buffer = pa.BufferOutputStream()
    pq.write_table(table, buffer, compression="zstd")
    put_atomically(store, path, buffer.getvalue().to_pybytes())


def _files(store: fs.FileSystem, folder: str) -> list[str]:
    infos = store.get_file_info(fs.FileSelector(folder, allow_not_found=True))
    return sorted(info.path for info in infos if info.is_file and info.path.endswith(".parquet"))


def _clear(store: fs.FileSystem, folder: str) -> None:
    if store.get_file_info(folder).type == fs.FileType.Directory:
        store.delete_dir(folder)
