"""Ctrl-C and SIGTERM end a command with the status that shells expect, and say how to continue if that is possible."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

import pytest

from ner_ray import commands
from ner_ray.cli import main


@pytest.mark.parametrize(
    ("words", "says_how"), [(["retry", "runs/news"], True), (["verify", "runs/news"], False)], ids=["retry", "verify"]
)
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["Ctrl-C", "SIGTERM"])
def test_a_signal_ends_a_command(
    words: list[str],
    says_how: bool,
    number: signal.Signals,
    status: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def work(_: Any) -> None:
        os.kill(os.getpid(), number)
        time.sleep(10)

    monkeypatch.setattr(commands.load(words[0]), "run", work)
    before = signal.getsignal(signal.SIGTERM)
    old = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell has background jobs ignore it
    try:
        with pytest.raises(SystemExit) as ended:
            main(words)
    finally:
        signal.signal(signal.SIGINT, old)

    shown = capsys.readouterr().err
    assert ended.value.code == status
    assert "stopped" in shown
    assert ("To continue: ner-ray" in shown) is says_how
    assert signal.getsignal(signal.SIGTERM) is before
