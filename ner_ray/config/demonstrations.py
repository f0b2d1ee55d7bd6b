"""The configuration of `ner-ray index`, and of how a document's demonstrations are chosen."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from ner_ray.config.section import Section, operational


def _bm25_alone() -> dict[str, dict[str, Any]]:
    return {"bm25": {}}


class IndexConfig(Section):
    """A pool of annotated examples and the index that is made of it."""

    pool: tuple[str, ...] = Field(min_length=1, description="Parquet or JSON Lines files, or folders of them, as URIs.")
    output: str = operational(description="The index directory, as a URI.")
    retrievers: dict[str, dict[str, Any]] = Field(
        default_factory=_bm25_alone,
        min_length=1,
        description="The retrievers to lay out, each with its own options: bm25, dense.",
    )
    label_map: dict[str, str | None] = Field(
        default_factory=dict,
        description="The pool's label -> the label that examples show; null leaves its entities out. Examples should "
        "speak of the labels of the job, or the model learns others from them.",
    )
    guard_ngram: int = Field(
        default=8, ge=2, description="Words (in CJK: characters) of an n-gram of the leakage guard."
    )
    overwrite: bool = operational(False, description="Replace an index that is already there.")
    encoders: int = operational(1, ge=1, description="Actors that embed the pool, where a retriever is dense.")
    gpus_per_encoder: float = operational(0.0, ge=0, description="GPUs of each.")


class DemonstrationsConfig(Section):
    """Which demonstrations a document gets; k, candidates and bm25_threshold are RA-IT's by default."""

    index: str = operational(description="The index directory, as a URI; its content is part of the fingerprint.")
    retriever: str = Field(default="bm25", description="bm25, dense, hybrid, or an entry point's name.")
    options: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="How retrievers search, by name: {dense: {device: cuda}}."
    )
    strategy: Literal[
        "nn", "nn_bm25_rejection", "diverse_nn", "diverse_nn_bm25_rejection", "bm25_rank", "random", "mixed"
    ] = Field(
        default="nn",
        description="nn: the nearest. diverse_nn: drawn from the nearest candidates. bm25_rejection: what "
        "BM25 puts under bm25_threshold is dropped. bm25_rank: those candidates that BM25 puts first. "
        "random: drawn from the pool. mixed: nn with the probability nearest_share, else random.",
    )
    k: int = Field(default=2, ge=1, description="Examples a document, at most.")
    candidates: int = Field(
        default=128, ge=1, description="Nearest examples that diverse_nn and bm25_rank choose from."
    )
    bm25_threshold: float = Field(
        default=20.0, description="The least BM25 score that rejection and bm25_rank let pass."
    )
    nearest_share: float = Field(default=0.8, ge=0, le=1, description="The probability of nn under mixed.")
    min_score: float | None = Field(
        default=None,
        description="A document whose best example scores less with the retriever gets none (on demand).",
    )
    order: Literal["as_chosen", "nearest_first", "nearest_last"] = Field(
        default="as_chosen",
        description="as_chosen: nearest first under nn and bm25_rank, by chance where examples are drawn.",
    )
    token_budget: int | None = Field(
        default=None,
        ge=0,
        description="By how many tokens a chunk's examples may make its prompt longer; the "
        "last chosen are dropped. Default: what text and answer leave of the engine's max_model_len.",
    )
    guard: bool = Field(
        default=True, description="Hold back examples that equal, contain or largely repeat the document."
    )
    guard_overlap: float = Field(
        default=0.5, gt=0, le=1, description="The share of the shorter text's n-grams that is too much."
    )
    seed: int = Field(default=0, description="With a document's text, the seed of all that is drawn.")
    cache: str | None = operational(
        None, description="Where a node keeps copies of remote indexes; default: ~/.cache/ner_ray/retrieval."
    )

    @model_validator(mode="after")
    def _enough_candidates(self) -> Self:
        if self.candidates < self.k:
            raise ValueError(f"candidates ({self.candidates}) must be at least k ({self.k})")
        return self
