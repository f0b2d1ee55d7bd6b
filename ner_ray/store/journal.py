"""Records answers as they arrive, so that a run that was killed never asks for them again.

Rows reach the output when their file is full; until then their answers are in memory and are lost with the driver.
Where answers cost money, each engine's actor therefore keeps a journal next to the run's data: a JSON Lines file of its
own. An actor reads the journals of all earlier actors when it starts, and does not repeat the requests in them. The
journal of a wave is deleted when the wave is committed.

On a disk an answer is in its file before it is used. Objects in an object store cannot be appended to: there the
answers of a few seconds form an object, and a kill can cost that many seconds' answers.
"""

from __future__ import annotations

import hashlib
import json
import logging
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Protocol

from pyarrow import fs

from ner_ray.config import SamplingConfig
from ner_ray.storage import is_local, join, open_store, put_atomically
from ner_ray.types import Completion, Prompt

_LOG = logging.getLogger(__name__)

_SECONDS_PER_OBJECT = 5.0
_READERS = 16


class Journal:
    """The answers of one wave: those that earlier actors recorded, and new ones.

    Args:
        uri: the folder of the wave's journal, which need not exist.
    """

    def __init__(self, uri: str) -> None:
        store, folder = open_store(uri)
        self._known = dict(_read(store, folder))
        name = uuid.uuid4().hex
        self._file: _File = _OnDisk(folder, name) if is_local(store) else _InObjects(store, folder, name)

    def recall(self, question: str) -> tuple[Completion, ...] | None:
        """The recorded answer to a question (see `question_of`), or None."""
        line = self._known.get(question)
        return None if line is None else tuple(_completion(row) for row in json.loads(line)["answer"])

    def record(self, question: str, answer: tuple[Completion, ...]) -> None:
        """Appends an answer to the journal."""
        self._file.write(
            json.dumps({"question": question, "answer": [asdict(completion) for completion in answer]}) + "\n"
        )


def question_of(pool: int, prompt: Prompt, sampling: SamplingConfig, adapter: str | None) -> str:
    """A digest of everything that an answer depends on within a run."""
    asked = [pool, asdict(prompt), sampling.model_dump(mode="json"), adapter]
    return hashlib.blake2b(json.dumps(asked, sort_keys=True).encode(), digest_size=16).hexdigest()


class _File(Protocol):
    def write(self, line: str) -> None: ...


class _OnDisk:
    """Hands each line to the operating system before `write` returns, so that it outlives the process."""

    def __init__(self, folder: str, name: str) -> None:
        Path(folder).mkdir(parents=True, exist_ok=True)
        self._file = Path(folder, f"{name}.jsonl").open("a", encoding="ascii")  # noqa: SIM115  # open as long as the actor lives

    def write(self, line: str) -> None:
        self._file.write(line)
        self._file.flush()


class _InObjects:
    """Writes an object every few seconds, with the lines since the last one."""

    def __init__(self, store: fs.FileSystem, folder: str, name: str) -> None:
        self._store, self._path, self._number = store, join(folder, name), 0
        self._lines: list[str] = []
        self._lock = threading.Lock()

    def write(self, line: str) -> None:
        with self._lock:
            self._lines.append(line)
            if len(self._lines) == 1:
                self._write_later()

    def _write_later(self) -> None:
        timer = threading.Timer(_SECONDS_PER_OBJECT, self._write_object)
        timer.daemon = True
        timer.start()

    def _write_object(self) -> None:
        with self._lock:
            lines, self._lines = self._lines, []
            self._number += 1
        try:
            put_atomically(self._store, f"{self._path}-{self._number:06}.jsonl", "".join(lines).encode())
        except OSError as error:
            _LOG.warning("journal.failed error=%s; will be retried", type(error).__name__)
            with self._lock:
                self._lines = lines + self._lines
                if len(self._lines) == len(lines):  # otherwise, a new line has seen to it
                    self._write_later()


def _read(store: fs.FileSystem, folder: str) -> Iterator[tuple[str, str]]:
    """All recorded questions, each with its line."""
    try:
        infos = store.get_file_info(fs.FileSelector(folder, allow_not_found=True))
    except (FileNotFoundError, NotADirectoryError):  # the folder appeared between two calls inside Arrow
        return
    paths = [info.path for info in infos if info.is_file and info.path.endswith(".jsonl")]
    with ThreadPoolExecutor(_READERS) as threads:
        for content in threads.map(lambda path: _content(store, path), paths):
            for line in content.splitlines():
                try:
                    yield json.loads(line)["question"], line
                except ValueError:
                    continue  # a kill cut the last line short


def _content(store: fs.FileSystem, path: str) -> str:
    with store.open_input_stream(path) as stream:
        text: str = stream.read().decode("ascii")
        return text


def _completion(row: dict[str, object]) -> Completion:
    lists = {name: tuple(value) for name, value in row.items() if isinstance(value, list)}
    return Completion(**{**row, **lists})  # type: ignore[arg-type]  # what `record` wrote
