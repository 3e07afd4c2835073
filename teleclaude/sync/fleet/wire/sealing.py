"""Sealing: every message is encrypted and authenticated with the fleet's key. Redis sees ciphertext.

What must live here: the key, who a message is for, and a count for each reason to drop one. What this module must
not know: what the messages say. Freshness is the business of guard.py (requests), roster.py (heartbeats) and
replication/replica.py (events).
"""

from __future__ import annotations

import logging
import re
import secrets
import threading
import time
from collections import Counter
from collections.abc import Sequence
from typing import Protocol

import msgspec
from nacl.exceptions import CryptoError
from nacl.secret import SecretBox

from teleclaude.core.text import one_line
from teleclaude.sync.fleet.wire.clock import now
from teleclaude.sync.fleet.wire.identity import (
    CODE_SIZE,
    SEED_SIZE,
    KnownComputers,
    SigningKey,
    Standing,
    fingerprint,
    is_signed,
)
from teleclaude.sync.fleet.wire.limits import OverLimit
from teleclaude.sync.fleet.wire.messages import (
    VERSION,
    Body,
    Clash,
    Command,
    Envelope,
    InterestChange,
    Pull,
    Signed,
    WatchScreens,
    encode,
    read_body,
    read_envelope,
    read_signed,
)
from teleclaude.sync.fleet.wire.receipt import bounded, check_envelope

log = logging.getLogger(__name__)

KEY_SIZE = SecretBox.KEY_SIZE
SIZE_LIMIT = 40 * 1024 * 1024  # bytes
EVERYBODY = "*"
HOLDS_AFTER = 60.0  # seconds of beats after which a computer has held its name
MAGIC = b"tc%d" % VERSION
_OTHER_VERSION = re.compile(rb"tc[13-9]")
_OVERHEAD = len(MAGIC) + SecretBox.NONCE_SIZE + SecretBox.MACBYTES
REQUESTS = (Command, Pull, InterestChange, WatchScreens)

OLDER = "it runs an older version of teleclaude, with which this one cannot talk: upgrade it"
NEWER = "it runs a newer version of teleclaude, with which this one cannot talk: upgrade this computer"
OTHER_KEY = (
    "it uses another key of the fleet than this computer: where the key was changed (`teleclaude fleet rotate`), "
    "`teleclaude fleet invite` prints the string by which the other joins again"
)
CHANGED_KEY = (
    "somebody with another key ({key}) says to be it, and is refused; "
    "if it was set up anew: `teleclaude fleet accept {name}`"
)

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
    "old key",  # a request, sealed with a key that was replaced
    "version",  # of another version of teleclaude
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


class Ring(Protocol):
    """The fleet's keys."""

    def opening(self, wall: float) -> list[bytes]:
        """All keys that open messages at `wall`, the one that seals first."""
        ...


class Seal:
    """Signs and seals what `me` says, in its epoch, and opens what is said to it.

    The first of the fleet's keys seals. Older ones open what people see, while their time runs; they open no request.
    `identity` and `known` are this computer's own key and those of the others; without them they are new, as in tests.
    """

    def __init__(
        self,
        me: str,
        epoch: str,
        generation: int,
        keys: Sequence[bytes] | Ring,
        identity: SigningKey | None = None,
        known: KnownComputers | None = None,
    ) -> None:
        self.me, self.epoch, self.generation = me, epoch, generation
        self._keys = keys
        self._boxes: dict[bytes, SecretBox] = {}
        self.identity = identity or SigningKey(secrets.token_bytes(SEED_SIZE))
        self.known = known or KnownComputers()
        self._beats_since: float | None = None

    def seal(self, recipient: str, body: Body | msgspec.Raw, message_id: str = "", *, at: float | None = None) -> bytes:
        """Sign and seal a body for `recipient`, or EVERYBODY. `at`: this computer's clock; now, when it is not said."""
        inside = body if isinstance(body, msgspec.Raw) else msgspec.Raw(encode(body))
        at = now() if at is None else at
        envelope = Envelope(
            VERSION,
            self.me,
            recipient,
            message_id or secrets.token_hex(16),
            self.epoch,
            self.generation,
            at,
            inside,
        )
        if recipient == EVERYBODY:
            self._beat(at)
        message = encode(envelope)
        signed = encode(Signed(VERSION, self.identity.public, self._proof(message, recipient), message))
        key = self._open_with(time.time())[0]
        return MAGIC + bytes(self._box(key).encrypt(signed))

    def _proof(self, message: bytes, recipient: str) -> bytes:
        """Prove who says it: to one computer that is known by a code, else by a signature."""
        key = None if recipient in {EVERYBODY, self.me} else self.known.key_of(recipient)
        return self.identity.sign(message) if key is None else self.identity.code(message, key)

    def _is_proven(self, signed: Signed, recipient: str) -> bool:
        if len(signed.signature) == CODE_SIZE:
            is_own = signed.key == self.identity.public  # such a code could be anybody's who has it back from us
            return (
                recipient == self.me
                and not is_own
                and self.identity.is_coded(signed.message, signed.signature, signed.key)
            )
        return is_signed(signed.message, signed.signature, signed.key)

    def _beat(self, at: float) -> None:
        """Who beats has the name; who has had it for a while is not taken for another when that one beats as well."""
        if self._beats_since is None:
            self._beats_since = at
        elif at - self._beats_since >= HOLDS_AFTER:
            self.known.pin(self.me, self.identity.public)

    def open(self, data: bytes, *, sender: str | None = None, wall: float | None = None) -> tuple[Envelope, Body]:
        """Open a message, which has to be from `sender` when that is known. Raises Dropped.

        `wall`: seconds since 1970 here; now, when it is not said.
        """
        wall = time.time() if wall is None else wall
        if not data.startswith(MAGIC) or not _OVERHEAD < len(data) <= SIZE_LIMIT:
            raise self._foreign(data, sender or "", wall)
        plain, number = self._decrypted(data[len(MAGIC) :], wall)
        if plain is None:
            raise Dropped("altered", sender or "", OTHER_KEY if sender else "")
        try:
            signed = read_signed(plain)
            envelope = read_envelope(signed.message)
            check_envelope(envelope)
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            raise Dropped("malformed", sender or "") from error
        if not self._is_proven(signed, envelope.recipient):
            raise Dropped("forged", sender or "")
        if envelope.recipient not in {self.me, EVERYBODY}:
            raise Dropped("misaddressed", envelope.sender)
        if sender is not None and envelope.sender != sender:
            raise Dropped("forged", envelope.sender)
        body = _body_of(envelope, wall)
        self._check_signer(envelope.sender, signed.key, body)
        if number and isinstance(body, REQUESTS):
            raise Dropped("old key", envelope.sender, OTHER_KEY)
        return envelope, body

    def _check_signer(self, sender: str, key: bytes, body: Body) -> None:
        """Raise for a key that is not the sender's. In this computer's own name a namesake may tell that it is one."""
        if sender == self.me:
            is_held = self.known.key_of(self.me) == self.identity.public
            if key != self.identity.public and is_held and not isinstance(body, Clash):
                raise Dropped("forged", sender)
            return
        standing = self.known.judge(sender, key)
        if standing is Standing.CHANGED:
            raise Dropped("forged", sender, CHANGED_KEY.format(name=sender, key=fingerprint(key)))
        if standing is Standing.TOO_MANY:
            raise Dropped("limits", sender)

    def _foreign(self, data: bytes, sender: str, wall: float) -> Dropped:
        """Tell what is no message of this version from what is none at all."""
        if not _OTHER_VERSION.match(data) or len(data) > SIZE_LIMIT:
            return Dropped("unsealed", sender)
        plain, _ = self._decrypted(data[len(MAGIC) :], wall)  # all versions seal alike, so it is a member's
        if plain is None:
            return Dropped("altered", sender)
        return Dropped("version", sender, OLDER if data.startswith(b"tc1") else NEWER)

    def _open_with(self, wall: float) -> list[bytes]:
        return list(self._keys) if isinstance(self._keys, Sequence) else self._keys.opening(wall)

    def _decrypted(self, data: bytes, wall: float) -> tuple[bytes | None, int]:
        """Give what is inside, and the number of the key that opened it: 0 is the present one."""
        for number, key in enumerate(self._open_with(wall)):
            try:
                return bytes(self._box(key).decrypt(data)), number
            except CryptoError:
                continue
        return None, 0

    def _box(self, key: bytes) -> SecretBox:
        box = self._boxes.get(key)
        if box is None:
            box = self._boxes[key] = SecretBox(key)
        return box


def _body_of(envelope: Envelope, wall: float) -> Body:
    try:
        return bounded(read_body(envelope), wall)
    except OverLimit as error:
        raise Dropped("limits", envelope.sender, error.reason) from error
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise Dropped("malformed", envelope.sender) from error
