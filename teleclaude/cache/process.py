"""The cache process: DaemonCache behind its three doors (manager, snapshot, feed)."""

from __future__ import annotations

import errno
import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

from teleclaude.cache.core import CacheCore
from teleclaude.cache.counts_file import CountsFile
from teleclaude.cache.daemon_cache import DaemonCache
from teleclaude.cache.doors import Door, serve
from teleclaude.cache.feed import FeedServer
from teleclaude.cache.snapshot import SnapshotWriter
from teleclaude.core import log as logs
from teleclaude.core.lifeline import BEAT_EVERY, Lifeline
from teleclaude.core.paths import Places, places
from teleclaude.core.settings import load_in_force
from teleclaude.core.thread_group import ThreadGroup, fatal
from teleclaude.replication.version import NOTHING

log = logging.getLogger(__name__)

PUBLISH_EVERY = 0.010  # seconds, at most
PUBLISH_SHARE = 0.05  # of the time goes into publishing, at most: a huge cache is published less often
PUBLISH_AT_LEAST = 0.1  # seconds
AGAIN_AFTER = 0.5  # seconds, where it could not be published


class Publisher:
    """Publishes the snapshot: soon after each change, and at once when asked."""

    def __init__(
        self, core: CacheCore, writer: SnapshotWriter, counts: CountsFile, tell: Callable[[str], None]
    ) -> None:
        self._core = core
        self._writer = writer
        self._counts = counts
        self._tell = tell
        self._problem = ""
        self._lock = threading.Lock()  # one payload at a time, so that versions never go backwards
        self._published = NOTHING

    def publish(self) -> bool:
        """Show what is cached now, unless it is shown already. False when it cannot be: `tell` is told why, once."""
        with self._lock:
            found = self._core.snapshot()
            if not found or found.version == self._published:
                return True
            try:
                self._writer.publish(found)
                self._counts.show(found.blocks)
            except OSError as error:
                self._note(_full(error))
                return False
            self._published = found.version
            self._note("")
            return True

    def run(self, stop: threading.Event) -> None:
        """Publish for ever, at most every `PUBLISH_EVERY` seconds."""
        pause = PUBLISH_EVERY
        while not stop.wait(pause):
            self._core.wait_for_change(self._published, None)
            begin = time.thread_time()
            if not self.publish():
                stop.wait(AGAIN_AFTER)
            took = time.thread_time() - begin
            pause = min(PUBLISH_AT_LEAST, max(PUBLISH_EVERY, took / PUBLISH_SHARE))

    def _note(self, problem: str) -> None:
        if problem != self._problem:
            self._problem = problem
            self._tell(problem)
            if problem:
                log.error("%s; readers keep the last snapshot", problem)
            else:
                log.info("the snapshot is published again")


def _full(error: OSError) -> str:
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return "the runtime folder is full"
    return f"the snapshot cannot be written: {error.strerror or error}"


class CacheProcess:
    """All of the process but its start."""

    def __init__(self, place: Places, local: str, lifeline: Lifeline) -> None:
        self._lifeline = lifeline
        self._stop = threading.Event()
        self._threads = ThreadGroup()
        self.core = CacheCore(DaemonCache(local))
        counts = CountsFile(place.counts_file)
        self._publisher = Publisher(self.core, SnapshotWriter(place.snapshot_file), counts, lifeline.status)
        self._serve = serve(Door(self.core, self._publisher.publish), place.cache_socket, place.key_file.read_bytes())
        self._feed = FeedServer(self.core, place.feed_socket)

    def stop(self, *_: Any) -> None:
        """End `run`; also a signal handler."""
        self._stop.set()

    def run(self) -> None:
        """Serve until stopped."""
        self._threads.start("manager", self._serve)
        self._threads.start("publisher", self._publisher.run, self._stop)
        self._threads.start("feed", self._feed.run)
        self._lifeline.ready()
        while not self._stop.wait(self._pause()):
            self.core.expire()
            self._lifeline.beat()  # behind the lock, so a beat proves that it is free
        self._feed.close()

    def _pause(self) -> float:
        due = self.core.next_expiry()
        return BEAT_EVERY if due is None else min(BEAT_EVERY, max(0.001, due))


def main() -> None:
    """Run the cache process until SIGTERM, or until the supervisor is gone."""
    os.umask(0o077)
    lifeline = Lifeline.from_environment()
    place = places()
    settings = load_in_force(place)
    logs.set_up("cache", settings.log.level)
    with fatal("the cache"):
        process = CacheProcess(place, settings.computer.name, lifeline)
        signal.signal(signal.SIGTERM, process.stop)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal sends it to all; the supervisor ends us in order
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        lifeline.watch(process.stop)
        process.run()


if __name__ == "__main__":
    main()
