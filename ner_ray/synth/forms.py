"""Annotated passages as the rows of one form of training data, each with its lineage."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from ner_ray import schema
from ner_ray.config.labels import names
from ner_ray.data.training import Lineage, TrainingRow
from ner_ray.families.base import ChoiceModule, ChoiceQuestions, Step, load
from ner_ray.schema import Row
from ner_ray.synth import questions
from ner_ray.synth.annotated import GROUND
from ner_ray.synth.config import FormConfig, SynthConfig
from ner_ray.synth.dynamic import Hierarchy, vary
from ner_ray.synth.negatives import TypePool
from ner_ray.synth.questions import Question
from ner_ray.synth.rows import Rows, labels_to_ask, make_rows
from ner_ray.types import Demonstration, Entity, Label, LabelSet

CLASSIFIER = "classifier"

LABEL_NOT_LISTABLE = "label_not_listable"
"""Reason for leaving gold out of a classifier's questions: in a list, its label would read as several."""

_ORIGIN = ("id", "document", "start", "end")

Shown = Sequence[tuple[Demonstration, ...]]


@dataclass(frozen=True, slots=True)
class Form:
    """A form of training data, resolved; it is sent to workers.

    Attributes:
        config: the form's section of the configuration.
        steps: the steps of its family.
        labels: the label set for all passages; empty if each passage is asked for its own types and negative ones.
        origin: the part of the lineage that all its rows have in common.
    """

    config: FormConfig
    steps: tuple[Step, ...]
    labels: LabelSet
    origin: Lineage

    @property
    def varied(self) -> bool:
        """Whether its classifier's questions depend on all passages together, because DynamicNER's rates do."""
        return self.config.dynamic is not None


@dataclass(frozen=True, slots=True)
class Asked:
    """The classifier's questions about one passage, before they are varied.

    Attributes:
        row: the source of the passage.
        groups: for each entity, its questions.
        left_out: the number of entities that cannot be asked about, by reason.
    """

    row: Row
    groups: tuple[tuple[Question, ...], ...]
    left_out: Counter[str] = field(default_factory=Counter)


def origin(config: SynthConfig, form: FormConfig) -> Lineage:
    """The lineage of a form's rows, except for the passage."""
    return Lineage(
        document="",
        start=0,
        end=0,
        teacher=config.teacher.name,
        prompt_hash=config.teacher.prompt_hash,
        filters=(*config.filters.steps, GROUND),
        seed=form.seed,
    )


def make(form: Form, rows: Sequence[Row], pool: TypePool, shown: Shown | None = None) -> Rows:
    """The training rows for passages, except for classifier questions that are yet to be varied.

    Args:
        form: the form.
        rows: annotated passages.
        pool: the types of all passages.
        shown: the demonstrations for each passage, parallel to `rows`.
    """
    made: list[TrainingRow] = []
    left_out: Counter[str] = Counter()
    for number, row in enumerate(rows):
        for step in form.steps:
            if form.varied and step.role == CLASSIFIER:
                continue
            found = make_rows(
                row["id"],
                row["text"],
                [schema.entity_from_row(entity) for entity in row["entities"]],
                step,
                form.config,
                pool=pool,
                labels=form.labels,
                demonstrations=shown[number] if shown else (),
                lineage=_lineage(row, form),
            )
            made += [_named(row_made, form) for row_made in found.rows]
            left_out.update(found.left_out)
    return Rows(tuple(made), left_out)


def ask(form: Form, rows: Iterable[Row], pool: TypePool) -> list[Asked]:
    """The classifier's questions about passages, for `make_varied`."""
    asking = _choice_questions(form)
    return [_ask(form, row, pool, asking) for row in rows]


def _ask(form: Form, row: Row, pool: TypePool, asking: ChoiceQuestions) -> Asked:
    entities = [schema.entity_from_row(entity) for entity in row["entities"]]
    listable: list[Entity] = [entity for entity in entities if asking.notation.can_hold(entity.label)]
    rng = random.Random(f"{form.config.seed}:{row['id']}")  # noqa: S311 - to be repeatable, not secret
    asked = labels_to_ask(listable, pool, form.config, form.labels, rng)
    labels = tuple(label for label in asked if asking.notation.can_hold(label.name))
    groups, left_out = questions.ask(row["text"], listable, labels, asking)
    left_out[LABEL_NOT_LISTABLE] += len(entities) - len(listable)
    return Asked({name: row[name] for name in _ORIGIN}, tuple(map(tuple, groups)), +left_out)


def make_varied(form: Form, asked: Sequence[Asked], types: Iterable[str]) -> Rows:
    """The classifier's rows after DynamicNER's steps, whose rates depend on the distribution of all answers."""
    dynamic = form.config.dynamic
    assert dynamic is not None
    asking = _choice_questions(form)
    labels = form.labels or tuple(Label(name) for name in sorted(set(types)))
    hierarchy = Hierarchy.of(labels, {name: asking.show(name) for name in names(labels)})
    varied = iter(vary([group for passage in asked for group in passage.groups], hierarchy, dynamic))
    made: list[TrainingRow] = []
    for passage in asked:
        own = [question for _ in passage.groups for question in next(varied)]
        lineage = _lineage(passage.row, form)
        made += questions.to_rows(f"{passage.row['id']}.{CLASSIFIER}", own, asking, lineage)
    return Rows(tuple(made), sum((passage.left_out for passage in asked), Counter()))


def _named(row: TrainingRow, form: Form) -> TrainingRow:
    """The row with the role in its id if the family has several roles."""
    return row if len(form.steps) == 1 else replace(row, row_id=f"{row.row_id}.{row.role}")


def _lineage(row: Row, form: Form) -> Lineage:
    return replace(form.origin, document=row["document"], start=row["start"], end=row["end"])


def _choice_questions(form: Form) -> ChoiceQuestions:
    given = dict(form.config.family)
    module = load(given.pop("name"))
    assert isinstance(module, ChoiceModule)  # as `FormConfig` has checked
    return module.choice_questions(given)
