"""Each file of the input is listed once, under one URI, however paths, links and globs lead to it."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ner_ray.errors import InputError
from ner_ray.store.documents import Columns, read_rows
from ner_ray.store.run import RunDirectory
from ner_ray.store.shards import Shard, list_shards, schemas_of
from ner_ray.store.waves import NumberedShard
from tests.strategies import file_names

DEPTH = 5


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("content") / "a.parquet"
    pq.write_table(pa.table({"text": ["x"]}), path)
    return path.read_bytes()


def put(folder: Path, content: bytes, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def listed(folder: Path, *paths: str, known: list[Shard] = ()) -> list[str]:  # type: ignore[assignment]
    return [
        shard.uri.removeprefix(f"{folder}/") for shard in list_shards([f"{folder}/{path}" for path in paths], known)
    ]


GLOBS = [
    ("*.parquet", ["a.parquet"]),
    ("*", ["a.parquet"]),
    ("**", ["a.parquet", "day=1/b.parquet", "day=1/deep/c.parquet", "day=2/d.parquet"]),
    ("**/*.parquet", ["a.parquet", "day=1/b.parquet", "day=1/deep/c.parquet", "day=2/d.parquet"]),
    ("**/c.parquet", ["day=1/deep/c.parquet"]),
    ("day=*/*.parquet", ["day=1/b.parquet", "day=2/d.parquet"]),
    ("day=*", ["day=1/b.parquet", "day=1/deep/c.parquet", "day=2/d.parquet"]),
    ("*/", ["day=1/b.parquet", "day=1/deep/c.parquet", "day=2/d.parquet"]),
    ("day=[!1]/*", ["day=2/d.parquet"]),
    ("day=[^1]/*", ["day=2/d.parquet"]),
    ("{a,day=2/d}.parquet", ["a.parquet", "day=2/d.parquet"]),
    ("day=?/{b,d}.parquet", ["day=1/b.parquet", "day=2/d.parquet"]),
    ("**/deep/**", ["day=1/deep/c.parquet"]),
    ("./day=2/../day=1/*.parquet", ["day=1/b.parquet"]),
    ("day=[12]/[a-c]*.{parquet,parq}", ["day=1/b.parquet"]),
    ("[a]*", ["a.parquet"]),
]


@pytest.fixture
def corpus(tmp_path: Path, content: bytes) -> Path:
    put(tmp_path, content, "a.parquet", "day=1/b.parquet", "day=1/deep/c.parquet", "day=2/d.parquet")
    put(tmp_path, content, "_old/e.parquet", ".f.parquet", "day=1/_temporary/g.parquet")
    return tmp_path


@pytest.mark.parametrize(("glob", "files"), GLOBS)
def test_a_glob_means_what_people_expect(glob: str, files: list[str], corpus: Path) -> None:
    assert listed(corpus, glob) == files


@pytest.mark.parametrize("glob", ["_old/*.parquet", "_*/*", "[_]old/e.parquet", "_old"])
def test_a_hidden_folder_is_read_if_it_is_named(glob: str, corpus: Path) -> None:
    if glob.startswith("["):  # a wildcard does not match it
        with pytest.raises(InputError, match="no Parquet file"):
            listed(corpus, glob)
    else:
        assert listed(corpus, glob) == ["_old/e.parquet"]


def test_two_stars_in_a_name_are_refused(corpus: Path) -> None:
    with pytest.raises(InputError, match=r"cannot be a part of the name '\*\*.parquet'"):
        listed(corpus, "**.parquet")


@pytest.mark.parametrize("name", ["[2024]", "a?b", "*", "{a,b}", "**", "x[1]/y*z"])
def test_a_path_that_exists_is_no_glob(name: str, tmp_path: Path, content: bytes) -> None:
    put(tmp_path, content, f"{name}/a.parquet", f"{name}.parquet", "2/a.parquet", "axb/a.parquet", "axb.parquet")

    assert listed(tmp_path, name) == [f"{name}/a.parquet"]
    assert listed(tmp_path, f"{name}.parquet") == [f"{name}.parquet"]
    assert listed(tmp_path, f"{name}/*.parquet") == [f"{name}/a.parquet"]


def test_a_hive_folder_that_begins_with_an_underscore_holds_data(tmp_path: Path, content: bytes) -> None:
    put(tmp_path, content, "_year=2024/a.parquet", "_year=2024/_temporary/b.parquet")

    assert listed(tmp_path, "") == listed(tmp_path, "*=2024") == ["_year=2024/a.parquet"]


def test_files_that_hold_parquet_are_taken_and_others_are_told(
    tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    taken = ["A.PARQUET", "a.parq", "a.parquet", "b.parquet.snappy", "part-00000", "run_id_0001", "x.parquet.zstd"]
    put(tmp_path, content, *taken, "a.parquet.tmp", "backup.old")
    put(tmp_path, b"text", "notes.txt", "LICENSE", "_SUCCESS", "rows.csv", "more.csv")

    assert listed(tmp_path, "") == taken
    assert "files=6 not_parquet=.csv:2 .old:1 .tmp:1 .txt:1 none:1" in caplog.text
    assert listed(tmp_path, "*") == sorted([*taken, "a.parquet.tmp", "backup.old"])
    assert listed(tmp_path, "part-*") == ["part-00000"]
    assert listed(tmp_path, "backup.old", "rows.csv") == ["backup.old", "rows.csv"]


def test_a_file_that_was_compressed_as_a_whole_has_a_problem_that_says_so(tmp_path: Path, content: bytes) -> None:
    import gzip

    put(tmp_path, gzip.compress(content), "a.parquet.gz")
    put(tmp_path, content, "b.parquet.gz")

    problems = [shard.problem for shard in list_shards(str(tmp_path))]

    assert problems == ["the file as a whole is compressed with gzip, so its rows cannot be read: unpack it", ""]


def test_links_lead_to_files_that_are_listed_once(tmp_path: Path, content: bytes) -> None:
    put(tmp_path, content, "corpus/2024/a.parquet", "elsewhere/blob", "elsewhere/more/c.parquet")
    (tmp_path / "corpus" / "latest").symlink_to("2024")
    (tmp_path / "corpus" / "all").symlink_to(tmp_path / "corpus")
    (tmp_path / "corpus" / "b.parquet").symlink_to("../elsewhere/blob")
    (tmp_path / "corpus" / "more").symlink_to(tmp_path / "elsewhere" / "more")
    (tmp_path / "corpus" / "2024" / "twin.parquet").hardlink_to(tmp_path / "corpus" / "2024" / "a.parquet")

    shards = list_shards([str(tmp_path / "corpus"), str(tmp_path / "corpus" / "latest"), f"{tmp_path}/corpus/*/*"])

    assert [(shard.uri.removeprefix(f"{tmp_path}/"), shard.name) for shard in shards] == [
        ("corpus/2024/a.parquet", "2024/a"),
        ("elsewhere/blob", "b"),
        ("elsewhere/more/c.parquet", "more/c"),
    ]


def test_a_link_to_nothing_and_a_name_that_is_not_utf8_are_told(tmp_path: Path, content: bytes) -> None:
    put(tmp_path, content, "a.parquet")
    (tmp_path / "gone.parquet").symlink_to("nowhere")
    (tmp_path / "self.parquet").symlink_to("self.parquet")
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.parquet")).write_bytes(content)

    problems = {shard.uri.removeprefix(f"{tmp_path}/"): shard.problem for shard in list_shards(str(tmp_path))}

    assert set(problems) == {"a.parquet", "nowhere", "self.parquet", r"caf\xe9.parquet"}
    assert [name for name, problem in problems.items() if not problem] == ["a.parquet"]


def test_a_run_inside_the_input_is_left_out_with_a_line(
    tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    put(tmp_path, content, "a.parquet", "run/data/wave=00000/b.parquet", "out/c.parquet")
    RunDirectory(str(tmp_path / "run")).plan_waves(list_shards(f"{tmp_path}/a.parquet"), 10)

    with caplog.at_level("INFO"):
        assert listed(tmp_path, "") == ["a.parquet", "out/c.parquet"]
    assert f"run={tmp_path}/run" in caplog.text
    shards = list_shards([str(tmp_path), f"{tmp_path}/**/*.parquet"], left_out=[f"{tmp_path}/out"])
    assert [shard.uri for shard in shards] == [f"{tmp_path}/a.parquet"]
    with pytest.raises(InputError, match="to which output is written"):
        list_shards(f"{tmp_path}/out/c.parquet", left_out=[f"{tmp_path}/x/../out"])


@pytest.mark.parametrize("log", ["_delta_log/00000.json", ".hoodie/hoodie.properties", "metadata/v1.metadata.json"])
def test_a_folder_that_is_a_table_is_read_with_a_warning(
    log: str, tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    put(tmp_path, content, "t/data/a.parquet", "plain/metadata/b.parquet")
    put(tmp_path, b"{}", f"t/{log}")

    assert listed(tmp_path, "") == ["plain/metadata/b.parquet", "t/data/a.parquet"]
    assert caplog.text.count("input.is_table") == 1
    assert f"path={tmp_path}/t;" in caplog.text


def test_an_empty_folder_is_an_ordinary_night_but_not_the_first(tmp_path: Path, content: bytes) -> None:
    put(tmp_path, content, "full/a.parquet")
    (tmp_path / "empty").mkdir()
    known = list_shards(f"{tmp_path}/full")

    assert listed(tmp_path, "empty", "full") == ["full/a.parquet"]
    assert listed(tmp_path, "empty", known=known) == []
    assert listed(tmp_path, "empty/*.parquet", known=known) == []
    with pytest.raises(InputError, match="no Parquet file"):
        listed(tmp_path, "empty")
    with pytest.raises(InputError, match=f"no such file or folder: {tmp_path}/ful; do you mean {tmp_path}/full"):
        listed(tmp_path, "ful", "full", known=known)
    (tmp_path / "full" / "a.parquet").unlink()
    (tmp_path / "full").rmdir()
    assert listed(tmp_path, "full", known=known) == listed(tmp_path, "full/*", known=known) == []


def test_names_hold_the_path_below_the_root_and_are_unique_over_roots_and_nights(
    tmp_path: Path, content: bytes
) -> None:
    put(tmp_path, content, "c/date=1/part-0.parquet", "c/date=2/part-0.parquet", "x/part-0.parquet", "y/part-0.parquet")
    put(tmp_path, content, "x/a", "x/a.parquet", "x/b.parquet")

    assert names_of(f"{tmp_path}/c") == ["date=1/part-0", "date=2/part-0"]
    assert names_of(f"{tmp_path}/c/*/*.parquet") == ["date=1/part-0", "date=2/part-0"]
    assert names_of(f"{tmp_path}/c/date=1/part-0.parquet") == ["part-0"]
    assert names_of(f"{tmp_path}/x", f"{tmp_path}/y") == ["a", "a.parquet", "b", "x/part-0", "y/part-0"]
    first = list_shards(f"{tmp_path}/x")
    second = list_shards(f"{tmp_path}/y", first)
    assert [shard.name for shard in second] == ["part-0.parquet"]
    assert [shard.name for shard in list_shards(f"{tmp_path}/c/date=1", [*first, *second])] == ["date=1/part-0"]


def names_of(*paths: str) -> list[str]:
    return [shard.name for shard in list_shards(paths)]


def test_shards_of_an_earlier_version_keep_their_ids_and_are_known_by_any_spelling(
    tmp_path: Path, content: bytes
) -> None:
    put(tmp_path, content, "c/date=1/part-0.parquet")
    (tmp_path / "link").symlink_to("c")
    (now,) = list_shards(str(tmp_path / "c"))
    plain = {
        "uri": f"{tmp_path}/link/../c/date=1/part-0.parquet",
        "size": now.size,
        "modified": now.modified,
        "rows": 1,
    }

    recorded = Shard.from_dict(plain)

    assert (recorded.uri, recorded.name) == (now.uri, "part-0")
    assert list_shards(str(tmp_path / "link"), [recorded]) == [recorded]
    assert Shard.from_dict(now.to_dict()) == now


@pytest.mark.parametrize(
    ("path", "columns"),
    [
        ("date=2024-01-01/month=01", {"date": "2024-01-01", "month": "01"}),
        ("app=Ai%20Chat/tag=a+b/slash=foo%2Fbar", {"app": "Ai Chat", "tag": "a+b", "slash": "foo/bar"}),
        ("x=__HIVE_DEFAULT_PARTITION__/y=__HIVE%5FDEFAULT_PARTITION__/z=", {"x": None, "y": None, "z": ""}),
        ("bytes=%FF/hundred=100%/a=b=c", {"bytes": "%FF", "hundred": "100%", "a": "b=c"}),
        ("=none/lang=en/lang=de", {"lang": "de"}),
    ],
)
def test_folders_hold_columns_of_text(
    path: str, columns: dict[str, str | None], tmp_path: Path, content: bytes
) -> None:
    put(tmp_path, content, f"{path}/a.parquet")
    wanted = Columns("text", None, None, tuple(columns), 100)

    (shard,) = list_shards(str(tmp_path))
    (schema,) = schemas_of([shard])
    (table,) = read_rows(NumberedShard(0, shard), 0, 1, wanted, pa.schema([schema.field(name) for name in columns]))

    assert {name: schema.field(name).type for name in columns} == dict.fromkeys(columns, pa.string())
    assert {name: table[name][0].as_py() for name in columns} == columns


def test_a_column_of_the_file_comes_before_that_of_its_folder(tmp_path: Path) -> None:
    (tmp_path / "n=1").mkdir()
    pq.write_table(pa.table({"text": ["x"], "n": [7]}), tmp_path / "n=1" / "a.parquet")

    (schema,) = schemas_of(list_shards(str(tmp_path)))

    assert schema.field("n").type == pa.int64()


# A tree of files and links, against a model that tries every path of limited length.

NAMES = st.one_of(st.sampled_from(["a", "b", "a.parquet", "[ab]", "_x", ".y", "_k=1", "p.txt"]), file_names())


@st.composite
def trees(draw: st.DrawFn) -> tuple[list[list[str]], list[tuple[list[str], list[str]]]]:
    """Files, and links with what they lead to."""
    paths = st.lists(NAMES, min_size=1, max_size=3)
    return draw(st.lists(paths, min_size=1, max_size=6)), draw(st.lists(st.tuples(paths, paths), max_size=3))


PATTERN = st.lists(st.sampled_from(["*", "**", "a", "b", "?", "[ab]", "*.parquet", "a*", "_*", "[!a]*"]), max_size=3)


def build(root: Path, files: list[list[str]], links: list[tuple[list[str], list[str]]], content: bytes) -> None:
    for parts in files:
        with contextlib.suppress(OSError):  # a name that is a file already cannot be a folder
            put(root, content, "/".join(parts))
    for parts, target in links:
        with contextlib.suppress(OSError):
            (root / "/".join(parts)).symlink_to(root / "/".join(target))


def reachable(folder: Path, parts: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for path in folder.iterdir():
        if _is_folder(path):
            if len(parts) < DEPTH:
                yield from reachable(path, (*parts, path.name))
        else:
            yield (*parts, path.name)


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # a link to itself
        return False


def is_meant(pattern: tuple[str, ...], parts: tuple[str, ...]) -> bool:
    """Whether a glob means a path, tried in every way."""
    if not pattern or not parts:
        return not pattern and not parts
    if pattern[0] == "**":
        return is_meant(pattern[1:], parts) or (not hidden(parts[0]) and is_meant(pattern, parts[1:]))
    fits = pattern[0] == parts[0] or (
        fnmatchcase(parts[0], pattern[0]) and (not hidden(parts[0]) or pattern[0][0] == parts[0][0])
    )
    if fits and len(pattern) == 1 and pattern[0] != "*" and len(parts) > 1:
        return not any(map(hidden, parts[1:]))
    return fits and is_meant(pattern[1:], parts[1:])


def hidden(name: str) -> bool:
    return bool(re.match(r"\.|_[^=]*$", name, re.DOTALL))


def is_taken(path: Path, *, named: bool) -> bool:
    """In these trees every file holds Parquet, but in a folder another ending hides it; a link may lead nowhere."""
    if re.search(r"\.(parquet|parq|pq)$", path.name, re.IGNORECASE):
        return True
    return bool(path.exists() and (named or re.fullmatch(r"[^./]+(\.\d+)?", path.name)))


@settings(max_examples=300)
@given(tree=trees(), patterns=st.lists(PATTERN, min_size=1, max_size=2))
def test_a_tree_is_listed_as_a_model_says(tree, patterns: list[list[str]], content: bytes) -> None:
    with TemporaryDirectory() as folder:
        root = Path(folder).resolve()
        build(root, *tree, content)
        named_as_they_are = [root.joinpath(*pattern) for pattern in patterns]
        assume(all(path.exists() or not path.is_symlink() for path in named_as_they_are))  # links that lead nowhere
        every = list(reachable(root))
        meant = set()
        for parts, pattern in product(every, patterns):
            fixed = literal(root, pattern)
            rest = tuple(pattern[fixed:]) or ("**", "*")
            if rest[-1] == "**":
                rest = (*rest, "*")
            is_itself = list(parts) == pattern
            is_below = list(parts[:fixed]) == pattern[:fixed] and is_meant(rest, parts[fixed:])
            named = is_itself or fixed < len(pattern)
            if (is_itself or is_below) and is_taken(root.joinpath(*parts), named=named):
                meant.add(os.path.realpath(root.joinpath(*parts)))
        try:
            shards = list_shards(["/".join([str(root), *pattern]) for pattern in patterns])
        except InputError:
            assert not meant or any(not begins_somewhere(root, pattern) for pattern in patterns)
            return

        uris = [shard.uri for shard in shards]
        assert uris == sorted(meant)
        assert len({shard.name for shard in shards}) == len(shards)
        assert all(bool(shard.problem) != Path(shard.uri).is_file() for shard in shards)
        good = [shard.uri for shard in shards if not shard.problem]
        assert [shard.uri for uri in good for shard in list_shards(uri)] == good


def literal(root: Path, pattern: list[str]) -> int:
    """How many parts of a glob are not taken for one, because that path exists."""
    if root.joinpath(*pattern).exists():
        return len(pattern)
    return next(at for at in range(len(pattern)) if not _is_folder(root.joinpath(*pattern[: at + 1])))


def begins_somewhere(root: Path, pattern: list[str]) -> bool:
    """Whether what a glob names without wildcards is there."""
    fixed = root
    for part in pattern:
        if set("*?[") & set(part) and not (fixed / part).is_dir():
            return fixed.is_dir()
        fixed /= part
    return fixed.exists()
