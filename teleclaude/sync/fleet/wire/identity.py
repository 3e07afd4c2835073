"""Who says something: each computer signs with a key of its own, and the others know it by that key.

The fleet's key keeps secrets, and is everybody's; it proves no sender. So each message tells its sender's public key,
is proven by that, and counts only when that is the key by which its sender is known. What is for all is signed
(Ed25519). What is for one computer has a code (BLAKE2b) by the secret that the two keys make together (X25519, as in
NaCl's box), which proves as much to that one, and costs a thirtieth to check. Rules of this module:
- The first key that a name is seen with is its own (pinned); the one who invited is pinned when the string is read.
- Another key under that name is refused, for whatever it says, until a person accepts it.
- A computer that has held its name for a while knows it as its own: nobody takes it by saying the same name.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import threading
from collections.abc import Callable
from enum import Enum
from typing import Protocol

import msgspec
from nacl.bindings import (
    crypto_box_beforenm,
    crypto_sign,
    crypto_sign_ed25519_pk_to_curve25519,
    crypto_sign_ed25519_sk_to_curve25519,
    crypto_sign_open,
    crypto_sign_seed_keypair,
)
from nacl.exceptions import BadSignatureError, CryptoError

from teleclaude.core.errors import TeleclaudeError

log = logging.getLogger(__name__)

SEED_SIZE = 32
KEY_SIZE = 32
SIGNATURE_SIZE, CODE_SIZE = 64, 32
AGREED = 4096  # computers with which the secret is kept
NAMES = 10_000  # computers that are known, at most
_PURPOSE = b"teleclaude message 2\0"


class SigningKey:
    """A computer's own key, made from a secret seed of SEED_SIZE bytes."""

    def __init__(self, seed: bytes) -> None:
        self.public, self._secret = crypto_sign_seed_keypair(seed)

        self._agreed: dict[bytes, bytes] = {}

    def sign(self, message: bytes) -> bytes:
        """Give the signature of a message."""
        return crypto_sign(_digest(message), self._secret)[:SIGNATURE_SIZE]

    def code(self, message: bytes, other: bytes) -> bytes:
        """Give the code of a message between this computer and the one of a public key. Raises ValueError for none."""
        return hashlib.blake2b(_digest(message), key=self._agree(other), digest_size=CODE_SIZE).digest()

    def is_coded(self, message: bytes, code: bytes, other: bytes) -> bool:
        """Tell whether the other one, or this one, made that code."""
        try:
            return hmac.compare_digest(self.code(message, other), code)
        except (CryptoError, ValueError, TypeError):
            return False

    def _agree(self, other: bytes) -> bytes:
        found = self._agreed.get(other)
        if found is None:
            if len(self._agreed) >= AGREED:
                self._agreed.clear()
            theirs, own = (
                crypto_sign_ed25519_pk_to_curve25519(other),
                crypto_sign_ed25519_sk_to_curve25519(self._secret),
            )
            found = self._agreed[other] = crypto_box_beforenm(theirs, own)
        return found


def is_signed(message: bytes, signature: bytes, public: bytes) -> bool:
    """Tell whether the holder of a public key signed a message."""
    if len(signature) != SIGNATURE_SIZE or len(public) != KEY_SIZE:
        return False
    try:
        crypto_sign_open(signature + _digest(message), public)
    except (BadSignatureError, ValueError):
        return False
    return True


def _digest(message: bytes) -> bytes:
    return _PURPOSE + hashlib.blake2b(message).digest()


def fingerprint(public: bytes) -> str:
    """Name a key for people who compare it: eight groups of four hex digits."""
    text = hashlib.blake2b(public, digest_size=16).hexdigest()
    return " ".join(text[at : at + 4] for at in range(0, len(text), 4))


class Standing(Enum):
    """What a key is to a name."""

    KNOWN = "known"
    CHANGED = "changed"
    TOO_MANY = "too many"


class Members(msgspec.Struct):
    """Keys by name: `pinned` are those that count; `refused` is the last other one seen under a name."""

    pinned: dict[str, bytes] = {}
    refused: dict[str, bytes] = {}


class Store(Protocol):
    """Where the keys are kept."""

    def read_if_changed(self) -> Members | None:
        """Give what is kept, when it is another than at the last call."""
        ...

    def change(self, change: Callable[[Members], None]) -> Members:
        """Change what is kept, and give it; raises OSError."""
        ...


class KnownComputers:
    """The keys of all computers. What is new is kept in the store, at once; it seldom is."""

    def __init__(self, store: Store | None = None) -> None:
        self._store = store
        self._members = (store.read_if_changed() if store else None) or Members()
        self._lock = threading.Lock()

    def judge(self, name: str, key: bytes) -> Standing:
        """Judge a key that signed in a name; the first one is pinned."""
        if self._members.pinned.get(name) == key:
            return Standing.KNOWN
        with self._lock:
            self._read_anew()  # a person may have accepted it
            pinned = self._members.pinned
            if name not in pinned:
                return self._pin(name, key)
            if pinned[name] == key:
                return Standing.KNOWN
            if self._members.refused.get(name) != key:
                log.warning("%s comes with another key than before (%s): refused", name, fingerprint(key))
                self._change(lambda members: members.refused.__setitem__(name, key))
            return Standing.CHANGED

    def pin(self, name: str, key: bytes) -> None:
        """Know a computer by a key from now on, when it is not known yet."""
        with self._lock:
            self._read_anew()
            if name not in self._members.pinned:
                self._pin(name, key)

    def key_of(self, name: str) -> bytes | None:
        """The key by which a computer is known."""
        return self._members.pinned.get(name)

    def _pin(self, name: str, key: bytes) -> Standing:
        if len(self._members.pinned) >= NAMES:
            return Standing.TOO_MANY
        self._change(lambda members: members.pinned.setdefault(name, key))
        return Standing.KNOWN if self._members.pinned[name] == key else Standing.CHANGED

    def _read_anew(self) -> None:
        try:
            found = self._store.read_if_changed() if self._store else None
        except (OSError, TeleclaudeError) as error:
            log.warning("the keys of the other computers cannot be read anew: %s", error)
            return
        if found is not None:
            self._members = found

    def _change(self, change: Callable[[Members], object]) -> None:
        def apply(members: Members) -> None:
            change(members)

        try:
            if self._store:
                self._members = self._store.change(apply)
                return
        except (OSError, TeleclaudeError) as error:
            log.warning("the key of a computer cannot be kept: %s", error)
        apply(self._members)
