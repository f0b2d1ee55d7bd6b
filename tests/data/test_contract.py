"""What every format keeps, whatever it is given."""

from __future__ import annotations

import random
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ner_ray import plugins
from ner_ray.data import AnnotatedText, read, read_all
from ner_ray.data.formats.base import Match, load
from ner_ray.data.source import Source
from ner_ray.errors import NerRayError

FORMATS = plugins.names("data.formats")
BEGINNINGS = [
    b"",
    b"PAR1",
    b"{",
    b"[",
    b"[{",
    b"[[",
    b"\xef\xbb\xbf{",
    b"\xff\xfe",
    b"ARROW1",
    b"\xff\xff\xff\xff",
    b"a O\n",
]


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_does_not_recognise_what_is_not_there(tmp_path: Path, name: str) -> None:
    """An empty folder, an empty file without an ending."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()

    assert load(name).recognizes(Source(str(tmp_path / "empty"), is_folder=True)) is Match.NO
    assert load(name).recognizes(Source(str(tmp_path), "file")) is Match.NO


@pytest.mark.parametrize("ending", ["", ".json", ".conll"])
@given(beginning=st.sampled_from(BEGINNINGS), rest=st.binary(max_size=60))
@example(beginning=b"[" * 20_000, rest=b"")
@example(beginning=b'{"a":' * 20_000, rest=b"")
@settings(max_examples=25)
def test_any_file_gives_texts_and_rejects_or_is_refused(
    tmp_path_factory: pytest.TempPathFactory, ending: str, beginning: bytes, rest: bytes
) -> None:
    path = tmp_path_factory.mktemp("any") / f"file{ending}"
    path.write_bytes(beginning + rest)

    with suppress(NerRayError):
        assert all(isinstance(item, AnnotatedText) or item.reason for item in read(str(path)))


@pytest.mark.parametrize("name", ["a.parquet", "a.spacy", "a.jsonl.gz", "a.arrow"])
def test_a_file_that_is_not_what_its_name_says_is_refused_by_name(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"\xff\xff\xff\xff something else")

    with pytest.raises(NerRayError, match=name):
        read_all(str(tmp_path / name))


def test_files_on_an_object_store_are_read_as_local_ones_are(bucket: str, tmp_path: Path) -> None:
    from ner_ray.storage import Location

    content = b"".join(
        b"%s B-x\nran O\n\n" % bytes([letter]) * 3 for letter in random.Random(0).sample(range(65, 91), 9)
    )
    (tmp_path / "a.conll").write_bytes(content)
    Location(f"s3://{bucket}/corpus").write("a.conll", content)

    assert read_all(f"s3://{bucket}/corpus") == read_all(str(tmp_path))
    assert read_all(f"s3://{bucket}/corpus/a.conll") == read_all(str(tmp_path / "a.conll"))
    assert len(read_all(str(tmp_path))[0]) == 27
