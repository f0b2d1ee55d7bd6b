"""The typed configuration: every field with its unit, its default and its reason."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Section(BaseModel):
    """Frozen; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class AlignConfig(Section):
    """How mentions are put onto the text."""

    normalize: bool = Field(default=True, description="Match over differences of case, width, white space, quotes.")
    fuzzy: bool = Field(default=True, description="Match misspelt mentions.")
    threshold: float = Field(
        default=0.8, ge=0, le=1, description="The least similarity (normalised indel) of a fuzzy match."
    )


class VoteConfig(Section):
    """How several samples of one answer are joined."""

    method: Literal["agreement", "longest"] = Field(
        default="agreement",
        description="agreement: keep spans that enough samples found; longest: CascadeNER's longest-wins union.",
    )
    min_agreement: float = Field(default=0.5, ge=0, le=1, description="The least share of samples that found a span.")
