"""Where a page goes: no file of anybody else's is lost, and no part of an earlier page is left."""

from __future__ import annotations

from pathlib import Path

import pytest

from ner_ray.errors import ConfigError
from ner_ray.export import html
from ner_ray.types import Annotation, Document
from ner_ray.viewer import pages
from ner_ray.viewer.places import PAGE, PARTS, Beside, is_folder


def write(folder: Path, count: int) -> None:
    html.write(((Document(f"d-{n}", f"text {n}", ()), Annotation(())) for n in range(count)), f"{folder}/")


def parts(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder / PARTS)) for path in (folder / PARTS).rglob("*.js"))


def test_a_smaller_page_leaves_no_part_of_a_larger_one(tmp_path, monkeypatch):
    monkeypatch.setattr(pages, "CHUNK_DOCUMENTS", 2)
    write(tmp_path / "page", 6)
    before = parts(tmp_path / "page")

    write(tmp_path / "page", 2)

    assert before == ["000/000000.js", "000/000001.js", "000/000002.js", "index/0000.js"]
    assert parts(tmp_path / "page") == ["000/000000.js", "index/0000.js"]


def test_a_folder_with_other_files_is_refused(tmp_path):
    for name in ("notes.txt", PAGE):
        folder = tmp_path / name
        folder.mkdir()
        (folder / name).write_text("mine")

        with pytest.raises(ConfigError, match=f"holds other files: {name}"):
            write(folder, 1)

        assert (folder / name).read_text() == "mine"


def test_the_same_documents_give_the_same_bytes_and_others_another_version(tmp_path):
    for name, count in (("one", 3), ("two", 3), ("three", 4)):
        write(tmp_path / name, count)

    contents = [(tmp_path / name / PAGE).read_bytes() for name in ("one", "two", "three")]

    assert contents[0] == contents[1] != contents[2]
    assert b'"version":""' not in contents[0]


def test_a_part_that_cannot_be_written_is_an_error(tmp_path):
    place = Beside(f"{tmp_path}/page/")
    (tmp_path / "page" / PARTS).mkdir(parents=True)
    (tmp_path / "page" / PARTS / "000").write_text("in the way")
    place.put("000/000000", "1")

    with pytest.raises(OSError, match="000"):
        place.finish("")


def test_a_slash_or_a_folder_that_is_there_means_a_folder(tmp_path):
    assert [is_folder(path) for path in (f"{tmp_path}/a/", tmp_path, tmp_path / "page.html")] == [True, True, False]
