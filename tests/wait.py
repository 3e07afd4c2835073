"""Waiting for conditions, with a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


OFTEN, SELDOM = 0.005, 0.05  # seconds between looks


def until(condition: Callable[[], T], timeout: float = 20.0, *, every: float = 0.0) -> T:
    """Call `condition` until it gives something true, and give that. Fails after `timeout` seconds.

    It is called each `every` seconds; without these often at first, then less: many conditions start a process.
    An OSError counts as "not yet"; the last one is told when time is up.
    """
    began = time.monotonic()
    deadline = began + timeout
    error: OSError | None = None
    found: T | None = None
    while (now := time.monotonic()) < deadline:
        try:
            found = condition()
        except OSError as caught:
            error = caught
        else:
            if found:
                return found
        time.sleep(every or min(SELDOM, OFTEN + (now - began) / 10))
    raise AssertionError(f"not within {timeout} s; last answer {found!r}, last error {error!r}")
