"""Make training data for open NER from raw text: passages, a teacher's answers, filters, training rows.

Run the same command again to resume after a stop: the teacher is not asked again for answers that are there. Filters,
types and forms can be changed in the same directory.

For example:

    ner-ray synth synth/demo

    ner-ray synth synth/pile-en input.path=corpus/ teacher.engine.model=TEACHER output=runs/pile

Exit status: 0 done, 2 wrong configuration or input, 3 too many passages without a readable answer.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from ner_ray.synth.config import SynthConfig

if TYPE_CHECKING:
    from ner_ray.pipeline import synth

Config = SynthConfig
RESUMES = True


@dataclass(frozen=True, slots=True)
class Result:
    """What was made."""

    made: synth.Result

    @property
    def exit_status(self) -> int:
        return self.made.exit_status

    def to_dict(self) -> dict[str, Any]:
        return asdict(self.made)


def run(config: SynthConfig) -> Result:
    """Makes the training data; raises what `ner_ray.pipeline.synth.synthesize` raises."""
    from ner_ray.pipeline.synth import synthesize

    return Result(synthesize(config))


def show(result: Result) -> str:
    """One figure per line."""
    from ner_ray.commands import _tables

    return _tables.fields(result.to_dict())
