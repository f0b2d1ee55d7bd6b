"""The journal of answers survives the death of its writer, on a disk and on an object store."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from ner_ray.config import SamplingConfig
from ner_ray.store.journal import Journal, question_of
from ner_ray.types import Completion, Message, Prompt

ANSWER = (
    Completion("##Žižek## came\ud83d", "length", (3, 9), (-0.25, -1e-9), prompt_tokens=7, output_tokens=2),
    Completion(""),
)
WRITER = """
import os, signal, sys
from ner_ray.store.journal import Journal
from ner_ray.types import Completion
journal = Journal(sys.argv[1])
for number in range(100):
    journal.record(f"q{number}", (Completion(f"a{number}"),))
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_one_actor_wrote_the_next_one_knows(tmp_path: Path) -> None:
    first, second = Journal(str(tmp_path / "j")), Journal(str(tmp_path / "j"))
    first.record("one", ANSWER)
    second.record("two", ANSWER[1:])

    third = Journal(str(tmp_path / "j"))

    assert (third.recall("one"), third.recall("two"), third.recall("three")) == (ANSWER, ANSWER[1:], None)


def test_every_answer_outlives_the_kill_of_its_process(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", WRITER, str(tmp_path)], check=False)

    journal = Journal(str(tmp_path))

    assert [journal.recall(f"q{number}") for number in range(100)] == [(Completion(f"a{n}"),) for n in range(100)]


def test_a_line_that_was_cut_short_is_the_only_one_lost(tmp_path: Path) -> None:
    Journal(str(tmp_path)).record("whole", ANSWER)
    (file,) = tmp_path.iterdir()
    whole = file.read_text(encoding="ascii")
    file.write_text(whole + whole.replace("whole", "cut")[:-9], encoding="ascii")

    journal = Journal(str(tmp_path))

    assert (journal.recall("whole"), journal.recall("cut")) == (ANSWER, None)


@pytest.mark.parametrize("scheme", ["s3", "s3a"])
def test_an_object_store_has_the_answers_a_few_seconds_later(
    bucket: str, s3_server: str, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server)
    monkeypatch.setattr("ner_ray.store.journal._SECONDS_PER_OBJECT", 0.3)
    uri = f"{scheme}://{bucket}/run/journal/00000"
    journal = Journal(uri)
    journal.record("one", ANSWER)
    deadline = time.monotonic() + 30
    while Journal(uri).recall("one") is None and time.monotonic() < deadline:
        time.sleep(0.1)
    journal.record("two", ANSWER)
    while Journal(uri).recall("two") is None and time.monotonic() < deadline:
        time.sleep(0.1)

    assert (Journal(uri).recall("one"), Journal(uri).recall("two")) == (ANSWER, ANSWER)


def test_a_question_is_all_that_an_answer_may_depend_on() -> None:
    turns = (Message("user", "Who?"),)
    plain = (0, Prompt(turns), SamplingConfig(), None)
    others = [
        (1, Prompt(turns), SamplingConfig(), None),
        (0, Prompt("Who?"), SamplingConfig(), None),
        (0, Prompt(turns, choices=("a", "b")), SamplingConfig(), None),
        (0, Prompt(turns, max_tokens=3), SamplingConfig(), None),
        (0, Prompt(turns), SamplingConfig(temperature=0.5), None),
        (0, Prompt(turns), SamplingConfig(), "adapter"),
    ]

    assert question_of(*plain) == question_of(0, Prompt(turns), SamplingConfig(), None)
    assert len({question_of(*arguments) for arguments in [plain, *others]}) == 1 + len(others)
