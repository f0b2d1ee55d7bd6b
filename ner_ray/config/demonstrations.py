"""The configuration of `ner-ray index`, and of how demonstrations are selected for a chunk."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from ner_ray.config.section import Section, operational


def _only_bm25() -> dict[str, dict[str, Any]]:
    return {"bm25": {}}


class IndexConfig(Section):
    """A pool of annotated examples, and the index to build from it."""

    pool: tuple[str, ...] = Field(
        min_length=1,
        description="The annotated texts, as URIs of files, folders or run directories, in any format that "
        "`ner-ray evaluate` reads as gold.",
    )
    output: str = operational(description="Where to build the index: a directory, as a URI.")
    retrievers: dict[str, dict[str, Any]] = Field(
        default_factory=_only_bm25,
        min_length=1,
        description="The retrievers to build the index for, each with its own options: bm25, dense.",
    )
    label_map: dict[str, str | None] = Field(
        default_factory=dict,
        description="Maps a label of the pool to the label shown in demonstrations; null leaves its entities out. Use "
        "it to match the labels of the job: a model copies the labels that it sees in demonstrations.",
    )
    guard_ngram: int = Field(
        default=8,
        ge=2,
        description="Length of the n-grams that the leakage guard compares, in words (in characters for CJK).",
    )
    overwrite: bool = operational(False, description="Replace an existing index.")
    encoders: int = operational(1, ge=1, description="Number of actors that embed the pool for a dense retriever.")
    gpus_per_encoder: float = operational(0.0, ge=0, description="GPUs per encoder.")


class DemonstrationsConfig(Section):
    """Which demonstrations a chunk gets. The defaults of `k`, `candidates` and `bm25_threshold` are those of RA-IT."""

    index: str = operational(
        description="The index directory, as a URI. Its contents, not its location, are part of the fingerprint."
    )
    retriever: str = Field(default="bm25", description="The retriever: bm25, dense, hybrid, or an entry point's name.")
    options: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="Search options by retriever, such as {dense: {device: cuda}}."
    )
    strategy: Literal[
        "nn", "nn_bm25_rejection", "diverse_nn", "diverse_nn_bm25_rejection", "bm25_rank", "random", "mixed"
    ] = Field(
        default="nn",
        description="nn: the k nearest examples. diverse_nn: k drawn at random from the nearest `candidates`. "
        "..._bm25_rejection: the same, without those whose BM25 score is below `bm25_threshold`. bm25_rank: the k of "
        "the nearest `candidates` with the highest BM25 scores. random: k drawn from the whole pool. mixed: nn with "
        "the probability `nearest_share`, otherwise random.",
    )
    k: int = Field(default=2, ge=1, description="Maximum number of demonstrations per chunk.")
    candidates: int = Field(
        default=128, ge=1, description="Number of nearest examples that diverse_nn and bm25_rank choose from."
    )
    bm25_threshold: float = Field(
        default=20.0, description="Minimum BM25 score of a demonstration under bm25_rejection and bm25_rank."
    )
    nearest_share: float = Field(default=0.8, ge=0, le=1, description="Under mixed: the probability of nn.")
    min_score: float | None = Field(
        default=None,
        description="A chunk whose best example has a lower retriever score gets no demonstrations at all. Default: no "
        "such limit.",
    )
    order: Literal["as_chosen", "nearest_first", "nearest_last"] = Field(
        default="as_chosen",
        description="Order in the prompt. as_chosen: as the strategy returns them, that is, nearest first under nn and "
        "bm25_rank, and random where examples are drawn.",
    )
    token_budget: int | None = Field(
        default=None,
        ge=0,
        description="Maximum number of tokens that demonstrations may add to a prompt; the last chosen are dropped. "
        "Default: what text and answer leave of `engine.max_model_len`.",
    )
    guard: bool = Field(
        default=True, description="Leakage guard: hold back examples that equal, contain or largely repeat the text."
    )
    guard_overlap: float = Field(
        default=0.5,
        gt=0,
        le=1,
        description="Leakage guard: share of the shorter text's n-grams, boilerplate aside, from which an example is "
        "held back.",
    )
    seed: int = Field(default=0, description="Seed of all random draws, which depend on it and on the text alone.")
    cache: str | None = operational(
        None,
        description="Folder for local copies of remote indexes, on each node. Default: ~/.cache/ner_ray/retrieval.",
    )

    @model_validator(mode="after")
    def _enough_candidates(self) -> Self:
        if self.candidates < self.k:
            raise ValueError(f"candidates ({self.candidates}) must be at least k ({self.k})")
        return self
