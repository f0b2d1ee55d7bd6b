"""Nearest examples by the embeddings of an encoder: cosine similarity, exact search by faiss.

Works with any sentence-transformers or Hugging Face encoder. faiss reads the vectors where they are mapped, so they
are not copied into each process. A text's vector varies by about 1e-7 with the other texts in its batch, so examples
whose similarities differ by no more than that may come in either order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field

from ner_ray.config import Section
from ner_ray.errors import ConfigError, InputError, ModelError
from ner_ray.extras import require
from ner_ray.models import checkpoints
from ner_ray.retrieval._arrays import open_array, save
from ner_ray.retrieval.base import Encoder, Floats, Identity, Integers, Neighbours, Retriever, Vectors

PARTS = ()

_SLICE = 4096
"""Number of texts embedded at a time, so that the vectors of a large pool are written as they are computed."""

_PROBES = ("The mayor of Vienna met Ms. O'Neil on 3 May.", "长江大桥位于武汉市。", "aspirin 100 mg")
_LEAST_AGREEMENT = 0.999
"""Cosine that is reached with another dtype or device, but not with another model."""


class BuildOptions(Section):
    """The encoder, and how it reads texts."""

    model: str = Field(description="An encoder of sentence-transformers or the hub: a folder, its URI, or hub:NAME.")
    pooling: Literal["model", "mean", "cls", "max", "lasttoken"] = Field(
        default="model", description="model: as its files say; mean where they do not say."
    )
    max_tokens: int | None = Field(
        default=None, ge=8, description="Longer texts are cut off; default: the model's limit."
    )
    text_prefix: str = Field(default="", description="Put before texts, as E5 wants `query: `.")
    example_prefix: str = Field(default="", description="Put before examples, as E5 wants `passage: `.")
    batch_size: int = Field(default=64, ge=1, description="Texts at once.")
    device: str | None = Field(default=None, description="cpu, cuda, ...; default: a GPU if there is one.")


class SearchOptions(Section):
    """Where the encoder is, and on what it runs."""

    model: str | None = Field(default=None, description="Where the same model is now, if it has moved.")
    batch_size: int = Field(default=64, ge=1, description="Texts at once.")
    device: str | None = Field(default=None, description="cpu, cuda, ...; default: a GPU if there is one.")


@dataclass(frozen=True, slots=True)
class Dense:
    """Unit vectors of the pool, shape (examples, dimensions), and the encoder that embeds texts in the same space."""

    embed: Encoder
    vectors: Vectors

    def neighbours(self, texts: Sequence[str], k: int) -> list[Neighbours]:
        """The k examples with the greatest cosine; none for a blank text."""
        faiss = _faiss()
        found = [Neighbours(np.zeros(0, np.int64), np.zeros(0))] * len(texts)
        asked = [number for number, text in enumerate(texts) if text.strip()]
        if not asked or not self.vectors.shape[0]:
            return found
        queries = self.embed([texts[number] for number in asked])
        near = min(k, self.vectors.shape[0])
        cosines, positions = faiss.knn(queries, self.vectors, near, metric=faiss.METRIC_INNER_PRODUCT)
        for number, row, places in zip(asked, cosines.astype(np.float64), positions, strict=True):
            order = np.lexsort((places, -row))
            found[number] = Neighbours(places[order].astype(np.int64), row[order])
        return found

    def scores(self, texts: Sequence[str], positions: Sequence[Integers]) -> list[Floats]:
        """For each text, the cosines with the examples listed for it."""
        vectors = self.embed(texts)
        return [
            (self.vectors[places] @ vector).astype(np.float64)
            for vector, places in zip(vectors, positions, strict=True)
        ]


def build(texts: Sequence[str], options: BuildOptions, folder: Path) -> Identity:
    """Writes the vectors, with a model in this process."""
    return build_with(load_encoder(options), texts, options, folder)


def build_with(encoder: Encoder, texts: Sequence[str], options: BuildOptions, folder: Path) -> Identity:
    """Writes the vectors; the encoder receives the examples with their prefix.

    The vectors of a few fixed sentences are stored, too: they show whether a model loaded later is the same.
    """
    probe = encoder(_prefixed(_PROBES, options.example_prefix))
    _check_unit(probe)
    _write(folder / "vectors.npy", (len(texts), probe.shape[1]), _slices(texts, options.example_prefix, encoder))
    save(folder, probe=probe)
    settings = options.model_dump(include={"model", "pooling", "max_tokens", "text_prefix", "example_prefix"})
    return {"examples": len(texts), "dimensions": int(probe.shape[1]), **settings, "versions": _versions()}


def load(folder: Path, identity: Identity, options: SearchOptions, _parts: Mapping[str, Retriever]) -> Dense:
    """Opens the vectors and the encoder that made them.

    Raises:
        InputError: the model that is found now yields other vectors.
        ModelError: the model does not exist.
    """
    settings = {key: identity[key] for key in ("pooling", "max_tokens", "text_prefix", "example_prefix")}
    wanted = BuildOptions(
        model=options.model or identity["model"],
        batch_size=options.batch_size,
        device=options.device,
        **settings,
    )
    encode = load_encoder(wanted)
    _compare(encode(_prefixed(_PROBES, wanted.example_prefix)), open_array(folder, "probe", np.float32), wanted)

    def embed(texts: Sequence[str]) -> Vectors:
        return encode(_prefixed(texts, wanted.text_prefix))

    return Dense(embed, open_array(folder, "vectors", np.float32))


def check() -> None:
    """Raises MissingExtraError without the packages of the extra."""
    require("sentence_transformers", "faiss", extra="dense", purpose="the retriever dense")


def load_encoder(options: BuildOptions) -> Encoder:
    """The model as a function; loaded at once, so that afterwards only its files are needed.

    Raises:
        ModelError: the model does not exist, or cannot be loaded.
    """
    try:
        model = _open_model(options, str(checkpoints.fetch_folder(options.model, "encoder")))
    except ModelError:
        raise
    except (OSError, ValueError, RuntimeError) as error:
        raise ModelError(f"cannot load the encoder {options.model}: {error}") from error

    def embed(texts: Sequence[str]) -> Vectors:
        # A lone surrogate is not a character, and no tokenizer accepts it.
        readable = [text.encode("utf-8", "replace").decode() for text in texts]
        vectors = model.encode(
            readable, batch_size=options.batch_size, normalize_embeddings=True, show_progress_bar=False
        )
        return np.ascontiguousarray(vectors, dtype=np.float32)

    return embed


def _open_model(options: BuildOptions, folder: str) -> Any:  # a SentenceTransformer
    library = _sentence_transformers()
    if options.pooling == "model":
        model = library.SentenceTransformer(folder, device=options.device)
    else:
        modules = library.sentence_transformer.modules
        words = modules.Transformer(folder)
        pooled = modules.Pooling(words.get_embedding_dimension(), options.pooling)
        model = library.SentenceTransformer(modules=[words, pooled], device=options.device)
    if options.max_tokens is not None:
        model.max_seq_length = options.max_tokens
    return model


def _slices(texts: Sequence[str], prefix: str, embed: Encoder) -> Iterator[Vectors]:
    for start in range(0, len(texts), _SLICE):
        yield embed(_prefixed(texts[start : start + _SLICE], prefix))


def _write(path: Path, shape: tuple[int, int], slices: Iterable[Vectors]) -> None:
    if shape[0] == 0:
        np.save(path, np.zeros(shape, np.float32), allow_pickle=False)
        return
    vectors = np.lib.format.open_memmap(  # type: ignore[no-untyped-call]
        path, mode="w+", dtype=np.float32, shape=shape
    )
    start = 0
    for part in slices:
        vectors[start : start + len(part)] = part
        start += len(part)
    vectors.flush()


def _prefixed(texts: Sequence[str], prefix: str) -> list[str]:
    return [prefix + text for text in texts]


def _check_unit(vectors: Vectors) -> None:
    if not np.allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-3):
        raise ConfigError("the encoder's vectors are not of length 1")


def _compare(found: Vectors, wanted: Vectors, options: BuildOptions) -> None:
    if found.shape != wanted.shape:
        raise InputError(
            f"the index has vectors of {wanted.shape[1]} dimensions, {options.model} gives {found.shape[1]}",
            hint="name the model that the index was built with, or build it again",
        )
    agreement = float((found * wanted).sum(axis=1).min())
    if agreement < _LEAST_AGREEMENT:
        raise InputError(
            f"{options.model} is not the model of the index: their vectors of the same sentence agree to "
            f"{agreement:.4f} only",
            hint="name the model that the index was built with, or build it again",
        )


def _versions() -> dict[str, str]:
    from importlib.metadata import version

    return {name: version(name) for name in ("sentence-transformers", "transformers", "torch", "faiss-cpu")}


def _sentence_transformers() -> Any:  # the module
    check()
    import sentence_transformers

    return sentence_transformers


def _faiss() -> Any:  # the module
    check()
    import faiss

    return faiss
