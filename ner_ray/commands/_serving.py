"""What commands that serve a page tell whoever has started them."""

from __future__ import annotations

import sys


def say(message: str) -> None:
    """One line, beside the result."""
    sys.stderr.write(f"{message}\n")


def say_address(url: str) -> None:
    """Where the page is."""
    say(f"open {url}   (Ctrl-C ends it)")
