"""Annotated passages as the rows of one form of training data, each with where it comes from."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from ner_ray import schema
from ner_ray.config.labels import names
from ner_ray.families import cascade
from ner_ray.families.base import Step
from ner_ray.schema import Row
from ner_ray.synth import questions
from ner_ray.synth.annotated import GROUND
from ner_ray.synth.config import FormConfig, SynthConfig
from ner_ray.synth.dynamic import Hierarchy, vary
from ner_ray.synth.instances import Instance, instances, labels_to_ask
from ner_ray.synth.negatives import TypePool
from ner_ray.synth.questions import Question
from ner_ray.synth.records import Lineage
from ner_ray.types import Demonstration, Label, LabelSet

CLASSIFIER = "classifier"

_ORIGIN = ("id", "document", "start", "end")

Record = tuple[Instance, Lineage]
Shown = Sequence[tuple[Demonstration, ...]]


@dataclass(frozen=True, slots=True)
class Form:
    """A form of training data, resolved; travels to workers.

    Attributes:
        config: what is asked for.
        steps: of its family.
        labels: for all passages; empty where each is asked for its own types and negative ones.
        origin: what the lineage of all its rows shares.
    """

    config: FormConfig
    steps: tuple[Step, ...]
    labels: LabelSet
    origin: Lineage

    @property
    def varied(self) -> bool:
        """Whether its classifier's questions are made of all passages together, since DynamicNER's rates are."""
        return self.config.dynamic is not None


@dataclass(frozen=True, slots=True)
class Asked:
    """The classifier's questions about one passage, by entity, before they are varied; `row` says where it is from."""

    row: Row
    groups: tuple[tuple[Question, ...], ...]


def origin(config: SynthConfig, form: FormConfig) -> Lineage:
    """The lineage of a form's rows, but for the passage."""
    return Lineage(
        document="",
        start=0,
        end=0,
        teacher=config.teacher.name,
        prompt_hash=config.teacher.prompt_hash,
        filters=(*config.filters.steps, GROUND),
        seed=form.seed,
    )


def make(form: Form, rows: Sequence[Row], pool: TypePool, shown: Shown | None = None) -> list[Record]:
    """The rows of training data that passages give, but for a classifier's questions that are to be varied.

    Args:
        form: which.
        rows: annotated passages.
        pool: the types of all passages.
        shown: the examples that each passage gets.
    """
    found = []
    for number, row in enumerate(rows):
        entities = [schema.entity_from_row(one) for one in row["entities"]]
        for step in form.steps:
            if form.varied and step.role == CLASSIFIER:
                continue
            made = instances(
                row["id"],
                row["text"],
                entities,
                step,
                pool,
                form.config,
                labels=form.labels,
                demonstrations=shown[number] if shown else (),
            )
            found += [(_named(one, form), _lineage(row, form)) for one in made]
    return found


def ask(form: Form, rows: Iterable[Row], pool: TypePool) -> list[Asked]:
    """The classifier's questions about passages, for `make_varied`; types that a list cannot hold are left out."""
    options = _cascade_options(form)
    found = []
    for row in rows:
        entities = [schema.entity_from_row(one) for one in row["entities"]]
        listable = [one for one in entities if not _is_unlistable(one.label)]
        rng = random.Random(f"{form.config.seed}:{row['id']}")  # noqa: S311 - to be repeatable, not secret
        labels = labels_to_ask(listable, pool, form.config, form.labels, rng)
        labels = tuple(label for label in labels if not _is_unlistable(label.name))
        groups = questions.ask(row["text"], listable, labels, options)
        found.append(Asked({name: row[name] for name in _ORIGIN}, tuple(map(tuple, groups))))
    return found


def make_varied(form: Form, asked: Sequence[Asked], types: Iterable[str]) -> list[Record]:
    """The classifier's rows after DynamicNER's steps, whose rates depend on how all answers are spread."""
    dynamic = form.config.dynamic
    assert dynamic is not None
    options = _cascade_options(form)
    show: Callable[[str], str] = str.lower if options.lower_labels else str
    labels = form.labels or tuple(Label(name) for name in sorted(set(types)))
    hierarchy = Hierarchy.of(labels, {name: show(name) for name in names(labels)})
    varied = iter(vary([group for one in asked for group in one.groups], hierarchy, dynamic))
    found: list[Record] = []
    for one in asked:
        mine = [question for _ in one.groups for question in next(varied)]
        made = questions.to_instances(f"{one.row['id']}.classifier", mine, options.system)
        found += [(instance, _lineage(one.row, form)) for instance in made]
    return found


def _named(instance: Instance, form: Form) -> Instance:
    """With the role in its id, where a family has several."""
    if len(form.steps) == 1:
        return instance
    return replace(instance, instance_id=f"{instance.instance_id}.{instance.role}")


def _lineage(row: Row, form: Form) -> Lineage:
    return replace(form.origin, document=row["document"], start=row["start"], end=row["end"])


def _cascade_options(form: Form) -> cascade.Options:
    given = {key: value for key, value in form.config.family.items() if key != "name"}
    return cascade.Options.model_validate({"wording": "training", **given})


def _is_unlistable(name: str) -> bool:
    """Whether a type would be taken for several, or for none, in a list with commas."""
    return "," in name or not name.strip()
