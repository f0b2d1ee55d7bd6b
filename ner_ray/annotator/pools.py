"""Checks, starts and identifies the engines of a spec's pools; what their prompts need is checked with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ner_ray.annotator.spec import Pool, Role, Spec
from ner_ray.engines.base import Engine, load
from ner_ray.errors import ConfigError, MissingExtraError, ModelError, NerRayError
from ner_ray.models.options import CheckpointOptions, pinned, pinned_adapter
from ner_ray.retrieval import selection


def check(spec: Spec) -> None:
    """Makes sure that every engine, model and adapter is available; starts nothing.

    Raises:
        ConfigError: a setting makes no sense, or a package is missing.
        ModelError: a model or an adapter does not exist.
    """
    if spec.config.demonstrations:
        selection.check(spec.config.demonstrations)
    for pool in spec.pools:
        for role in pool.roles:
            if role.sampling.n > 1 and not role.sampling.temperature:
                raise ConfigError(
                    f"{role.sampling.n} samples for the {role.step.role} at temperature 0 would all be the same",
                    hint="engine.sampling.temperature=0.7, or engine.sampling.n=1",
                )
            _check_role(spec, role.step.role)


def start(spec: Spec, pool: Pool) -> Engine:
    """Starts an engine for a pool.

    Raises:
        ModelError: the model cannot be served.
    """
    resources = spec.resources(pool)
    shares = isinstance(resources.gpus, float) and 0 < resources.gpus < 1
    engine = pool.engine.on_share(float(resources.gpus)) if shares else pool.engine
    return load(engine.name).create(engine, pool.adapters, resources.tensor_parallel)


def start_all(spec: Spec) -> list[Engine]:
    """A running engine for each pool; where one cannot start, those before it are closed.

    Raises:
        ModelError: a model cannot be served.
    """
    started: list[Engine] = []
    try:
        for pool in spec.pools:
            started.append(start(spec, pool))  # noqa: PERF401  # as far as it gets
    except NerRayError:
        for engine in started:
            engine.close()
        raise
    return started


def identities(spec: Spec) -> dict[str, dict[str, str | None]]:
    """The model, revision and adapter that answer for each role, for the record of a run."""
    engines = {
        role.step.role: pool.engine.model_copy(update={"adapter": role.adapter})
        for pool in spec.pools
        for role in pool.roles
    }
    return {role: load(engine.name).identity(engine) for role, engine in engines.items()}


def pin(spec: Spec, recorded: Mapping[str, Mapping[str, str | None]]) -> Spec:
    """The spec with its models and adapters of the hub at fixed commits, so that a push to the hub changes nothing.

    Args:
        spec: a resolved configuration.
        recorded: what `identities` said when the run began; the newest commits are taken where that is empty.
    """
    return replace(spec, pools=tuple(_pinned(pool, recorded) for pool in spec.pools))


def _pinned(pool: Pool, recorded: Mapping[str, Mapping[str, str | None]]) -> Pool:
    if not isinstance(pool.engine, CheckpointOptions):
        return pool
    earlier = recorded.get(pool.roles[0].step.role, {})
    engine: CheckpointOptions = pool.engine
    if engine.checkpoint.repository and earlier.get("revision"):
        engine = engine.model_copy(update={"model": earlier["model"], "revision": earlier["revision"]})
    return Pool(pinned(engine), tuple(_pinned_role(role, recorded) for role in pool.roles))


def _pinned_role(role: Role, recorded: Mapping[str, Mapping[str, str | None]]) -> Role:
    if role.adapter is None:
        return role
    earlier = recorded.get(role.step.role, {}).get("adapter")
    return replace(role, adapter=pinned_adapter(earlier or role.adapter))


def _check_role(spec: Spec, role: str) -> None:
    config = spec.config.engine_for(role)
    try:
        load(config.name).check(config)
    except (ConfigError, MissingExtraError, ModelError) as error:
        if isinstance(spec.config.engine, dict):
            raise type(error)(f"engine.{role}: {error.message}", hint=error.hint) from error
        raise
