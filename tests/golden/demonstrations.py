"""Cases of the golden format for retrieving demonstrations.

`FUNCTIONS` maps the name of a published function to what runs a case of it here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Case = dict[str, Any]

FUNCTIONS: dict[str, Callable[[Case], Any]] = {}
