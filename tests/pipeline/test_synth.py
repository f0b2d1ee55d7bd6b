"""The synthesis job, whole, on a real cluster, with a teacher behind a real HTTP server that answers by a script.

What a model would answer is written down here, so that each step's outcome is known; that a real server and a real
engine are asked the same way is tested where engines and the annotation job are.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ner_ray.config.load import load, validate
from ner_ray.data.training import from_table, read_rows
from ner_ray.errors import ConfigError, InputError, MissingExtraError, ModelError, RunError
from ner_ray.pipeline.synth import Result, synthesize
from ner_ray.synth.config import PUBLISHED_TYPES, SynthConfig
from tests.answering import AnsweringServer, answering

PEOPLE = ("Ada", "Bo", "Cy", "Di", "Ed", "Flo")
PLACES = ("Rome", "Oslo", "Lima", "Bern")
THINGS = ("lamp", "kettle", "ladder", "violin", "barometer")


class Script:
    """Answers with the names that the script knows, one type in the plural, one name that is not in the passage."""

    def __init__(self) -> None:
        self.released: dict[str, str] = {}

    def __call__(self, prompt: str) -> str:
        passage = passage_of(prompt)
        if passage in self.released:
            return self.released[passage]
        if "barometer" in passage:
            return "I would rather not say."
        words = re.findall(r"\w+", passage)
        pairs = [(word, "person") for word in words if word in PEOPLE]
        pairs += [(word, "Places" if word == "Lima" else "place") for word in words if word in PLACES]
        pairs += [(word, "instrument" if word == "violin" else "misc") for word in words if word in THINGS]
        return json.dumps([{name: kind} for name, kind in [*pairs, ("Nobody", "person")]])


def passage_of(prompt: str) -> str:
    return re.split("Passage: |文本：", prompt, maxsplit=1)[1]


@pytest.fixture(scope="module")
def teacher() -> Iterator[AnsweringServer]:
    with answering(Script()) as server:
        yield server


@pytest.fixture(autouse=True)
def _fresh(teacher: AnsweringServer) -> None:
    teacher.asked.clear()
    teacher.seconds = 0.0


def documents(number: int) -> list[str]:
    return [
        f"{PEOPLE[day % 6]} took the {day}th train to {PLACES[day % 4]}. There {PEOPLE[(day + 1) % 6]} bought "
        f"{day} old {THINGS[day % 5]}s and a {THINGS[day % 5]}. Nothing else happened on day {day}."
        for day in range(number)
    ]


def write_corpus(folder: Path, texts: list[str | None]) -> None:
    (folder / "in").mkdir(parents=True, exist_ok=True)
    sources = ["even" if number % 2 == 0 else "odd" for number in range(len(texts))]
    table = pa.table({"body": pa.array(texts, pa.string()), "from": sources})
    half = len(texts) // 2
    pq.write_table(table.slice(0, half), folder / "in" / "a.parquet")
    pq.write_table(table.slice(half), folder / "in" / "b.parquet")


FORMS = {
    "conversations": {"family": {"name": "universal_ner", "wrapper": "chat"}, "negatives": {"rate": 1}},
    "gner": {"family": {"name": "gner", "wrapper": "chat"}, "rows": "questions"},
    "b2ner": {"family": {"name": "b2ner", "wrapper": "chat"}, "rows": "questions", "label_set": {"dropout": 0.0}},
    "cascade": {"family": "cascade", "rows": "questions", "labels": ["person", "place"], "dynamic": {"seed": 3}},
    "shown": {
        "family": {"name": "ra_it", "wrapper": "chat"},
        "demonstrations": {"k": 2, "guard_overlap": 1.0},
    },
}


def plain(folder: Path, server: AnsweringServer, **changes: object) -> dict:
    return {
        "input": {"path": str(folder / "in"), "text": "body", "source": "from"},
        "passages": {"tokens": 24, "duplicates": "exact", "languages": ["en"]},
        "teacher": {
            "engine": server.engine(),
            "rows_per_file": 8,
            "max_error_rate": 0.5,
        },
        "filters": {"length_unit": "words"},
        "forms": FORMS,
        "layouts": ["llama_factory", "ms_swift"],
        "output": str(folder / "out"),
    } | changes


def settings(folder: Path, server: AnsweringServer, **changes: object) -> SynthConfig:
    return validate(SynthConfig, plain(folder, server, **changes), "test")


def rows(folder: Path, part: str) -> list[dict]:
    files = sorted((folder / "out" / part).rglob("*.parquet"))
    return [row for file in files for row in pq.read_table(file, partitioning=None).to_pylist()]


def made(folder: Path) -> dict[str, bytes]:
    """The bytes of all that the job makes of passages and answers."""
    out = folder / "out"
    parts = (
        "passages",
        "annotated",
        "train",
        "llama_factory",
        "ms_swift",
        "types.json",
        "statistics.json",
        "filters.md",
    )
    paths = [path for part in parts for path in [out / part, *(out / part).rglob("*")] if path.is_file()]
    return {str(path.relative_to(out)): path.read_bytes() for path in paths}


@pytest.mark.cluster
@pytest.mark.usefixtures("cluster")
class TestOneRun:
    @pytest.fixture(scope="class")
    def run(self, tmp_path_factory: pytest.TempPathFactory, teacher: AnsweringServer) -> tuple[Path, Result, list[str]]:
        folder = tmp_path_factory.mktemp("synth")
        texts = documents(40)
        write_corpus(
            folder, [*texts, texts[3], None, "", "Der Zug nach Bern fuhr ohne uns ab, und wir blieben zurück."]
        )
        teacher.asked.clear()
        result = synthesize(settings(folder, teacher))
        return folder, result, [passage_of(prompt) for prompt in teacher.asked]

    def test_every_passage_is_asked_about_once_and_is_cut_from_its_document(
        self, run: tuple[Path, Result, list[str]]
    ) -> None:
        folder, result, asked = run
        passages = rows(folder, "passages")
        texts = {
            f"{name}:{n}": text
            for name in "ab"
            for n, text in enumerate(pq.read_table(folder / "in" / f"{name}.parquet")["body"].to_pylist())
        }

        assert sorted(asked) == sorted(row["text"] for row in passages)
        assert all(texts[row["document"]][row["start"] : row["end"]] == row["text"] for row in passages)
        assert result.passages["drawn"] == len(passages) == len({row["id"] for row in passages})

    def test_what_is_left_out_of_the_corpus_is_counted(self, run: tuple[Path, Result, list[str]]) -> None:
        counts = run[1].passages

        assert counts["null_text"] == 1
        assert counts["other_language"] == 1
        assert counts["exact_duplicates"] >= 1
        left_out = counts["other_language"] + counts["exact_duplicates"]
        assert counts["passages"] == counts["drawn"] + left_out

    def test_requests_and_tokens_are_counted(self, run: tuple[Path, Result, list[str]]) -> None:
        _, result, asked = run

        assert result.cost == result.asked
        assert result.cost == {
            "requests": len(asked),
            "prompt_tokens": 7 * len(asked),
            "cached_tokens": 0,
            "output_tokens": 5 * len(asked),
        }

    def test_mentions_are_grounded_and_each_removal_names_its_filter(self, run: tuple[Path, Result, list[str]]) -> None:
        annotated = rows(run[0], "annotated")
        read = [row for row in annotated if row["status"] == "ok"]
        removed = {(removal["text"], removal["by"]) for row in read for removal in row["removed"]}

        assert {name for name, _ in removed} == {"Nobody", *THINGS} - {"barometer", "violin"}
        assert {by for _, by in removed} == {"in_text", "type"}
        for row in read:
            words = set(re.findall(r"\w+", row["text"]))
            assert {entity["text"] for entity in row["entities"]} == words & {*PEOPLE, *PLACES, "violin"}
            assert all(row["text"][entity["start"] : entity["end"]] == entity["text"] for entity in row["entities"])

    def test_an_answer_that_says_nothing_gives_no_training_row(self, run: tuple[Path, Result, list[str]]) -> None:
        folder, result, asked = run
        unreadable = sum("barometer" in passage for passage in asked)

        assert result.annotated == {"ok": len(asked) - unreadable, "unreadable": unreadable}
        taught = {(row["document"], row["start"]) for row in rows(folder, "train/gner")}
        unread = {(row["document"], row["start"]) for row in rows(folder, "annotated") if row["status"] == "unreadable"}
        assert unread
        assert not taught & unread

    def test_types_in_the_plural_get_the_name_of_their_singular(self, run: tuple[Path, Result, list[str]]) -> None:
        folder = run[0]
        found = json.loads((folder / "out" / "statistics.json").read_text())

        assert json.loads((folder / "out" / "types.json").read_text()) == {"Places": "place"}
        assert found["frequencies"].keys() == {"person", "place", "instrument"}
        assert found["filters"]["changed"]["normalize"] > 0
        assert found["summary"] == run[1].statistics
        assert "| in_text |" in (folder / "out" / "filters.md").read_text()
        assert "<svg" in (folder / "out" / "page.html").read_text()

    def test_every_form_has_rows_with_their_lineage(self, run: tuple[Path, Result, list[str]]) -> None:
        folder, result, _ = run
        annotated = {(row["document"], row["start"], row["end"]) for row in rows(folder, "annotated")}

        for name in FORMS:
            found = rows(folder, f"train/{name}")
            assert len(found) == result.rows[name] > 0
            assert len({row["id"] for row in found}) == len(found)
            assert {(row["document"], row["start"], row["end"]) for row in found} <= annotated
            assert {row["teacher"] for row in found} == {"script"}
            assert {row["filters"][-1] for row in found} == {"ground"}
            assert {len(row["prompt_hash"]) for row in found} == {16}
        assert {row["seed"] for row in rows(folder, "train/cascade")} == {0}

    def test_conversations_answer_negative_types_with_an_empty_list(self, run: tuple[Path, Result, list[str]]) -> None:
        annotated = {row["id"]: row for row in rows(run[0], "annotated")}
        answers = Counter()
        for row in rows(run[0], "train/conversations"):
            present = {entity["label"] for entity in annotated[row["id"]]["entities"]}
            spoken = [turn["content"] for turn in row["messages"] if turn["role"] == "assistant"]
            for label, answer in zip(row["labels"], spoken[1:], strict=True):
                assert (json.loads(answer) == []) == (label not in present)
                answers[label in present] += 1

        assert answers[True] > answers[False] > 0

    def test_the_cascade_teaches_both_its_roles(self, run: tuple[Path, Result, list[str]]) -> None:
        found = rows(run[0], "train/cascade")
        roles = Counter(row["role"] for row in found)
        places = [row["messages"][-1]["content"] for row in found if row["role"] == "classifier"]

        assert roles["extractor"] > 0
        assert roles["classifier"] > roles["extractor"]
        assert set(places) == {"person", "place"}

    def test_a_row_shows_examples_and_never_itself(self, run: tuple[Path, Result, list[str]]) -> None:
        annotated = {row["id"]: row["text"] for row in rows(run[0], "annotated")}
        others = set(annotated.values())
        shown = 0
        for row in rows(run[0], "train/shown"):
            opening = row["messages"][1]["content"] if row["messages"][0]["role"] == "system" else ""
            assert annotated[row["id"]] not in opening
            shown += any(text in opening for text in others)

        assert shown > 10

    def test_the_layouts_hold_the_same_rows(self, run: tuple[Path, Result, list[str]]) -> None:
        out, result = run[0] / "out", run[1]
        info = json.loads((out / "llama_factory" / "dataset_info.json").read_text())

        assert info.keys() == FORMS.keys()
        for name, number in result.rows.items():
            assert len(json.loads((out / "llama_factory" / info[name]["file_name"]).read_text())) == number
            lines = (out / "ms_swift" / f"{name}.jsonl").read_text().splitlines()
            assert [json.loads(line)["messages"] for line in lines] == [
                row["messages"] for row in rows(run[0], f"train/{name}")
            ]
            made = list(read_rows([out / "train" / name]))
            assert list(read_rows([out / "llama_factory" / info[name]["file_name"]])) == made
            assert list(read_rows([out / "ms_swift" / f"{name}.jsonl"])) == made

    def test_the_rows_are_read_back_as_they_were_made(self, run: tuple[Path, Result, list[str]]) -> None:
        (file,) = (run[0] / "out" / "train" / "gner").glob("*.parquet")

        row = from_table(pq.read_table(file))[0]

        assert row.turns[-1].role == "assistant"
        assert row.lineage.filters[:2] == ("repetition", "normalize")

    def test_another_call_asks_nothing_and_makes_the_same_bytes_even_if_the_teacher_is_gone(
        self, run: tuple[Path, Result, list[str]], teacher: AnsweringServer
    ) -> None:
        before = made(run[0])
        gone = plain(run[0], teacher)
        gone["teacher"]["engine"]["url"] = "http://127.0.0.1:9/v1"

        again = synthesize(settings(run[0], teacher, **gone))

        assert again.asked["requests"] == 0
        assert again.cost == run[1].cost
        assert made(run[0]) == before

    def test_a_run_of_its_own_with_the_same_seeds_makes_the_same_bytes(
        self, run: tuple[Path, Result, list[str]], teacher: AnsweringServer, tmp_path: Path
    ) -> None:
        (tmp_path / "in").symlink_to(run[0] / "in")

        synthesize(settings(tmp_path, teacher, output=str(tmp_path / "out")))

        assert made(tmp_path) == made(run[0])

    def test_other_filters_are_applied_to_the_answers_that_are_there(
        self, run: tuple[Path, Result, list[str]], teacher: AnsweringServer
    ) -> None:
        forms = {"gner": FORMS["gner"]}
        published = synthesize(settings(run[0], teacher, filters={"steps": ["in_text"]}, forms=forms, layouts=[]))

        assert teacher.asked == []
        assert published.rows.keys() == {"gner"}
        assert {path.name for path in (run[0] / "out" / "train").iterdir()} == {"gner"}
        labels = {entity["label"] for row in rows(run[0], "annotated") for entity in row["entities"]}
        assert labels == {"person", "place", "Places", "instrument", "misc"}

    @pytest.mark.parametrize(
        ("changes", "said"), [({"seed": 9}, "another seed"), ({"passages": {"tokens": 30}}, "another passages")]
    )
    def test_other_passages_are_refused_in_the_same_directory(
        self, run: tuple[Path, Result, list[str]], teacher: AnsweringServer, changes: dict, said: str
    ) -> None:
        with pytest.raises(RunError, match=said):
            synthesize(settings(run[0], teacher, **changes))


@pytest.mark.cluster
@pytest.mark.usefixtures("cluster")
def test_a_count_is_drawn_evenly_over_sources(tmp_path: Path, teacher: AnsweringServer) -> None:
    write_corpus(tmp_path, documents(30))
    passages = {"tokens": 24, "count": 20, "spread": "even", "duplicates": "near", "similarity": 0.95}

    result = synthesize(settings(tmp_path, teacher, passages=passages, forms={}, layouts=[]))

    drawn = Counter(row["source"] for row in rows(tmp_path, "passages"))
    assert drawn == {"even": 10, "odd": 10}
    assert result.passages["drawn"] == len(teacher.asked) == 20


@pytest.mark.cluster
@pytest.mark.usefixtures("cluster")
def test_the_job_makes_of_released_answers_what_was_released(
    tmp_path: Path, teacher: AnsweringServer, reference_data: Path
) -> None:
    """Sky-NER's sample from its passages on, with GPT-3.5's answers, by the recipe that ships for it."""
    sample = reference_data / "data" / "sky"
    answered = [json.loads(line) for line in (sample / "5_gpt35_llm_response.jsonl").read_text().splitlines()]
    teacher.answer.released = {row["text"].strip(): row["response"] for row in answered}
    pq.write_table(pa.table({"text": [row["text"] for row in answered]}), tmp_path / "in.parquet")
    whole = ["passages.tokenizer=words", "passages.tokens=5000", "passages.rate=1", "types.unify=false"]
    as_released = f"filters.invalid_types=[{','.join(sorted(PUBLISHED_TYPES))}]"
    places = [f"input.path={tmp_path}/in.parquet", f"output={tmp_path}/out", f"teacher.engine.url={teacher.url}"]

    result = synthesize(
        load(SynthConfig, "synth/sky-zh", [*whole, *places, as_released, "teacher.engine.model=script"])
    )

    found = json.loads((tmp_path / "out" / "statistics.json").read_text())
    released = (sample / "5_gpt35_llm_response_parsed_filtered.jsonl").read_text().splitlines()
    pairs = [{tuple(*pair.items()) for pair in json.loads(line)["prediction"]} for line in released]
    assert result.statistics == json.loads((sample / "5_gpt35_entity_statistics.json").read_text())
    frequencies = {name.lower(): count for name, count in found["frequencies"].items()}
    assert frequencies == json.loads((sample / "5_gpt35_type2freq.json").read_text())
    assert [
        {(mention["text"], mention["label"]) for mention in row["mentions"]} for row in rows(tmp_path, "annotated")
    ] == pairs


@pytest.mark.parametrize("name", ["sky-zh", "pile-en", "demo"])
def test_the_recipes_that_ship_want_no_more_than_corpus_teacher_and_place(name: str) -> None:
    given = {"input.path": "in", "teacher.engine.model": "m", "output": "out"}

    config = load(SynthConfig, f"synth/{name}", [f"{key}={value}" for key, value in given.items()])

    assert "conversations" in config.forms
    assert config.teacher.name == "m"


@pytest.mark.cluster
@pytest.mark.usefixtures("cluster")
def test_a_family_with_labels_may_be_the_teacher(tmp_path: Path, teacher: AnsweringServer) -> None:
    """It reads its own answers: `Places` and `instrument`, which it was not asked for, are no entities."""
    write_corpus(tmp_path, documents(8))
    changed = plain(tmp_path, teacher, forms={"gner": FORMS["gner"]}, layouts=[])
    changed["teacher"] |= {"family": {"name": "instruct", "prompt": "evaluation"}, "labels": ["person", "place"]}

    result = synthesize(settings(tmp_path, teacher, **changed))

    assert {entity["label"] for row in rows(tmp_path, "annotated") for entity in row["entities"]} == {"person", "place"}
    assert result.rows["gner"] == sum(bool(row["entities"]) for row in rows(tmp_path, "annotated")) > 5
    hashes = {settings(tmp_path, teacher, **changes).teacher.prompt_hash for changes in ({}, changed)}
    assert {row["prompt_hash"] for row in rows(tmp_path, "train/gner")} < hashes
    assert len(hashes) == 2


@pytest.mark.cluster
@pytest.mark.usefixtures("cluster")
def test_what_is_wrong_is_said_before_the_teacher_is_asked(tmp_path: Path, teacher: AnsweringServer) -> None:
    write_corpus(tmp_path, documents(4))
    elsewhere = {"engine": {"name": "openai", "url": "http://127.0.0.1:9/v1", "model": "script"}}

    with pytest.raises(ModelError, match="nothing answers at"):
        synthesize(settings(tmp_path, teacher, teacher=elsewhere))
    with pytest.raises(InputError, match=r"\.parquet has no column 'words'; it has: body, from"):
        synthesize(settings(tmp_path, teacher, input={"path": str(tmp_path / "in"), "text": "words"}))
    with pytest.raises(InputError, match=r"no passage at .* is suitable: .*too_short 4"):
        synthesize(settings(tmp_path, teacher, passages={"min_characters": 10_000}))
    assert teacher.asked == []


@pytest.mark.parametrize(("module", "setting"), [("datasketch", "duplicates=near"), ("lingua", "languages")])
def test_a_missing_package_is_told_before_anything_is_written(
    tmp_path: Path, teacher: AnsweringServer, monkeypatch: pytest.MonkeyPatch, module: str, setting: str
) -> None:
    write_corpus(tmp_path, documents(4))
    monkeypatch.setitem(sys.modules, module, None)

    with pytest.raises(MissingExtraError, match=rf"passages\.{setting} needs {module}"):
        synthesize(settings(tmp_path, teacher, passages={"duplicates": "near", "languages": ["en"]}))
    assert not (tmp_path / "out").exists()
    assert teacher.asked == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"filters": {"steps": ["lenght"]}}, "Input should be 'agreement', "),
        ({"forms": {"x": {"family": "gnar"}}}, "no family 'gnar'; known: "),
        ({"forms": {"x": {"family": "gner", "dynamic": {}}}}, "no question of the family 'gner' ends"),
        ({"layouts": ["axolotl"]}, "layouts.0: "),
        ({"passages": {"token": 9}}, "passages.token: no such setting; do you mean 'tokens'?"),
        ({"forms": {"x": {"family": "ra_it", "demonstrations": {"guard": False}}}}, "guard: "),
    ],
)
def test_a_configuration_that_cannot_be_meant_is_refused(
    tmp_path: Path, teacher: AnsweringServer, changes: dict, said: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        settings(tmp_path, teacher, **changes)

    assert said in str(refused.value)


@pytest.mark.cluster
@pytest.mark.usefixtures("cluster")
@pytest.mark.parametrize("rows_per_file", [1000, pytest.param(8, marks=pytest.mark.faults)])
def test_a_killed_run_goes_on_without_asking_again_what_was_answered(
    tmp_path: Path, teacher: AnsweringServer, rows_per_file: int
) -> None:
    """Some answers are in files by then, or none: only what was on its way at the kill is asked twice."""
    in_flight = 4
    write_corpus(tmp_path, documents(60))
    job = tmp_path / "job.yaml"
    changed = plain(tmp_path, teacher, passages={"tokens": 24}, forms={"gner": FORMS["gner"]}, layouts=[])
    changed["teacher"]["engine"]["max_num_seqs"] = in_flight
    changed["teacher"] |= {"rows_per_file": rows_per_file, "resources": {"block_kib": 16, "blocks_in_flight": 1}}
    job.write_text(json.dumps(changed))
    command = [sys.executable, "-m", "ner_ray.cli", "synth", str(job), "--json"]
    teacher.seconds = 0.2
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
    deadline = time.monotonic() + 300
    while len(teacher.asked) < 40 and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    _, told = process.communicate()
    assert process.returncode == -signal.SIGKILL, told
    before = 0
    while before < len(teacher.asked):  # the engine outlives its driver a little
        before = len(teacher.asked)
        time.sleep(3)
    written = list((tmp_path / "out" / "answers" / "data").rglob("*.parquet"))
    teacher.seconds = 0.0

    changed["teacher"] |= {"rows_per_file": 1000, "resources": {}}
    again = synthesize(settings(tmp_path, teacher, **changed))

    passages = rows(tmp_path, "passages")
    asked = Counter(map(passage_of, teacher.asked))
    assert 40 <= before < len(passages)
    assert bool(written) == (rows_per_file < 40)
    assert asked.keys() == {row["text"] for row in passages}
    assert asked.total() - len(asked) <= in_flight
    assert again.asked["requests"] == len(teacher.asked) - before
    assert again.cost["requests"] == len(passages)
    assert not list((tmp_path / "out" / "answers" / "journal").glob("*")), "a committed wave needs none"
