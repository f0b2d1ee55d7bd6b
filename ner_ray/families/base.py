"""The contract of a model family.

A family is a module of this package (or an entry point in the group `ner_ray.families`) with

    Options   a pydantic model of what its `family:` section may say
    steps     a function from Options to the family's steps, in order

A single-pass family has one step, with the role `tagger`; CascadeNER has two, `extractor` and `classifier`.
A step is a pair of pure functions over the transcript of what was asked and answered, so an answer can be
read again later without a model, and follow-up questions need no state.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field

from ner_ray.types import Entity, Prompt, Reading, StepInput, Targets, Transcript

LabelPolicy = Literal["drop", "keep", "nearest"]


class FamilyOptions(BaseModel):
    """What every family's `family:` section may say."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    outside_labels: LabelPolicy = Field(
        default="drop",
        description="A label outside the set: drop the mention (it is counted), keep it, or take the nearest.",
    )


class Step(Protocol):
    """One role's questions about a passage, and what its answers mean."""

    @property
    def role(self) -> str:
        """Which engine answers: `tagger`, `extractor`, `classifier`."""
        ...

    def ask(self, passage: StepInput, transcript: Transcript) -> list[Prompt]:
        """The prompts to send next, given what was asked and answered so far; none when all is said."""
        ...

    def read(self, passage: StepInput, transcript: Transcript) -> list[Reading]:
        """What the whole transcript says, one reading a sample. Total: any answer gives a reading."""
        ...

    def targets(self, passage: StepInput, gold: Sequence[Entity]) -> Targets:
        """What a perfect model would answer: training data.

        Reading the answers gives back exactly the gold that is not in `Targets.left_out`. White space at the ends of
        an entity does not count.
        """
        ...
