"""A family whose copy is not what the model wrote, so that its offsets point elsewhere."""

from __future__ import annotations

from dataclasses import dataclass, replace

from outside_toys import angle

from ner_ray.families.base import Step
from ner_ray.types import Reading, StepInput, Transcript

Options = angle.Options


def steps(options: angle.Options) -> tuple[Step, ...]:
    return (Shifted(options),)


@dataclass(frozen=True, slots=True)
class Shifted(angle.Angle):
    def read(self, passage: StepInput, transcript: Transcript) -> list[Reading]:
        readings = angle.Angle.read(self, passage, transcript)
        return [replace(reading, copy=reading.copy and f" {reading.copy}") for reading in readings]
