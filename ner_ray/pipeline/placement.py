"""Which nodes the engines of a job fit on. Nodes are plain data, as `ray.nodes()` returns them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ner_ray.annotator.spec import Pool, Spec
from ner_ray.config.annotate import EngineResources

CPUS_BESIDE_ENGINES = 2
"""Logical CPUs of each machine for reading and writing; a local cluster counts as many more than it has."""

_LEAST_CPUS = 0.5  # per engine
_ACCELERATOR = "accelerator_type:"

Node = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Bundle:
    """What Ray reserves for each engine of a pool, all of it on one node.

    Attributes:
        count: the number of engines at the start.
        gpus: GPUs, or a fraction of one.
        cpus: CPUs, which are the threads of an engine without a GPU.
        accelerator: Ray's name for the type of GPU, or None for any.
    """

    count: int
    gpus: float
    cpus: float
    accelerator: str | None = None

    @property
    def resources(self) -> dict[str, float]:
        """The same, as Ray's autoscaler takes it."""
        wanted = {"CPU": self.cpus, "GPU": self.gpus}
        named = {f"{_ACCELERATOR}{self.accelerator}": 0.001} if self.accelerator else {}
        return {kind: amount for kind, amount in wanted.items() if amount} | named

    def __str__(self) -> str:
        kind = f" ({self.accelerator})" if self.accelerator else ""
        return (
            f"{_amount(self.gpus, 'GPU')}{kind} and {_amount(self.cpus, 'CPU')}" if self.gpus else f"{self.cpus:g} CPUs"
        )


def bundles(spec: Spec, nodes: Iterable[Node]) -> list[Bundle]:
    """What an engine of each pool needs; `auto` is settled by what the nodes have."""
    able = _able(nodes)
    wanted = [(pool, spec.resources(pool)) for pool in spec.pools]
    gpus = [_gpus(pool, resources, able) for pool, resources in wanted]
    without = sum(resources.replicas for (_, resources), number in zip(wanted, gpus, strict=True) if not number)
    return [
        Bundle(resources.replicas, number, _cpus(resources, number, without, able), resources.accelerator)
        for (_, resources), number in zip(wanted, gpus, strict=True)
    ]


def missing(wanted: Sequence[Bundle], nodes: Iterable[Node]) -> str:
    """What the nodes lack to hold all these engines and a task beside them, as a sentence; empty if nothing."""
    able = _able(nodes)
    engines = sum(bundle.count for bundle in wanted)
    if not engines:
        return ""
    needed = {
        "GPU": sum(bundle.count * bundle.gpus for bundle in wanted),
        "CPU": sum(bundle.count * bundle.cpus for bundle in wanted) + 1,
    }
    for kind, amount in needed.items():
        there = sum(node["Resources"].get(kind, 0) for node in able)
        if amount > there:
            return (
                f"{engines} engine{'s need' if engines > 1 else ' needs'} {amount:g} {kind}s, the cluster has {there:g}"
            )
    return _unplaced(wanted, able)


def _unplaced(wanted: Sequence[Bundle], able: Sequence[Node]) -> str:
    """The first engine, of the largest, for which no single node has room."""
    rooms = [_Room(node["Resources"]) for node in able]
    for bundle in sorted(wanted, key=lambda bundle: (bundle.accelerator is None, -bundle.gpus, -bundle.cpus)):
        for number in range(bundle.count):
            if not any(room.take(bundle) for room in rooms):
                where = f"after {number} of them are placed, " if number else ""
                return f"an engine needs {bundle} on one node; {where}no node has so much"
    return ""


class _Room:
    """What is left of a node."""

    def __init__(self, resources: Mapping[str, float]) -> None:
        self._cpus = resources.get("CPU", 0.0)
        self._gpus = [1.0] * int(resources.get("GPU", 0))
        self._names = {name.removeprefix(_ACCELERATOR) for name in resources if name.startswith(_ACCELERATOR)}

    def take(self, bundle: Bundle) -> bool:
        """Places an engine here, if it fits."""
        share = min(bundle.gpus, 1.0)
        fitting = [number for number, free in enumerate(self._gpus) if free >= share - 1e-9]
        whole = math.ceil(bundle.gpus)
        if bundle.accelerator and bundle.accelerator not in self._names:
            return False
        if self._cpus < bundle.cpus or len(fitting) < whole:
            return False
        self._cpus -= bundle.cpus
        for number in fitting[:whole]:
            self._gpus[number] -= share
        return True


def _able(nodes: Iterable[Node]) -> list[Node]:
    """The nodes that run tasks: a head without CPUs, as KubeRay's usually is, does not."""
    return [node for node in nodes if node["Alive"] and node["Resources"].get("CPU", 0) > 0]


def _gpus(pool: Pool, resources: EngineResources, able: Sequence[Node]) -> float:
    there = sum(node["Resources"].get("GPU", 0) for node in able)
    each = pool.engine.default_gpus(there) if resources.gpus == "auto" else resources.gpus
    return each * resources.tensor_parallel


def _cpus(resources: EngineResources, gpus: float, engines: int, able: Sequence[Node]) -> float:
    """The CPUs of an engine: as configured, or without a GPU an even share of the smallest machine.

    Ray gives an actor as many OpenMP threads as CPUs (one if it has less than one CPU), and they determine the speed of
    an engine without a GPU.
    """
    if resources.cpus is not None:
        return resources.cpus
    if gpus or not able:
        return 1.0
    smallest = min(node["Resources"]["CPU"] for node in able)
    here = math.ceil(engines / len(able))
    share = (smallest - CPUS_BESIDE_ENGINES) // here
    # With less than one CPU per engine, they share all but one, which is left for reading and writing.
    return float(share) if share >= 1 else min(1.0, max(_LEAST_CPUS, (smallest - 1) / here))


def _amount(number: float, unit: str) -> str:
    return f"{number:g} {unit}{'s' if number > 1 else ''}"
