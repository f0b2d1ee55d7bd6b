"""A family that can express nothing, and says of everything that it overlaps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from outside_toys import angle

from ner_ray.families.base import Step
from ner_ray.types import Entity, LeftOut, StepInput, Targets

Options = angle.Options


def steps(options: angle.Options) -> tuple[Step, ...]:
    return (Lazy(options),)


@dataclass(frozen=True, slots=True)
class Lazy(angle.Angle):
    def targets(self, passage: StepInput, gold: Sequence[Entity]) -> Targets:
        exchanges = angle.Angle.targets(self, passage, ()).exchanges
        return Targets(exchanges, tuple(LeftOut(entity, "overlaps") for entity in gold))
