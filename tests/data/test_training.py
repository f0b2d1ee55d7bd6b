"""Training rows in every form of file: what is written is read back, and what cannot be read is told with its place."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ner_ray.data.training import (
    Lineage,
    TrainingRow,
    dataset_info,
    from_table,
    json_line,
    ms_swift,
    parse_row,
    read_rows,
    sharegpt,
    to_table,
    write_llama_factory,
    write_ms_swift,
)
from ner_ray.errors import InputError
from ner_ray.types import Message

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
LINEAGE = st.builds(
    Lineage, TEXT, st.integers(0, 99), st.integers(0, 99), TEXT, TEXT, st.lists(TEXT, max_size=2).map(tuple),
    st.integers(0, 9),
)  # fmt: skip


@st.composite
def training_rows(draw: st.DrawFn) -> TrainingRow:
    """Rows whose turns alternate, as other trainers want them."""
    more = {
        "row_id": draw(TEXT),
        "role": draw(st.sampled_from(["", "tagger", "extractor"])),
        "labels": tuple(draw(st.lists(TEXT, max_size=3))),
        "weight": draw(st.sampled_from([1.0, 0.5, 3.0])),
        "lineage": draw(st.none() | LINEAGE),
    }
    if draw(st.booleans()):
        return TrainingRow.question(draw(TEXT), draw(TEXT), **more)
    opening = [Message("system", draw(TEXT))] if draw(st.booleans()) else []
    pairs = draw(st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=3))
    turns = [turn for asked, said in pairs for turn in (Message("user", asked), Message("assistant", said))]
    row = TrainingRow.conversation((*opening, *turns), **more)
    learnt = draw(st.lists(st.sampled_from(row.learnt), min_size=1, unique=True))
    return TrainingRow(row.turns, tuple(sorted(learnt)), **more)


ROWS = st.lists(training_rows(), max_size=4)


def _lines(rows: list[TrainingRow]) -> str:
    return "".join(json_line(row) + "\n" for row in rows)


@given(ROWS)
def test_parquet_gives_back_the_rows(rows):
    assert from_table(to_table(rows)) == rows


@settings(max_examples=50)
@pytest.mark.parametrize("write", [_lines, sharegpt, ms_swift], ids=["json_lines", "llama_factory", "ms_swift"])
@given(ROWS)
def test_text_files_give_back_the_rows(tmp_path_factory, write: Callable[[list[TrainingRow]], str], rows):
    file = tmp_path_factory.mktemp("rows") / "rows.data"
    file.write_text(write(rows), encoding="utf-8")

    assert list(read_rows([file])) == rows


CHAT = (Message("user", "Who?"), Message("assistant", "Bo"), Message("user", "Where?"), Message("assistant", "Rome"))
ROW = TrainingRow.conversation(CHAT, row_id="p1", labels=("person", "place"))
OTHER = TrainingRow.question("Who? ", "Bo", row_id="p2")


def test_folders_of_all_forms_give_their_rows_by_name(tmp_path):
    pq.write_table(to_table([ROW]), tmp_path / "1.parquet")
    (tmp_path / "2.jsonl").write_text(_lines([OTHER]), encoding="utf-8")
    (tmp_path / "3").mkdir()
    (tmp_path / "3" / "a.json").write_text(sharegpt([ROW]), encoding="utf-8")
    (tmp_path / "4.jsonl.gz").write_bytes(gzip.compress(_lines([OTHER]).encode()))
    (tmp_path / "README.md").write_text("not data")
    (tmp_path / "4.jsonl.rejects.jsonl").write_text('{"reason": "no text"}\n')

    assert list(read_rows([tmp_path])) == [ROW, OTHER, ROW, OTHER]
    assert list(read_rows([f"file://{tmp_path}"])) == [ROW, OTHER, ROW, OTHER]


def test_a_folder_of_llama_factory_is_read_as_its_dataset_info_says(tmp_path):
    write_llama_factory(str(tmp_path), "one", [ROW])
    write_llama_factory(str(tmp_path), "two", [OTHER])
    named = [{"talk": [{"who": "me", "what": "Who?"}, {"who": "you", "what": "Bo"}], "intro": "Be brief."}]
    (tmp_path / "three.json").write_text(json.dumps(named), encoding="utf-8")
    info = json.loads((tmp_path / "dataset_info.json").read_text(encoding="utf-8"))
    tags = {"role_tag": "who", "content_tag": "what", "user_tag": "me", "assistant_tag": "you"}
    entry = dataset_info("three", "three.json")["three"]
    info["three"] = entry | {"columns": {"messages": "talk", "system": "intro"}, "tags": tags}
    (tmp_path / "dataset_info.json").write_text(json.dumps(info), encoding="utf-8")

    first, second, third = read_rows([tmp_path])

    assert (first, second) == (ROW, OTHER)
    assert [turn.role for turn in third.turns] == ["system", "user", "assistant"]
    assert list(read_rows([tmp_path / "dataset_info.json"])) == [first, second, third]


def test_a_dataset_info_that_names_other_speakers_than_its_data_has_is_understood(tmp_path):
    talk = [{"from": "human", "value": "Who?"}, {"from": "gpt", "value": "Bo"}]
    (tmp_path / "data.json").write_text(json.dumps([{"conversations": talk, "system": ""}]), encoding="utf-8")
    tags = {"role_tag": "from", "content_tag": "value", "user_tag": "user", "assistant_tag": "assistant"}
    info = {"data": {"file_name": "data.json", "formatting": "sharegpt", "tags": tags}}
    (tmp_path / "dataset_info.json").write_text(json.dumps(info), encoding="utf-8")

    assert [row.turns for row in read_rows([tmp_path])] == [CHAT[:2]]


@pytest.mark.parametrize(
    ("info", "said"),
    [
        ("[]", "is not a JSON object"),
        ('{"a": {"file_name": "a.json"}}', "data set 'a' cannot be read"),
        ('{"a": {"file_name": "a.json", "formatting": "alpaca"}}', "`formatting` must be `sharegpt`"),
        ('{"a": {"file_name": "gone.json", "formatting": "sharegpt"}}', "cannot read .*gone.json"),
        (
            '{"a": {"file_name": "a.json", "formatting": "sharegpt", "tags": 3, "columns": []}}',
            "spoken by .*no.* known",
        ),
    ],
)
def test_a_dataset_info_that_cannot_be_followed_is_told(tmp_path, info, said):
    rows = [{"conversations": [{"from": ["no"], "value": "x"}]}]
    (tmp_path / "a.json").write_text(json.dumps(rows), encoding="utf-8")
    (tmp_path / "dataset_info.json").write_text(info, encoding="utf-8")

    with pytest.raises(InputError, match=said):
        list(read_rows([tmp_path]))


def test_ms_swift_marks_the_turns_that_are_not_learnt(tmp_path):
    write_ms_swift(str(tmp_path), "rows", [TrainingRow(CHAT, (3,))])
    (line,) = (tmp_path / "rows.jsonl").read_text(encoding="utf-8").splitlines()

    assert [turn.get("loss") for turn in json.loads(line)["messages"]] == [None, False, None, None]
    del (bare := json.loads(line))["learnt"]
    assert parse_row(bare).learnt == (3,)


def test_the_output_of_synth_as_a_whole_is_refused_with_the_folders_to_give(tmp_path):
    for name in ("gner", "b2ner"):
        (tmp_path / "train" / name).mkdir(parents=True)
        pq.write_table(to_table([ROW]), tmp_path / "train" / name / "0.parquet")
    (tmp_path / "synth.json").write_text("{}")

    with pytest.raises(InputError, match="only some files are training rows") as refused:
        list(read_rows([tmp_path]))
    assert f"{tmp_path}/train/b2ner, {tmp_path}/train/gner" in refused.value.hint


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("no json", "not JSON"),
        ("[]", "expected an object"),
        ('{"prompt": "a"}', "`answer` must be text, not null"),
        ('{"prompt": 3, "answer": "b"}', "`prompt` must be text or a list of turns, not 3"),
        ('{"conversations": [{"from": "dog", "value": ""}]}', 'spoken by "dog"'),
        ('{"messages": [{"role": "user", "content": "a"}]}', "no turn of the assistant"),
        ('{"messages": [{"role": "user", "content": ["a"]}]}', "must say text"),
        ('{"messages": "hello"}', "list of turns"),
        ('{"question": "a", "text": "b"}', "it has: question, text"),
        ('{"prompt": "a", "answer": "b", "weight": "much"}', "`weight` must be a number above 0"),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_a_line_that_is_no_row_is_told_with_file_line_and_what_was_expected(tmp_path, line, reason):
    file = tmp_path / "rows.jsonl"
    file.write_text('{"prompt": "a", "answer": "b"}\n' + line, encoding="utf-8")

    with pytest.raises(InputError) as refused:
        list(read_rows([file]))
    assert f"{file}:2: not a training row: " in refused.value.message
    assert reason in refused.value.message
    assert "{prompt, answer}" in refused.value.hint


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\x89PNG\r\n\x1a\n\x00\xff", "neither Parquet nor UTF-8 text"),
        ("naïve".encode("utf-16"), "neither Parquet nor UTF-8 text"),
        (b"PAR1 and then nothing", "cannot read"),
        (b"text,label\nBo,person\n", ":1: not a training row: not JSON"),
    ],
)
def test_a_file_of_another_kind_is_told(tmp_path, content, said):
    (tmp_path / "rows.jsonl").write_bytes(content)

    with pytest.raises(InputError, match=said):
        list(read_rows([tmp_path / "rows.jsonl"]))


def test_other_parquet_is_told_with_its_columns(tmp_path):
    pq.write_table(pa.table({"text": ["Bo"], "entities": [[]]}), tmp_path / "gold.parquet")

    with pytest.raises(InputError, match=r"gold\.parquet:row 1: not a training row: .* it has: text, entities"):
        list(read_rows([tmp_path / "gold.parquet"]))


def test_what_is_not_there_is_told(tmp_path):
    with pytest.raises(InputError, match="no such training file"):
        list(read_rows([tmp_path / "none.jsonl"]))
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no training file in"):
        list(read_rows([tmp_path / "empty"]))


KEYS = (
    "prompt",
    "answer",
    "messages",
    "conversations",
    "system",
    "learnt",
    "rendered",
    "weight",
    "role",
    "labels",
    "id",
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 3) | st.sampled_from(["user", "assistant", "gpt", "x"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["role", "content", "from", "value", "loss"]), inner, max_size=3)
    ),
    max_leaves=8,
)
OBJECTS = st.dictionaries(
    st.sampled_from([*KEYS, "document", "start", "end", "teacher", "filters"]), VALUES, max_size=5
)


@settings(max_examples=300)
@given(VALUES | OBJECTS)
def test_any_object_is_a_row_that_is_written_again_or_is_refused(record):
    try:
        row = parse_row(record)
    except ValueError:
        return
    assert parse_row(json.loads(json_line(row))) == row


@settings(max_examples=200)
@given(st.binary(max_size=80))
def test_any_bytes_are_rows_or_are_refused(tmp_path_factory, content: bytes):
    file: Path = tmp_path_factory.mktemp("bytes") / "rows"
    file.write_bytes(content)

    try:
        rows = list(read_rows([file]))
    except InputError:
        return
    assert all(row.learnt for row in rows)


@pytest.mark.parametrize("roles", [(), ("user",), ("assistant", "user"), ("user", "user"), ("user", "system")])
def test_turns_that_other_trainers_would_drop_are_refused(roles):
    row = TrainingRow(tuple(Message(role, "x") for role in roles), ())

    for write in (sharegpt, ms_swift):
        with pytest.raises(InputError, match="must take turns"):
            write([row])
