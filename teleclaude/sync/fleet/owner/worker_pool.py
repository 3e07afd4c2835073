"""Threads that run commands of other computers: in order for each session, and a slow one delays few others."""

from __future__ import annotations

import queue
import threading
import zlib
from collections.abc import Callable

LANES = 4
WAITING = 100  # jobs in a lane


class Runner:
    """A few lanes, each with a thread that starts with its first job."""

    def __init__(self) -> None:
        self._lanes: list[queue.Queue[Callable[[], None] | None]] = [queue.Queue(WAITING) for _ in range(LANES)]
        self._threads: dict[int, threading.Thread] = {}
        self._stopped = False

    def run(self, lane: str, job: Callable[[], None]) -> bool:
        """Run a job after those that were given for the same lane. False when too many wait."""
        number = zlib.crc32(lane.encode("utf-8", "replace")) % LANES
        if self._stopped:
            return False
        try:
            self._lanes[number].put_nowait(job)
        except queue.Full:
            return False
        if number not in self._threads:
            thread = threading.Thread(target=self._work, args=(number,), name=f"peers-run-{number}", daemon=True)
            self._threads[number] = thread
            thread.start()
        return True

    def stop(self) -> None:
        """Take no more jobs; what waits does not run. Does not wait for the one that runs."""
        self._stopped = True
        for number in self._threads:
            lane = self._lanes[number]
            while not lane.empty():
                try:
                    lane.get_nowait()
                except queue.Empty:
                    break
            lane.put(None)

    def _work(self, number: int) -> None:
        while not self._stopped:
            job = self._lanes[number].get()
            if job is None:
                return
            job()
