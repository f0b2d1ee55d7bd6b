"""What commands that serve a page have in common: what they tell whoever has started them, and that nothing is left."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

from ner_ray.errors import EXIT_DONE


@dataclass(frozen=True, slots=True)
class Result:
    """Nothing is left when the page is closed."""

    exit_status: int = EXIT_DONE

    def to_dict(self) -> dict[str, Any]:
        return {}


def show(result: Result) -> str:  # noqa: ARG001  # see `base.Command`
    """Nothing."""
    return ""


def say(message: str) -> None:
    """One line, beside the result."""
    sys.stderr.write(f"{message}\n")


def say_address(url: str) -> None:
    """Where the page is."""
    say(f"open {url}   (Ctrl-C ends it)")
