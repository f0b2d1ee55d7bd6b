"""One file has one URI, however it is spelt, and what a store lists can be opened again by the URI made from it."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ner_ray.errors import InputError
from ner_ray.storage import absolute, below, folder_and_name, normalized, open_store, path_of
from tests.strategies import file_names

STORES = [
    "/corpus", "s3://bucket", "s3://bucket/in", "gs://anonymous@bucket/in", "memory://in", "package://sample",
    "gs://anonymous@bucket/in?scheme=http", "abfss://container@account.dfs.core.windows.net",
    "abfss://container@account.dfs.core.windows.net/in", "abfss://container/in", "sftp://host/in", "viewfs://host/in",
]  # fmt: skip

SPELLINGS = [
    ("s3a://bucket/in/a.parquet", "s3://bucket/in/a.parquet"),
    ("S3N://bucket//in/./x/../a.parquet", "s3://bucket/in/a.parquet"),
    ("s3://bucket/in/", "s3://bucket/in"),
    ("s3://bucket/p%20a/#1?.parquet", "s3://bucket/p%20a/#1?.parquet"),
    ("gcs://bucket/in//a b.parquet", "gs://bucket/in/a%20b.parquet"),
    ("gs://bucket/in/a%20b.parquet", "gs://bucket/in/a%20b.parquet"),
    ("gs://bucket/100%.parquet", "gs://bucket/100%25.parquet"),
    ("gs://bucket/day%3d1/a?.parquet", "gs://bucket/day=1/a%3F.parquet"),
    ("gs://bucket/in/?anonymous=true", "gs://bucket/in?anonymous=true"),
    ("abfs://c@a.dfs.core.windows.net/in/x.parquet", "abfss://c@a.dfs.core.windows.net/in/x.parquet"),
    ("abfss://a.blob.core.windows.net/c/in/x.parquet", "abfss://c@a.dfs.core.windows.net/in/x.parquet"),
    ("HTTP://Host:80/a/../b c.parquet", "http://host/b%20c.parquet"),
    ("https://host:443/in/./%7euser/%c3%bc.parquet#top", "https://host/in/~user/%C3%BC.parquet"),
    ("https://host/a%2Fb+c%2Bd.parquet?sig=x%2F", "https://host/a%2Fb+c%2Bd.parquet?sig=x%2F"),
    ("https://host/in/", "https://host/in/"),
    ("file:///tmp/a%20b", "/tmp/a b"),
    ("file:/tmp/a#1", "/tmp/a#1"),
    ("file://localhost/tmp/100%", "/tmp/100%"),
    ("/tmp/a%20b?#", "/tmp/a%20b?#"),
    ("~nobody-of-this-name/x", f"{Path.cwd()}/~nobody-of-this-name/x"),
    ("simplecache::s3://bucket/a", "simplecache::s3://bucket/a"),
]


@pytest.mark.parametrize(("spelt", "normal"), SPELLINGS)
def test_every_spelling_has_one_normal_form(spelt: str, normal: str) -> None:
    assert normalized(spelt) == normal
    assert normalized(normal) == normal


def test_links_and_dots_of_a_path_are_resolved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "real" / "deep").mkdir(parents=True)
    (tmp_path / "link").symlink_to("real/deep")
    (tmp_path / "loop").symlink_to("loop")
    monkeypatch.chdir(tmp_path / "real")

    spelt = ["deep", "./deep/", "../link", "../link/../deep", f"file://{tmp_path}//link", f"{tmp_path}/real/./deep"]

    assert {normalized(path) for path in spelt} == {f"{tmp_path}/real/deep"}
    assert normalized("../loop/x") == f"{tmp_path}/loop/x"


def test_a_recorded_path_means_the_same_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    assert absolute("in/**/") == f"{tmp_path}/in/**/"
    assert [absolute(path) for path in ("/a", "s3://b/c", "file:/d")] == ["/a", "s3://b/c", "file:/d"]


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("", "empty"),
        ("  ", "empty"),
        ("https://me:secret@host/a.parquet", "https://…@host holds a password"),
        ("abfss://c:secret@a.dfs.core.windows.net/x", "holds a password"),
        ("file://data/in", "file:///data/in"),
        (os.fsdecode(b"caf\xe9"), r"caf\\xe9 is not UTF-8"),
    ],
)
def test_what_is_no_usable_path_is_refused_without_showing_a_password(uri: str, said: str) -> None:
    with pytest.raises(InputError, match=said) as refused:
        normalized(uri)

    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("folder", STORES)
@given(parts=st.lists(file_names(), min_size=1, max_size=3))
def test_the_uri_of_a_listed_file_is_normal_and_names_folder_and_file(folder: str, parts: list[str]) -> None:
    uri = below(folder, "/".join(parts))

    inner, name = folder_and_name(uri)
    assert normalized(uri) == uri
    assert name == parts[-1]
    assert inner == (below(folder, "/".join(parts[:-1])) if parts[1:] else folder)
    assert path_of(uri).endswith("/".join(["", *parts]))


@pytest.mark.parametrize(
    "folder", [store for store in STORES if not store.startswith(("s3", "sftp", "viewfs", "abfss://container/"))]
)
@given(parts=st.lists(file_names(), min_size=1, max_size=3))
def test_a_listed_file_is_opened_again_by_its_uri(folder: str, parts: list[str]) -> None:
    assume(not (folder.startswith("memory") and any("::" in part for part in parts)))  # fsspec's chains of stores
    listed = "/".join([open_store(folder)[1].rstrip("/"), *parts])

    assert open_store(below(folder, "/".join(parts)))[1] == listed


@given(names=st.lists(file_names(), min_size=1, max_size=3))
def test_a_file_uri_of_a_path_is_that_path(names: list[str]) -> None:
    path = "/".join(["/nowhere", *names])

    assert normalized(f"file://{quote(path)}") == normalized(path) == path
