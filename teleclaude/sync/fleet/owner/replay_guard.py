"""Which requests are fresh: for this run of this computer, now, and not seen before.

All times are this computer's own clock (clocks.py): wall clocks an hour apart change nothing, and a Redis that holds
a request back can only make it run out.
"""

from __future__ import annotations

from teleclaude.sync.fleet.wire.messages import REQUEST_LIFE, Fresh
from teleclaude.sync.fleet.wire.sealing import Dropped

CLOCK_TOLERANCE = 1.0  # seconds that a sender's estimate of this clock may be ahead
MEMORY = 20_000  # ids; more than that in a minute is a flood


class Guard:
    """Remembers the ids of requests until they have run out."""

    def __init__(self, epoch: str) -> None:
        self._epoch = epoch
        self._seen: dict[str, float] = {}

    def check(self, request_id: str, fresh: Fresh, now: float, sender: str = "") -> None:
        """Let a request pass, once. Raises Dropped."""
        if fresh.epoch != self._epoch:
            raise Dropped("epoch", sender)
        latest = now + CLOCK_TOLERANCE
        if not (fresh.issued <= latest and fresh.expires <= fresh.issued + REQUEST_LIFE + 1e-6):  # not for NaN either
            raise Dropped("future", sender)
        if fresh.expires <= now:
            raise Dropped("expired", sender)
        if request_id in self._seen:
            raise Dropped("replayed", sender)
        if len(self._seen) >= MEMORY:
            self._forget(now)
        if len(self._seen) >= MEMORY:
            raise Dropped("refused", sender)
        self._seen[request_id] = fresh.expires

    def _forget(self, now: float) -> None:
        self._seen = {request_id: expires for request_id, expires in self._seen.items() if expires > now}
