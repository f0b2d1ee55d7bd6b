"""What a configuration means: the family's steps, the label set, and which steps share an engine."""

from __future__ import annotations

from dataclasses import dataclass

from ner_ray import plugins
from ner_ray.annotator import calibration
from ner_ray.annotator.calibration import Calibration
from ner_ray.annotator.document import ReadingRules
from ner_ray.config import AnnotateConfig, EngineConfig, SamplingConfig, labels
from ner_ray.config import load as compose
from ner_ray.config.annotate import EngineResources
from ner_ray.errors import ConfigError
from ner_ray.families.base import CONTRACT, Step, load
from ner_ray.types import LabelSet


@dataclass(frozen=True, slots=True)
class Role:
    """A step, and how its engine answers it."""

    step: Step
    sampling: SamplingConfig
    adapter: str | None


@dataclass(frozen=True, slots=True)
class Pool:
    """Identical engines, and the consecutive steps that they serve; two adapters of one base model share a pool."""

    engine: EngineConfig
    roles: tuple[Role, ...]

    @property
    def name(self) -> str:
        return "+".join(role.step.role for role in self.roles)

    @property
    def steps(self) -> tuple[Step, ...]:
        return tuple(role.step for role in self.roles)

    @property
    def adapters(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(role.adapter for role in self.roles if role.adapter))


@dataclass(frozen=True, slots=True)
class Spec:
    """A resolved configuration; small, so that it can be sent to every worker.

    Attributes:
        config: the configuration.
        labels: one label set for all documents, or None if each document has its own.
        labels_column: the column with a label set per row, or None.
        steps: of the family.
        pools: the engines to ask, in the order of the steps; none if the input brings recorded answers.
        budget: maximum length of a chunk, in tokens.
        demonstration_tokens: maximum number of tokens that demonstrations may add to a prompt; None for no limit.
        calibration: of the scores.
    """

    config: AnnotateConfig
    labels: LabelSet | None
    labels_column: str | None
    steps: tuple[Step, ...]
    pools: tuple[Pool, ...]
    budget: int
    demonstration_tokens: int | None = None
    calibration: Calibration | None = None

    def resources(self, pool: Pool) -> EngineResources:
        """What each engine of a pool gets."""
        return self.config.resources.of(role.step.role for role in pool.roles)

    @property
    def rules(self) -> ReadingRules:
        """How answers become entities."""
        return ReadingRules(self.config.align, self.config.vote, self.calibration, self.steps[-1].role)


def resolve(config: AnnotateConfig) -> Spec:
    """Resolves a configuration.

    Raises:
        ConfigError: there is no such family or option, a role has no engine, or the label set is empty.
    """
    column = labels.column_of(config.labels)
    steps = family_steps(config.family)
    _check_resources(config, [step.role for step in steps])
    return Spec(
        config=config,
        labels=None if column else labels.parse(compose.label_source(config.labels)),
        labels_column=column,
        steps=steps,
        pools=() if config.replay else _pools(config, steps),
        budget=config.chunk.tokens,
        demonstration_tokens=config.demonstrations.token_budget if config.demonstrations else None,
        calibration=calibration.load(config.calibration) if config.calibration else None,
    )


def family_steps(section: dict[str, object]) -> tuple[Step, ...]:
    """The steps of the family that a `family:` section describes."""
    options = dict(section)
    name = options.pop("name", None)
    if not isinstance(name, str):
        raise ConfigError(
            "family.name must be given: a model family reads the answers",
            hint=f"one of: {', '.join(plugins.names(CONTRACT.kind))}",
        )
    module = load(name)
    try:
        steps = module.steps(compose.validate(module.Options, options, f"family {name}"))
    except ConfigError as error:
        hint = f"settings of another family may come from the configuration file: `family={name}` replaces all of them"
        raise ConfigError(error.message, hint=hint) from error
    return steps


def _pools(config: AnnotateConfig, steps: tuple[Step, ...]) -> tuple[Pool, ...]:
    if isinstance(config.engine, dict):
        _check_roles(config.engine, [step.role for step in steps])
    pools: list[Pool] = []
    for step in steps:
        engine = config.engine_for(step.role)
        role = Role(step, engine.sampling, engine.adapter)
        if pools and pools[-1].engine == engine.base():
            pools[-1] = Pool(pools[-1].engine, (*pools[-1].roles, role))
        else:
            pools.append(Pool(engine.base(), (role,)))
    return tuple(pools)


def _check_resources(config: AnnotateConfig, roles: list[str]) -> None:
    if unknown := sorted(set(config.resources.roles) - set(roles)):
        raise ConfigError(
            f"resources.roles names {', '.join(unknown)}, but the family's roles are {', '.join(roles)}",
            hint="name roles of the family, or set resources for all of them",
        )


def _check_roles(engines: dict[str, EngineConfig], roles: list[str]) -> None:
    if set(engines) != set(roles):
        raise ConfigError(
            f"engine is given for {', '.join(engines)}, but the family's roles are {', '.join(roles)}",
            hint="give one engine for all roles, or one for each",
        )
