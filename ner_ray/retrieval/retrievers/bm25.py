"""BM25Okapi over a pool, as one sparse product per block of texts.

The scores are those of rank-bm25's `BM25Okapi`: idf = ln(N - n + 0.5) - ln(n + 0.5), negative values
replaced by epsilon times the mean idf; a term that is repeated in a query counts repeatedly. A term's contribution to
an example's score does not depend on the query, so it is precomputed for all pairs: a sparse matrix of terms by
examples. Scoring a block of texts is then a product with the rows of its terms.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from ner_ray.config import Section
from ner_ray.errors import ConfigError, InputError
from ner_ray.extras import require
from ner_ray.retrieval._arrays import open_array, save
from ner_ray.retrieval.base import Floats, Identity, Integers, Neighbours, Retriever
from ner_ray.retrieval.terms import Hasher, Hashes, Name, Tokenizer, hash_texts, parse_stop_words
from ner_ray.storage import Location

PARTS = ()

_STOP_WORDS = "stop_words.txt"
_CELLS = 400_000
"""Examples times texts in a block, whose scores, 8 bytes each, should fit into the cache of a core. Measured with
50,000 sentences: 0.20 ms per text in blocks of 4 to 16 texts, 0.60 ms in blocks of 64."""

_TINY = float(np.finfo(np.float64).smallest_subnormal)


class BuildOptions(Section):
    """How the pool is indexed; k1, b and epsilon default to the values of rank-bm25."""

    tokenizer: Name = Field(
        default="hybrid", description="How texts become terms: hybrid, bigrams, words, jieba or spaces."
    )
    stop_words: tuple[str, ...] = Field(default=(), description="Files of words to leave out, one per line.")
    k1: float = Field(default=1.5, ge=0, description="The higher, the more repetitions of a term in an example count.")
    b: float = Field(default=0.75, ge=0, le=1, description="Length normalization: 0 for none, 1 for full.")
    epsilon: float = Field(default=0.25, ge=0, description="Floor of the idf, as a multiple of the mean idf.")


class SearchOptions(Section):
    """No options: the index determines everything."""


@dataclass(frozen=True, slots=True)
class Bm25:
    """An index to search.

    Attributes:
        tokenizer: the one that read the pool.
        size: the number of examples.
        terms: shape (terms,), ascending; the hashes of all terms.
        matrix: shape (terms, examples); a scipy matrix over the mapped arrays.
    """

    tokenizer: Callable[[str], list[str]]
    size: int
    terms: Hashes
    matrix: Any
    hasher: Hasher = field(default_factory=Hasher)

    def neighbours(self, texts: Sequence[str], k: int) -> list[Neighbours]:
        """The best k examples that share a term with a text; of equal ones, the first in the pool."""
        found: list[Neighbours] = []
        for product in self._products(texts):
            if product.all_positive:
                found.extend(_best_positive(product.scores, k))
            else:
                found.extend(self._best_matching(product, column, k) for column in range(product.texts))
        return found

    def scores(self, texts: Sequence[str], positions: Sequence[Integers]) -> list[Floats]:
        """For each text, the scores of the examples listed for it."""
        lists = iter(positions)
        return [
            product.scores[next(lists), column] for product in self._products(texts) for column in range(product.texts)
        ]

    def _products(self, texts: Sequence[str]) -> Iterator[_Product]:
        step = min(64, max(4, _CELLS // max(1, self.size)))
        for start in range(0, len(texts), step):
            yield self._product(texts[start : start + step])

    def _product(self, texts: Sequence[str]) -> _Product:
        owners, rows = self._known_terms(texts)
        # `column` is parallel to `rows`: the index of each row in `used`, the distinct rows.
        used, column = np.unique(rows, return_inverse=True)
        weights = np.zeros((used.size, len(texts)))
        np.add.at(weights, (column, owners), 1.0)
        # Shape (examples, used terms); its product with the weights, shape (examples, texts), holds the scores.
        matrix = self.matrix[used].T
        return _Product(
            scores=matrix @ weights,
            all_positive=bool(matrix.nnz == 0 or matrix.data.min() > 0),
            matches=matrix,
            weights=weights,
        )

    def _known_terms(self, texts: Sequence[str]) -> tuple[Integers, Integers]:
        """For each occurrence of a known term: the number of its text and the term's matrix row; both shape (n,)."""
        hashes, starts = hash_texts([self.tokenizer(text) for text in texts], self.hasher)
        owners = np.repeat(np.arange(len(texts)), np.diff(starts))
        if self.terms.size == 0:
            return owners[:0], owners[:0]
        # Position of each hash in the sorted `terms`, if it is there; checked below.
        rows = np.minimum(np.searchsorted(self.terms, hashes), self.terms.size - 1)
        known = self.terms[rows] == hashes
        return owners[known], rows[known]

    def _best_matching(self, product: _Product, column: int, k: int) -> Neighbours:
        """The best k examples for one text if scores may be zero or negative, as in pools of a few examples.

        In that case, the score does not tell whether an example shares a term with the text, but the matrix does.
        """
        rows = np.flatnonzero(product.weights[:, column])
        positions = np.unique(product.matches[:, rows].indices).astype(np.int64)
        return _ranked(positions, product.scores[positions, column], k)


@dataclass(frozen=True, slots=True)
class _Product:
    """The scores of all examples for a block of texts, shape (examples, texts), and the factors of the product."""

    scores: Floats
    all_positive: bool
    matches: Any  # a scipy matrix, shape (examples, used terms): what each term contributes to each example's score
    weights: Floats  # shape (used terms, texts): how often each term occurs in each text

    @property
    def texts(self) -> int:
        return int(self.scores.shape[1])


def check() -> None:
    """Raises MissingExtraError without the packages of the extra."""
    require("scipy", "jieba", extra="bm25", purpose="the retriever bm25")


def build(texts: Sequence[str], options: BuildOptions, folder: Path) -> Identity:
    """Writes the matrix; returns what determines the scores."""
    tokenizer = Tokenizer.of(options.tokenizer, _read_stop_words(options.stop_words))
    vocabulary, numbers, lengths = _numbered(texts, tokenizer)
    matrix, averages = _impacts(numbers, lengths, len(vocabulary), options)
    terms = Hasher()(list(vocabulary))
    order = np.argsort(terms)
    if np.any(np.diff(terms[order]) == 0):
        raise InputError("two terms of the pool share a hash: leave an example out")
    matrix = matrix[order]
    save(
        folder,
        terms=terms[order],
        offsets=matrix.indptr.astype(np.int64),
        examples=matrix.indices.astype(np.int32),
        impacts=matrix.data.astype(np.float64),
    )
    (folder / _STOP_WORDS).write_text("\n".join(sorted(tokenizer.stop_words)), encoding="utf-8")
    parameters = options.model_dump(include={"k1", "b", "epsilon"})
    return {"examples": len(texts), "tokenizer": tokenizer.identity(), **parameters, **averages}


def load(folder: Path, identity: Identity, _options: SearchOptions, _parts: Mapping[str, Retriever]) -> Bm25:
    """Opens the arrays with the tokenizer that read the pool.

    Raises:
        InputError: the tokenizer that is installed here differs.
    """
    from scipy.sparse import csr_array

    lines = (folder / _STOP_WORDS).read_text(encoding="utf-8").split("\n")
    wanted = identity["tokenizer"]
    tokenizer = Tokenizer.of(wanted["name"], parse_stop_words(lines))
    found = tokenizer.identity()
    if different := sorted(key for key in wanted.keys() | found.keys() if wanted.get(key) != found.get(key)):
        said = ", ".join(f"{key} {wanted.get(key)!r}, here {found.get(key)!r}" for key in different)
        raise InputError(
            f"the index was built with another tokenizer: {said}", hint="build it again, or install that one"
        )
    terms, size = open_array(folder, "terms", np.uint64), int(identity["examples"])
    offsets, examples = open_array(folder, "offsets", np.int64), open_array(folder, "examples", np.int32)
    if examples.size <= np.iinfo(np.int32).max:
        offsets = offsets.astype(np.int32)  # with different integer widths, scipy would copy the indices
    impacts = open_array(folder, "impacts", np.float64)
    return Bm25(tokenizer, size, terms, csr_array((impacts, examples, offsets), shape=(terms.size, size), copy=False))


def _read_stop_words(uris: Sequence[str]) -> frozenset[str]:
    words: frozenset[str] = frozenset()
    for uri in uris:
        place = Location(uri)
        if not place.exists():
            raise ConfigError(f"there is no file of stop words at {uri}")
        words |= parse_stop_words(place.read("").decode("utf-8").splitlines())
    return words


def _numbered(texts: Sequence[str], tokenizer: Tokenizer) -> tuple[dict[str, int], NDArray[np.uint32], Integers]:
    """The vocabulary in order of appearance, all texts' terms as indices into it, concatenated, and texts' lengths."""
    vocabulary: dict[str, int] = {}
    numbers = array("I")
    lengths = np.zeros(len(texts), dtype=np.int64)
    for position, text in enumerate(texts):
        terms = tokenizer(text)
        lengths[position] = len(terms)
        numbers.extend([vocabulary.setdefault(term, len(vocabulary)) for term in terms])
    return vocabulary, np.frombuffer(numbers, dtype=np.uint32) if numbers else np.zeros(0, np.uint32), lengths


def _impacts(
    numbers: NDArray[np.uint32], lengths: Integers, terms: int, options: BuildOptions
) -> tuple[Any, dict[str, float]]:  # a scipy matrix
    """The contribution of each term to each example's score, shape (terms, examples), and the averages used.

    `numbers`, shape (tokens,), are the terms of all examples, concatenated; `lengths`, shape (examples,), their numbers
    of tokens.
    """
    from scipy.sparse import coo_array

    size = lengths.size
    examples = np.repeat(np.arange(size), lengths)
    matrix = coo_array((np.ones(numbers.size), (numbers, examples)), shape=(terms, size)).tocsr()
    # After this, `data` counts the occurrences of a term in an example, once per pair.
    matrix.sum_duplicates()
    # Shape (terms,): in how many examples each term occurs.
    holding = np.diff(matrix.indptr)
    idf = np.log(size - holding + 0.5) - np.log(holding + 0.5)
    average_idf = float(idf.sum() / terms) if terms else 0.0
    average_length = float(numbers.size / size) if size else 0.0
    idf[idf < 0] = options.epsilon * average_idf
    norm = 1 - options.b + options.b * lengths / (average_length or 1.0)
    # `frequency` and `saturated` are parallel to `indices`, which holds the example of each (term, example) pair.
    frequency = matrix.data
    saturated = frequency * (options.k1 + 1) / (frequency + options.k1 * norm[matrix.indices])
    matrix.data = np.repeat(idf, holding) * saturated
    return matrix, {"average_length": average_length, "average_idf": average_idf}


def _best_positive(scores: Floats, k: int) -> list[Neighbours]:
    """The k best of each column, among those above zero.

    Rows are divided into groups. The k-th greatest of the groups' maxima is a lower bound of the k-th best score, so
    only groups that reach it are searched. With groups of sqrt(size / k) examples, each score is read once and few are
    sorted.

    Args:
        scores: shape (examples, texts).
        k: how many to find.
    """
    size, texts = scores.shape
    group = max(1, math.isqrt(size // k))
    groups = size // group
    # Shape (groups, texts): the maximum of each group.
    greatest = np.maximum.reduce(scores[: group * groups].reshape(group, groups, texts), axis=0)
    # Row r belongs to group r % groups, so group g has the rows g + steps; `rest` are the rows left over.
    steps = (np.arange(group) * groups)[:, np.newaxis]
    rest = np.arange(group * groups, size)
    found = []
    for column in range(texts):
        tops = greatest[:, column]
        least = max(_TINY, np.partition(tops, groups - k)[groups - k] if k <= groups else 0.0)
        candidates = np.concatenate(((np.flatnonzero(tops >= least) + steps).ravel(), rest))
        values = scores[candidates, column]
        kept = values >= least
        found.append(_ranked(candidates[kept], values[kept], k))
    return found


def _ranked(positions: Integers, scores: Floats, k: int) -> Neighbours:
    order = np.lexsort((positions, -scores))[:k]
    return Neighbours(positions[order], scores[order])
