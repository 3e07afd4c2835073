"""Calls that may never return, as those that touch a folder on a dead mount: each hangs a thread of its own.

A thread in such a call cannot be ended, so there are few; when all hang, the next call is refused.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from teleclaude.core.errors import Unavailable

LIMIT = 8


class HangingCalls:
    """Runs calls. From any thread."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._places = threading.BoundedSemaphore(limit)

    def run(self, what: str, deadline: float, call: Callable[[], Any]) -> Any:
        """Give what `call` gives, or raise what it raises. `deadline`: seconds, monotonic; `what` is not yet done then.

        Raises Unavailable when it does not return in time, or when too many others did not.
        """
        if not self._places.acquire(timeout=max(0.0, deadline - time.monotonic())):
            raise Unavailable(f"{what} was not looked at, for too many others do not answer; the command did not run")
        done: list[tuple[Any, BaseException | None]] = []

        def work() -> None:
            try:
                done.append((call(), None))
            except BaseException as error:  # noqa: BLE001  (it is raised where the call was asked for)
                done.append((None, error))
            finally:
                self._places.release()

        thread = threading.Thread(target=work, name=f"look at {what}"[:64], daemon=True)
        try:
            thread.start()
        except RuntimeError as none_left:
            self._places.release()
            raise Unavailable(f"{what} was not looked at: no thread is left; the command did not run") from none_left
        thread.join(max(0.0, deadline - time.monotonic()))
        if not done:
            raise Unavailable(f"{what} does not answer; the command did not run")
        found, error = done[0]
        if error:
            raise error
        return found
