"""Waiting for conditions, with a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def until(condition: Callable[[], T], timeout: float = 10.0, *, every: float = 0.01) -> T:
    """Call `condition` until it gives something true, and give that. Fails after `timeout` seconds.

    An OSError counts as "not yet"; the last one is told when time is up.
    """
    deadline = time.monotonic() + timeout
    error: OSError | None = None
    found: T | None = None
    while time.monotonic() < deadline:
        try:
            found = condition()
        except OSError as caught:
            error = caught
        else:
            if found:
                return found
        time.sleep(every)
    raise AssertionError(f"not within {timeout} s; last answer {found!r}, last error {error!r}")
