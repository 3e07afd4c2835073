"""Names of the keys in Redis. A computer stands in literal braces, so Redis Cluster keeps its keys in one slot."""

from __future__ import annotations

from dataclasses import dataclass

HEARTBEAT_TTL = 60  # seconds
OUTPUT_TTL = 60  # seconds
INBOX_TTL = 300  # seconds without a push or a beat of its reader
ROUND = 130.0  # seconds of this computer's clock: its messages' blocked read begins anew at the start of each at rest,
# and its name is entered anew in the middle, so that the two are never in one minute
INBOX_LENGTH = 1000
SCREENS_LENGTH = 16  # updates of one watched session; newer ones drive out older ones
SCREENS_TTL = 60  # seconds without an update
MESSAGES_LENGTH = 10_000
GROUP = "sync"  # consumer group and consumer of a computer's messages


@dataclass(frozen=True)
class KeyNames:
    """The keys under one prefix."""

    prefix: str

    @property
    def computers(self) -> str:
        """Sorted set of names by the time of their last entry: discovery without SCAN."""
        return f"{self.prefix}computers"

    def rotated(self, key_id: str) -> str:
        """Notice that a key of the fleet was replaced; see wire/rotation_notice.py."""
        return f"{self.prefix}rotated:{key_id}"

    def heartbeat(self, name: str) -> str:
        """Sealed heartbeat of a computer, a string that expires."""
        return f"{self.prefix}computer:{{{name}}}:heartbeat"

    def inbox(self, name: str) -> str:
        """Stream of what others push to a computer: `m`, a sealed message, or `a`, the id of an answer that waits."""
        return f"{self.prefix}session_events:{{{name}}}"

    def messages(self, name: str) -> str:
        """Stream of requests to a computer."""
        return f"{self.prefix}messages:{{{name}}}"

    def screens(self, watcher: str, owner: str, session_id: str) -> str:
        """Stream of the screens of one session that a computer watches. It is short: only the newest counts."""
        return f"{self.prefix}screens:{{{watcher}}}:{owner}:{session_id}"

    def output(self, asker: str, request_id: str) -> str:
        """Sealed answer to one request. The asker is in the name, so that it shares the slot of the asker's inbox."""
        return f"{self.prefix}output:{{{asker}}}:{request_id}"
