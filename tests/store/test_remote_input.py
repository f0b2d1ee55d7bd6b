"""Input on object stores and web servers: keys and URLs of any kind are listed, and opened again by their URIs."""

from __future__ import annotations

import io
import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import boto3
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ner_ray.cli._failures import explained
from ner_ray.errors import InputError
from ner_ray.schema import TEXT
from ner_ray.signatures import signed, unsigned
from ner_ray.store.documents import Columns, read_rows
from ner_ray.store.health import verify
from ner_ray.store.shards import Shard, list_shards
from ner_ray.store.waves import NumberedShard
from tests.nights import config_of, night, write_shard
from tests.strategies import file_names

COLUMNS = Columns(text="text", doc_id=None, labels=None, keep=(), max_characters=100)


def parquet(*texts: str) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.table({"text": texts}), buffer)
    return buffer.getvalue()


CONTENT = parquet("x")


def put(bucket: str, *keys: str, content: bytes = CONTENT) -> None:

    client = boto3.client("s3", endpoint_url=os.environ["AWS_ENDPOINT_URL"], region_name="us-east-1")
    for key in keys:
        client.put_object(Bucket=bucket, Key=key, Body=content)


def listed(bucket: str, *paths: str, **options) -> list[str]:
    return [shard.uri.removeprefix(f"s3://{bucket}/") for shard in list_shards(paths, **options) if not shard.problem]


def test_keys_are_named_by_any_scheme_glob_or_folder(bucket: str) -> None:
    put(bucket, "in/a.parquet", "in/[2024]/b.parquet", "in/2/c.parquet", "in/day=1/part-0", "in/_tmp/d.parquet")
    put(bucket, "in/notes.txt", "in/_SUCCESS", content=b"")
    everything = ["in/2/c.parquet", "in/[2024]/b.parquet", "in/a.parquet", "in/day=1/part-0"]

    assert listed(bucket, f"s3://{bucket}/in") == everything
    assert listed(bucket, f"s3a://{bucket}/in/", f"S3://{bucket}//in/./*", f"s3n://{bucket}/in/**") == everything
    assert listed(bucket, f"s3://{bucket}/in/*.parquet") == ["in/a.parquet"]
    assert listed(bucket, f"s3://{bucket}/in/**/*.parquet") == everything[:3]
    assert listed(bucket, f"s3://{bucket}/in/[2024]") == ["in/[2024]/b.parquet"]
    assert listed(bucket, f"s3://{bucket}/in/[2024]/*.parquet") == ["in/[2024]/b.parquet"]
    assert listed(bucket, f"s3://{bucket}/in/day=*") == ["in/day=1/part-0"]


def test_a_run_in_the_input_is_left_out_and_an_empty_prefix_is_ordinary_later(bucket: str) -> None:
    put(bucket, "in/a.parquet", "in/run/data/wave=00000/b.parquet")
    put(bucket, "in/run/plan/00000.json", content=b"{}")
    known = list_shards(f"s3://{bucket}/in")

    assert listed(bucket, f"s3://{bucket}/in") == ["in/a.parquet"]
    assert listed(bucket, f"s3://{bucket}/tonight", known=known) == []
    with pytest.raises(InputError, match="no such file or folder"):
        list_shards(f"s3://{bucket}/tonight")
    with pytest.raises(InputError, match="give the run directory itself"):
        list_shards(f"s3://{bucket}/in/run/data")


def test_a_key_that_no_client_can_open_has_a_problem(bucket: str) -> None:
    put(bucket, "in//a.parquet", "in/b.parquet")

    problems = {shard.uri: shard.problem for shard in list_shards(f"s3://{bucket}/in")}

    assert "Empty path component" in problems[f"s3://{bucket}/in//a.parquet"]
    assert problems[f"s3://{bucket}/in/b.parquet"] == ""


KEYS = st.lists(file_names().filter(str.isprintable), min_size=1, max_size=3).map("/".join)


def test_empty_objects_that_mark_folders_are_no_files(bucket: str) -> None:
    put(bucket, "in/d", "in/e/", "in/day=1_$folder$", "in/f", content=b"")
    put(bucket, "in/d/a.parquet", "in/e/b.parquet", "in/day=1/c.parquet")

    assert listed(bucket, f"s3://{bucket}/in/d") == ["in/d/a.parquet"]
    assert listed(bucket, f"s3://{bucket}/in/e") == ["in/e/b.parquet"]
    assert listed(bucket, f"s3://{bucket}/in") == ["in/d/a.parquet", "in/day=1/c.parquet", "in/e/b.parquet"]
    assert [shard.problem != "" for shard in list_shards(f"s3://{bucket}/in/f")] == [True]


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(keys=st.lists(KEYS, min_size=5, max_size=9, unique=True))
def test_any_key_is_opened_again_by_its_uri(bucket: str, keys: list[str]) -> None:
    folder = f"in-{abs(hash(tuple(keys)))}"
    put(bucket, *(f"{folder}/d/{key}.parquet" for key in keys))
    hidden = [
        key
        for key in keys
        if any(part.startswith(".") or (part[0] == "_" and "=" not in part) for part in key.split("/"))
    ]

    shards = list_shards([f"s3://{bucket}/{folder}", *(f"s3://{bucket}/{folder}/d/{key}.parquet" for key in hidden)])

    assert [shard.problem for shard in shards] == [""] * len(keys)
    assert {shard.uri for shard in shards} == {f"s3://{bucket}/{folder}/d/{key}.parquet" for key in keys}
    assert [again.uri for shard in shards for again in list_shards(shard.uri)] == [shard.uri for shard in shards]


class Ranges(SimpleHTTPRequestHandler):
    """A server of files that sends parts of them, too, as most do."""

    def do_GET(self) -> None:
        asked = self.headers.get("Range")
        path = Path(self.translate_path(self.path))
        if not asked or not path.is_file():
            super().do_GET()
            return
        content = path.read_bytes()
        first, last = asked.removeprefix("bytes=").split("-")
        part = content[int(first) : int(last) + 1]
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {first}-{int(first) + len(part) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(part)))
        self.end_headers()
        self.wfile.write(part)

    def log_message(self, *_: object) -> None:
        """Logs nothing."""


class Whole(SimpleHTTPRequestHandler):
    """A server that always sends the whole file."""

    log_message = Ranges.log_message


class Signed(Ranges):
    """A server of signed URLs, which are good for one kind of request."""

    def do_HEAD(self) -> None:
        self.send_error(403)


class Endless(SimpleHTTPRequestHandler):
    """A server that tells neither how long a file is nor when it was changed."""

    log_message = Ranges.log_message

    def send_header(self, keyword: str, value: str) -> None:
        if keyword == "Last-Modified":
            value = "lately"
        if keyword != "Content-Length":
            super().send_header(keyword, value)


class Presigned(Signed):
    """A server of signed URLs that are good as long as their signature is."""

    good = ""

    def do_GET(self) -> None:
        signature = parse_qs(urlsplit(self.path).query).get("X-Amz-Signature", [""])
        super().do_GET() if signature == [Presigned.good] else self.send_error(403)


@contextmanager
def serving(kind: type[SimpleHTTPRequestHandler], folder: Path) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(kind, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.fixture(params=[Ranges, Whole, Signed, Endless])
def web(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """The URL of a server, and the folder that it serves."""
    (tmp_path / "web").mkdir()
    with serving(request.param, tmp_path / "web") as url:
        yield url, tmp_path / "web"


def texts_at(uri: str) -> list[str]:
    return [
        row[TEXT]
        for number, shard in enumerate(list_shards(uri))
        for table in read_rows(NumberedShard(number, shard), 0, shard.rows, COLUMNS, pa.schema([]))
        for row in table.to_pylist()
    ]


def test_a_file_on_a_web_server_is_read_by_its_url(web: tuple[str, Path]) -> None:
    url, folder = web
    (folder / "data").mkdir()
    (folder / "data" / "ü #1%.parquet").write_bytes(parquet(*map(str, range(2000))))

    (shard,) = list_shards(f"{url}/data/%c3%bc %231%25.parquet")

    assert shard.uri == f"{url}/data/%C3%BC%20%231%25.parquet"
    assert (shard.rows, shard.name, shard.problem) == (2000, "ü #1%", "")
    assert shard.modified in (0, int((folder / "data" / "ü #1%.parquet").stat().st_mtime) * 10**9)
    assert texts_at(shard.uri) == [str(number) for number in range(2000)]


def test_the_index_page_of_a_folder_lists_its_files(web: tuple[str, Path]) -> None:
    url, folder = web
    (folder / "day=1").mkdir()
    for name in ("a b.parquet", "day=1/c.parquet", "notes.txt"):
        (folder / name).write_bytes(parquet(name))

    shards = list_shards(f"{url}/")

    assert [(shard.uri, shard.name) for shard in shards] == [
        (f"{url}/a%20b.parquet", "a b"),
        (f"{url}/day=1/c.parquet", "day=1/c"),
    ]
    assert [text for shard in shards for text in texts_at(shard.uri)] == ["a b.parquet", "day=1/c.parquet"]


def test_a_url_with_nothing_behind_it_is_an_error(web: tuple[str, Path]) -> None:
    url, _ = web

    known = [Shard(f"{url}/was-there.parquet", 1, 0, 1)]

    assert list_shards(known[0].uri, known) == []
    with pytest.raises(InputError, match="no such file or folder"):
        list_shards(f"{url}/nothing.parquet?key=1", known)
    with pytest.raises(OSError, match=r"refused|Connect"):
        list_shards("http://127.0.0.1:9/a.parquet")


def signed_as(url: str, word: str) -> str:
    Presigned.good = f"{word}0123456789"
    return f"{url}?versionId=7&X-Amz-Credential=AKIA{word}&X-Amz-Expires=60&X-Amz-Signature={Presigned.good}"


def test_a_file_with_a_fresh_signature_is_the_same_file_and_no_signature_is_shown_or_recorded(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    (tmp_path / "web").mkdir()
    write_shard(tmp_path / "web" / "a.parquet", {}, 5)
    with serving(Presigned, tmp_path / "web") as server:
        url = f"{server}/a.parquet"
        for word in ("monday", "tuesday"):
            run = night(config_of(tmp_path, {"path": signed_as(url, word)}))
        assert verify(run.uri) == (5, [])
        assert [numbered.shard.uri for wave in run.waves() for numbered in wave.shards] == [f"{url}?versionId=7"]
        old = signed_as(url, "wednesday")
        write_shard(tmp_path / "web" / "a.parquet", {}, 6)
        with pytest.raises(InputError, match=r"a\.parquet\?versionId=7 has changed"):
            night(config_of(tmp_path, {"path": signed_as(url, "wednesday")}))
        (shard,) = list_shards(signed_as(url, "wednesday"))
        signed_as(url, "thursday")
        with pytest.raises(PermissionError, match="may have run out") as ran_out:
            list(read_rows(NumberedShard(0, shard), 0, shard.rows, COLUMNS, pa.schema([])))
        with pytest.raises(PermissionError) as refused:
            night(config_of(tmp_path, {"path": old}))
        with pytest.raises(InputError, match="twice, with different signatures"):
            list_shards([signed_as(url, "friday"), signed_as(url, "friday") + "&X-Amz-Date=1"])

    assert explained(refused.value)[0].startswith(f"{url}?versionId=7&X-Amz-Credential=***&X-Amz-Expires=***")
    shown = explained(refused.value)[0] + str(ran_out.value) + caplog.text
    recorded = "".join(path.read_text() for path in (tmp_path / "run").rglob("*.json"))
    assert "0123456789" not in recorded + shown
    assert "AKIA" not in recorded + shown


@pytest.mark.parametrize(
    ("signed_url", "plain"),
    [
        ("https://a.blob.core.windows.net/c/x.parquet?sv=2023-01-03&se=2026-01-01&sr=b&sp=r&sig=ab%2Bc%3D", ""),
        ("https://storage.googleapis.com/b/x.parquet?X-Goog-Algorithm=G&X-Goog-Signature=ab", ""),
        ("https://d1.cloudfront.net/x.parquet?Policy=ey_&Signature=ab&Key-Pair-Id=K1", ""),
        ("https://oss.example.com/x.parquet?OSSAccessKeyId=L&Expires=17&Signature=ab&part=2", "?part=2"),
        ("https://example.com/download?file=7&token=secret", "?file=7"),
        ("https://example.com/download?st=7&expires=never&page_token=8", "?st=7&expires=never&page_token=8"),
        ("https://example.com/x.parquet", ""),
    ],
)
def test_signatures_of_all_stores_are_told_from_what_names_the_file(signed_url: str, plain: str) -> None:
    uri, signature = unsigned(signed_url)

    assert uri == signed_url.partition("?")[0] + plain
    assert sorted(signed(uri, signature).partition("?")[2].split("&")) == sorted(
        signed_url.partition("?")[2].split("&")
    )
