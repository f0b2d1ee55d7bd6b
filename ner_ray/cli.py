"""The command `ner-ray`. Everything heavy is imported by the command that needs it."""

from __future__ import annotations

import json
import logging
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from enum import StrEnum
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from ner_ray import __version__
from ner_ray.errors import NerRayError

if TYPE_CHECKING:
    from pydantic import BaseModel

    from ner_ray.pipeline.annotate import Summary

app = typer.Typer(
    name="ner-ray",
    help="Open named entity recognition over very large corpora: Parquet in, exact character spans out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)

_INTERRUPTED = 130

Run = Annotated[str, typer.Argument(help="The run directory, on any store.")]
Config = Annotated[
    str, typer.Argument(help="A YAML file, or the name of one that ships with the package (annotate/demo).")
]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(help="Settings on top: key.path=value, such as resources.replicas=4", show_default=False),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON on standard output.")]


def main() -> None:
    """Runs the command line; errors that a user can act on end it with their own status, without a traceback."""
    try:
        app()
    except NerRayError as error:
        typer.secho(f"ner-ray: {error}", fg=typer.colors.RED, err=True)
        sys.exit(error.exit_status)


@app.callback(invoke_without_command=True)
def _options(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log more.")] = False,
) -> None:
    if version:
        typer.echo(__version__)
        raise typer.Exit
    logging.basicConfig(
        level=logging.DEBUG if verbose else logging.INFO,
        format="%(asctime)s %(levelname)s %(message)s",
        stream=sys.stderr,
    )
    for chatty in ("urllib3", "asyncio", "filelock", "httpx", "httpx2", "httpcore", "httpcore2", "jieba"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


@app.command()
def annotate(config: Config, overrides: Overrides = None, as_json: AsJson = False) -> None:
    """Annotate a corpus: Parquet shards in, a run directory with one row a document out.

    Run it again to go on after a stop, or to take in new shards; what is done is not done again.

    For example:

        ner-ray annotate annotate/cascade input.path=s3://corpus/*.parquet output.path=s3://runs/news

        ray job submit --working-dir . -- python jobs/annotate.py conf/annotate/cascade.yaml input.path=...

    Exit status: 0 done, 1 stopped on the way (run it again), 2 bad configuration or input, 3 more failed documents
    than `max_error_rate`, 4 another driver is at work in the run directory.
    """
    from ner_ray.config import AnnotateConfig
    from ner_ray.config.load import load
    from ner_ray.pipeline.annotate import annotate as run

    with _says_how_to_go_on():
        summary = run(load(AnnotateConfig, config, overrides or []))
    _show(summary, as_json=as_json)
    raise typer.Exit(summary.exit_status)


@app.command()
def plan(
    config: Config,
    overrides: Overrides = None,
    sample: Annotated[int, typer.Option(help="Documents to look at.")] = 256,
    measure: Annotated[
        bool, typer.Option("--measure", help="Also annotate the sample: tells output tokens and engine seconds.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Say what `annotate` would do now: shards, documents and waves, and tokens and GPU-seconds from a sample.

    For example: ner-ray plan annotate/cascade input.path=s3://corpus/ output.path=s3://runs/news --measure
    """
    from ner_ray.config import AnnotateConfig
    from ner_ray.config.load import load
    from ner_ray.pipeline.forecast import forecast

    found = forecast(load(AnnotateConfig, config, overrides or []), sample, measure=measure)
    _print_fields({name: value for name, value in found.to_dict().items() if value is not None}, as_json=as_json)


@app.command()
def preview(
    config: Config,
    overrides: Overrides = None,
    documents: Annotated[int, typer.Option(min=1, help="How many.")] = 3,
    characters: Annotated[int, typer.Option(min=1, help="Of each text, from its beginning.")] = 2000,
    seed: Annotated[int, typer.Option(help="Another one draws other documents.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Show what the model is asked about a few documents, what it answers, and the entities that are read from it.

    What a job would do is done to documents from all over the input; nothing is kept. For example:

        ner-ray preview annotate/cascade input.path=corpus/ output.path=runs/news labels=[person,ship]
    """
    from ner_ray.config import AnnotateConfig
    from ner_ray.config.load import load
    from ner_ray.pipeline.preview import preview as look

    rows = look(load(AnnotateConfig, config, overrides or []), documents, seed, characters)
    if as_json:
        typer.echo("\n".join(json.dumps(row, ensure_ascii=False) for row in rows))
        return
    from ner_ray.report import preview_text

    typer.echo("\n".join(map(preview_text, rows)))


@app.command()
def status(run: Run, as_json: AsJson = False) -> None:
    """Show how far a run is, from its directory alone: rows done and open, rate, time left, errors by code, entities.

    `drift` names labels that the last wave found at least twice, or at most half, as often as the waves before it.

    For example: ner-ray status s3://runs/news
    """
    from ner_ray.store.health import status as read

    found = read(run)
    if as_json:
        typer.echo(json.dumps(found.to_dict(), ensure_ascii=False))
        return
    from ner_ray.report import status_table

    typer.echo(status_table(found))


@app.command()
def verify(run: Run, as_json: AsJson = False) -> None:
    """Read a run's committed files whole: rows in = rows out for each shard, none twice, checksums right.

    Exit status: 0 all is there, 1 something is not.
    """
    from ner_ray.store.health import verify as check

    rows, findings = check(run)
    if as_json:
        typer.echo(json.dumps({"rows": rows, "findings": [asdict(one) for one in findings]}, ensure_ascii=False))
    else:
        for finding in findings:
            typer.echo(f"{finding.place}: {finding.problem}")
        typer.echo(f"{rows} rows, {len(findings)} findings")
    raise typer.Exit(1 if findings else 0)


@app.command()
def retry(
    run: Run,
    code: Annotated[
        list[str] | None, typer.Option(help="An error code, as `ner-ray status` shows them; again for more.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Annotate a run's documents with errors again; their new rows take the former ones' place in one step.

    Files that could not be read need no such command: the next `ner-ray annotate` tries each of them again.

    For example: ner-ray retry runs/news --code poison --code unparsable
    """
    from ner_ray.pipeline.annotate import retry as run_again

    with _says_how_to_go_on():
        summary = run_again(run, code or [])
    _show(summary, as_json=as_json)
    raise typer.Exit(summary.exit_status)


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Say whether this machine can run jobs: packages, engine, memory, disk, cluster; and what to do where it cannot.

    Exit status: 0 jobs can run, 1 something has to be mended first.
    """
    from ner_ray.doctor import State, examine

    colours = {State.OK: typer.colors.GREEN, State.WARNING: typer.colors.YELLOW, State.ERROR: typer.colors.RED}
    findings = []
    for finding in examine():
        findings.append(finding)
        if not as_json:
            typer.echo(
                f"{typer.style(f'{finding.state.value:8}', fg=colours[finding.state])} {finding.name}: {finding.found}"
            )
            if finding.remedy:
                typer.echo(f"{'':8} {finding.remedy}")
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in findings]))
    raise typer.Exit(any(finding.state is State.ERROR for finding in findings))


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="The run directory.")] = Path("runs/demo"),
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Annotate the sample corpus that ships with the package, on the engine and model that do, and show the result."""
    from ner_ray.config import AnnotateConfig
    from ner_ray.config.load import load
    from ner_ray.pipeline.annotate import annotate as run

    with _says_how_to_go_on():
        summary = run(load(AnnotateConfig, "annotate/demo", [f"output.path={out}", *(overrides or [])]))
    from ner_ray.report import entity_table, export_run

    page = out / "page.html"
    export_run(str(out), "html", str(page))
    if not as_json:
        typer.echo(entity_table(str(out)))
    _show(summary, as_json=as_json)
    typer.echo(f"page  {page}", err=as_json)
    raise typer.Exit(summary.exit_status)


@app.command()
def index(config: Config, overrides: Overrides = None, as_json: AsJson = False) -> None:
    """Lay out a pool of annotated examples for retrieval into prompts.

    The pool is Parquet or JSON Lines with `text` and `entities` (text, label, and start and end where known); an
    entity that is not in its text is listed in the index's reject file, with the reason.

    For example:

        ner-ray index index/bm25 'pool=[pool.parquet]' output=indexes/pool

        ner-ray annotate annotate/ra_it demonstrations.index=indexes/pool input.path=... output.path=...
    """
    from ner_ray.config import IndexConfig
    from ner_ray.config.load import load
    from ner_ray.pipeline.index import index as build

    _print_fields(asdict(build(load(IndexConfig, config, overrides or []))), as_json=as_json)


@app.command()
def evaluate(
    settings: Annotated[
        list[str], typer.Argument(metavar="[CONFIG] KEY=VALUE...", help="A YAML file, and settings on top of it.")
    ],
    as_json: AsJson = False,
) -> None:
    """Score predictions against gold: our span scores with confidence intervals, and the papers' own scorers.

    Raw answers are parsed by their family first, without a GPU. Every score names the scorer that made it.

    For example:

        ner-ray evaluate gold=gold.parquet predictions=runs/news

        ner-ray evaluate gold=answers.jsonl columns.answers=raw family.name=gner 'scorers=[gner]'
    """
    from rich.console import Console

    from ner_ray.config.load import load, overridden
    from ner_ray.evaluate import report
    from ner_ray.evaluate.config import EvaluateConfig
    from ner_ray.pipeline.evaluate import evaluate as score

    file, overrides = ("", settings) if "=" in settings[0] else (settings[0], settings[1:])
    result = score(load(EvaluateConfig, file, overrides) if file else overridden(EvaluateConfig, overrides))
    if as_json:
        typer.echo(json.dumps(report.to_dict(result), ensure_ascii=False))
        return
    for table in report.tables(result):
        Console().print(table)


class _RunByDefault(TyperGroup):
    """`ner-ray train CONFIG` is `ner-ray train run CONFIG`."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:  # click's context and command
        return super().resolve_command(ctx, args if args[0] in self.commands else ["run", *args])


training = typer.Typer(
    cls=_RunByDefault, help="Tune a model by a recipe, or make training files.", no_args_is_help=True
)
app.add_typer(training, name="train")


@training.command("run")
def train_run(config: Config, overrides: Overrides = None, as_json: AsJson = False) -> None:
    """Train by a recipe: a checkpoint or LoRA adapter that the engines load by its path. Again to go on after a stop.

    For example:

        ner-ray train train/starter-smoke output=models/toy

        ner-ray train train/gner-t5-base data.train=[gner.jsonl] output=models/mine workers.count=8 workers.gpus=1
    """
    from ner_ray.config.load import load
    from ner_ray.train import TrainConfig, train

    with _says_how_to_go_on():
        result = train(load(TrainConfig, config, overrides or []))
    _print_fields(asdict(result), as_json=as_json)


@training.command("prepare")
def train_prepare(config: Config, overrides: Overrides = None, as_json: AsJson = False) -> None:
    """Make training files of a family's own form from annotated Parquet."""
    from ner_ray.config.load import load
    from ner_ray.train import PrepareConfig, prepare

    _print_fields(asdict(prepare(load(PrepareConfig, config, overrides or []))), as_json=as_json)


@training.command("mixture")
def train_mixture(config: Config, overrides: Overrides = None, as_json: AsJson = False) -> None:
    """Draw training examples for a small cascade from several annotated sources, varied by swaps, case and noise.

    For example: ner-ray train mixture train/data/starter folder=data output=starter.jsonl
    """
    from ner_ray.config.load import load
    from ner_ray.train import MixtureConfig, prepare_mixture

    _print_fields(asdict(prepare_mixture(load(MixtureConfig, config, overrides or []))), as_json=as_json)


@training.command("merge")
def train_merge(
    adapter: Annotated[str, typer.Argument(help="The adapter's folder.")],
    out: Annotated[str, typer.Argument(help="The checkpoint's folder.")],
    base: Annotated[str | None, typer.Option(help="The base model; default: the one the adapter names.")] = None,
    dtype: Annotated[str, typer.Option(help="Of the weights to write.")] = "bfloat16",
) -> None:
    """Write base and adapter as one checkpoint."""
    from ner_ray.train import merge

    typer.echo(merge(adapter, out, base, dtype))


@app.command()
def synth(config: Config, overrides: Overrides = None, as_json: AsJson = False) -> None:
    """Make training data for open NER out of a raw corpus: passages, a teacher's answers, filters, training rows.

    Run it again to go on after a stop: what the teacher has answered is not asked again. Filters, types and forms can
    be changed in the same directory.

    For example:

        ner-ray synth synth/pile-en input.path=corpus/ teacher.engine.model=TEACHER output=runs/pile

    Exit status: 0 done, 2 bad configuration or input, 3 too many passages without a readable answer.
    """
    from ner_ray.config.load import load
    from ner_ray.pipeline.synth import synthesize
    from ner_ray.synth.config import SynthConfig

    with _says_how_to_go_on():
        result = synthesize(load(SynthConfig, config, overrides or []))
    _print_fields(asdict(result), as_json=as_json)
    raise typer.Exit(result.exit_status)


@app.command()
def curate(config: Config, overrides: Overrides = None, as_json: AsJson = False) -> None:
    """Make one data set of several annotated ones: find types that conflict, join names, balance and choose rows.

    Run it without a taxonomy first, read report.md, write the names to use, run it again.

    For example:

        ner-ray curate synth/curate 'sources={news: news.parquet, web: web.jsonl}' taxonomy=names.yaml output=curated/
    """
    from ner_ray.config.load import load
    from ner_ray.synth.curation_files import CurateConfig, curate_files

    _print_fields(asdict(curate_files(load(CurateConfig, config, overrides or []))), as_json=as_json)


@app.command()
def export(
    run: Annotated[str, typer.Argument(help="The run directory.")],
    out: Annotated[str, typer.Argument(help="The file to write.")],
    form: Annotated[
        str,
        typer.Option(
            "--format",
            help="html, conll, spacy, huggingface, label_studio: a local file; parquet, jsonl: all columns, any store.",
        ),
    ] = "html",
    as_json: AsJson = False,
) -> None:
    """Write a run's committed documents in another form, and say how many entities that form cannot hold.

    For example: ner-ray export runs/news news.spacy --format spacy
    """
    if form in ("parquet", "jsonl"):
        from ner_ray.store import rows

        write = rows.write_parquet if form == "parquet" else rows.write_jsonl
        written = {"rows": write(run, out)}
    else:
        from ner_ray.report import export_run

        written = asdict(export_run(run, form, out))
    _print_fields(written | {"file": out}, as_json=as_json)


class Job(StrEnum):
    """What has configurations."""

    ANNOTATE = "annotate"
    INDEX = "index"
    SYNTH = "synth"
    TRAIN = "train"
    PREPARE = "prepare"
    MIXTURE = "mixture"
    CURATE = "curate"
    EVALUATE = "evaluate"


@app.command()
def schema(job: Annotated[Job, typer.Argument(help="Whose configuration.")] = Job.ANNOTATE) -> None:
    """Print the JSON Schema of a job's configuration, for editors; every field with its meaning.

    For example: ner-ray schema train > train.schema.json, and on top of a recipe:
    # yaml-language-server: $schema=train.schema.json
    """
    model = _model_of(job)
    typer.echo(json.dumps(model.model_json_schema(), indent=1, ensure_ascii=False))


def _model_of(job: Job) -> type[BaseModel]:
    module, name = {
        Job.ANNOTATE: ("ner_ray.config", "AnnotateConfig"),
        Job.INDEX: ("ner_ray.config", "IndexConfig"),
        Job.SYNTH: ("ner_ray.synth.config", "SynthConfig"),
        Job.TRAIN: ("ner_ray.train", "TrainConfig"),
        Job.PREPARE: ("ner_ray.train", "PrepareConfig"),
        Job.MIXTURE: ("ner_ray.train", "MixtureConfig"),
        Job.CURATE: ("ner_ray.synth.curation_files", "CurateConfig"),
        Job.EVALUATE: ("ner_ray.evaluate.config", "EvaluateConfig"),
    }[job]
    found: type[BaseModel] = getattr(import_module(module), name)
    return found


def _print_fields(fields: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(fields, default=str))
        return
    from ner_ray.report import fields_table

    typer.echo(fields_table(fields))


@contextmanager
def _says_how_to_go_on() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        command = shlex.join(["ner-ray", *sys.argv[1:]])
        typer.secho(f"\nstopped; what is written is kept. Go on with: {command}", fg=typer.colors.YELLOW, err=True)
        raise typer.Exit(_INTERRUPTED) from None


def _show(summary: Summary, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(summary.to_dict(), ensure_ascii=False))
        return
    from ner_ray.report import summary_table

    typer.echo(summary_table(summary))


if __name__ == "__main__":
    main()
