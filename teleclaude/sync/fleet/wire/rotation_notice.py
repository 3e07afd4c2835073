"""The notice that a key of the fleet was changed, for who comes with the old one. Pure.

It lies in Redis under a name that is made from the old key, sealed with that: who has the old key reads it, and acts on
nothing but that it says so. A forged one can only make somebody ask for the new string.
"""

from __future__ import annotations

import hashlib

import msgspec
from nacl.exceptions import CryptoError
from nacl.secret import SecretBox

from teleclaude.core.text import one_line

KEPT = 90 * 24 * 3600  # seconds


class RotationNotice(msgspec.Struct, frozen=True, array_like=True):
    """Which computer changed the key, and when (UTC text)."""

    by: str
    at: str


def key_id(key: bytes) -> str:
    """Name a key without telling it."""
    return hashlib.blake2b(key, digest_size=8, person=b"tc-key").hexdigest()


def sealed_notice(old_key: bytes, by: str, at: str) -> bytes:
    """Make the notice that `old_key` is replaced."""
    return bytes(SecretBox(old_key).encrypt(msgspec.msgpack.encode(RotationNotice(by, at))))


def read_notice(key: bytes, found: object) -> RotationNotice | None:
    """Read what lies under a key's name; None when that is no notice for it."""
    if not isinstance(found, bytes) or not 40 < len(found) < 4096:
        return None
    try:
        notice = msgspec.msgpack.decode(SecretBox(key).decrypt(found), type=RotationNotice)
    except (CryptoError, msgspec.DecodeError, ValueError):
        return None
    return RotationNotice(one_line(notice.by, 128), one_line(notice.at, 32))
