"""Sealing: every message is encrypted and authenticated with the fleet's key. Redis sees ciphertext.

What must live here: the key, who a message is for, and a count for each reason to drop one. What this module must
not know: what the messages say. Freshness is the business of guard.py (requests), roster.py (heartbeats) and
replication/replica.py (events).
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections import Counter
from collections.abc import Sequence

import msgspec
from nacl.exceptions import CryptoError
from nacl.secret import SecretBox

from teleclaude.core.text import one_line
from teleclaude.sync.fleet.wire.clock import now
from teleclaude.sync.fleet.wire.limits import OverLimit
from teleclaude.sync.fleet.wire.messages import VERSION, Body, Envelope, encode, read_body, read_envelope
from teleclaude.sync.fleet.wire.receipt import bounded, check_envelope

log = logging.getLogger(__name__)

KEY_SIZE = SecretBox.KEY_SIZE
SIZE_LIMIT = 40 * 1024 * 1024  # bytes
EVERYBODY = "*"
_MAGIC = b"tc1"
_OVERHEAD = len(_MAGIC) + SecretBox.NONCE_SIZE + SecretBox.MACBYTES

REASONS = (
    "unsealed",  # not one of ours at all
    "altered",  # sealed with another key, or changed on the way
    "malformed",  # sealed by a member, and still nonsense
    "misaddressed",  # for somebody else
    "forged",  # its sender is not whose place or rows it takes
    "replayed",  # seen before, or older than what was seen
    "expired",
    "future",
    "epoch",  # for an earlier run of this computer
    "unasked",  # an answer to nothing
    "refused",  # its sender may not do that here
    "limits",  # more than a computer may send
)


class Dropped(Exception):
    """A message is dropped, for one of REASONS.

    `detail`: what people should know of its sender, who is certain then; a sentence about "it".
    """

    def __init__(self, reason: str, sender: str = "", detail: str = "") -> None:
        """Say why, and whose it claims to be."""
        super().__init__(reason)
        self.reason = reason
        self.sender = sender
        self.detail = detail


class Drops:
    """A count for each reason, and a line in the log, without the payload, at most one a second and reason."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._logged: dict[str, float] = {}

    def add(self, dropped: Dropped) -> None:
        """Count one."""
        with self._lock:
            self._counts[dropped.reason] += 1
            is_due = now() - self._logged.get(dropped.reason, -1.0) >= 1.0
            if is_due:
                self._logged[dropped.reason] = now()
        if is_due:
            sender = one_line(dropped.sender, 128) or "somebody"
            log.warning("dropped a message from %s: %s", sender, dropped.detail or dropped.reason)

    def counts(self) -> dict[str, int]:
        """Number of drops by reason; every reason is there."""
        with self._lock:
            return {reason: self._counts[reason] for reason in REASONS}


class Seal:
    """Seals what `me` says, in its epoch, and opens what is said to it. The first key seals, all of them open."""

    def __init__(self, me: str, epoch: str, generation: int, keys: Sequence[bytes]) -> None:
        self.me, self.epoch, self.generation = me, epoch, generation
        self._boxes = [SecretBox(key) for key in keys]

    def seal(self, recipient: str, body: Body | msgspec.Raw, message_id: str = "", *, at: float | None = None) -> bytes:
        """Seal a body for `recipient`, or EVERYBODY. `at`: this computer's clock; now, when it is not said."""
        inside = body if isinstance(body, msgspec.Raw) else msgspec.Raw(encode(body))
        envelope = Envelope(
            VERSION,
            self.me,
            recipient,
            message_id or secrets.token_hex(16),
            self.epoch,
            self.generation,
            now() if at is None else at,
            inside,
        )
        return _MAGIC + bytes(self._boxes[0].encrypt(encode(envelope)))

    def open(self, data: bytes, *, sender: str | None = None, wall: float | None = None) -> tuple[Envelope, Body]:
        """Open a message, which has to be from `sender` when that is known. Raises Dropped.

        `wall`: seconds since 1970 here; now, when it is not said.
        """
        if not data.startswith(_MAGIC) or not _OVERHEAD < len(data) <= SIZE_LIMIT:
            raise Dropped("unsealed", sender or "")
        plain = self._decrypted(data[len(_MAGIC) :])
        if plain is None:
            raise Dropped("altered", sender or "")
        try:
            envelope = read_envelope(plain)
            check_envelope(envelope)
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            raise Dropped("malformed", sender or "") from error
        if envelope.version != VERSION:
            raise Dropped("malformed", envelope.sender)
        body = _body_of(envelope, time.time() if wall is None else wall)
        if envelope.recipient not in {self.me, EVERYBODY}:
            raise Dropped("misaddressed", envelope.sender)
        if sender is not None and envelope.sender != sender:
            raise Dropped("forged", envelope.sender)
        return envelope, body

    def _decrypted(self, data: bytes) -> bytes | None:
        for box in self._boxes:
            try:
                return bytes(box.decrypt(data))
            except CryptoError:
                continue
        return None


def _body_of(envelope: Envelope, wall: float) -> Body:
    try:
        return bounded(read_body(envelope), wall)
    except OverLimit as error:
        raise Dropped("limits", envelope.sender, error.reason) from error
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise Dropped("malformed", envelope.sender) from error
