"""Calls into the cache's manager: in threads, never on the hub, and never for longer than a time-out.

A manager that is stopped holds the thread of each call; there are few threads, and who finds none free in time is
told that the cache does not answer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import gevent
from gevent.threadpool import ThreadPool

from teleclaude.core.errors import Unavailable

T = TypeVar("T")

THREADS = 4
TIMEOUT = 3.0  # seconds


class CacheCalls:
    """Runs blocking calls for greenlets."""

    def __init__(self) -> None:
        self._pool = ThreadPool(THREADS)

    def run(self, function: Callable[..., T], *args: object, timeout: float = TIMEOUT) -> T:
        """Call `function`, at most `timeout` seconds. Raises Unavailable, and what `function` raises."""
        limit = gevent.Timeout(timeout)
        limit.start()
        try:
            got: Any = self._pool.spawn(function, *args).get()
            found: T = got
        except gevent.Timeout as error:
            if error is not limit:
                raise
            raise Unavailable(f"the cache did not answer within {timeout:g} s") from None
        finally:
            limit.close()
        return found
