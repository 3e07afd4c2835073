"""Being a member of a fleet: the key file in the state folder, and the join string that makes the next member.

The key file is JSON, 0600: the key in use, and older ones that still open messages until a time. The join string is
all that the next computer needs; who has it is a member.
"""

from __future__ import annotations

import base64
import binascii
import secrets
import time
from pathlib import Path

import msgspec

from teleclaude.core.errors import InvalidField, Refused
from teleclaude.core.files import write_atomic
from teleclaude.core.paths import Places

KEY_SIZE = 32
JOIN_PREFIX, OLDER_PREFIX = "tc2-", "tc1-"  # an older version cannot talk to this one, and refuses the string
GRACE = 0.0  # seconds that a key opens messages after it was replaced: a key is changed because somebody has it


class _Old(msgspec.Struct):
    key: bytes
    until: float


class KeyRing(msgspec.Struct):
    """The key in use, and those before it."""

    key: bytes
    old: list[_Old] = []

    def opening(self, wall: float) -> list[bytes]:
        """All keys that open messages at `wall`, the one that seals first."""
        return [self.key, *(old.key for old in self.old if old.until > wall)]

    def replaced(self, key: bytes, wall: float, grace: float = GRACE) -> KeyRing:
        """Make the ring in which `key` seals, and the present one still opens for `grace` seconds.

        Without grace no older key opens anything.
        """
        if grace <= 0:
            return KeyRing(key)
        kept = [old for old in self.old if old.until > wall and old.key != key]
        return KeyRing(key, [_Old(self.key, wall + grace), *kept] if self.key != key else kept)


class Invitation(msgspec.Struct, array_like=True):
    """What a join string says."""

    url: str
    prefix: str
    cluster: bool
    key: bytes
    ca: str = ""  # the certificate of a private authority, PEM
    inviter: str = ""  # the computer that made the string, and the key by which it signs
    inviter_key: bytes = b""


def key_file(place: Places) -> Path:
    """Where the key is."""
    return place.state / "fleet.key"


def members_file(place: Places) -> Path:
    """Where the keys are by which the others are known; see members_file.py."""
    return place.state / "fleet-members.json"


def forget_members(place: Places) -> None:
    """Forget the keys of the others, as on leaving a fleet."""
    members_file(place).unlink(missing_ok=True)


def new_key() -> bytes:
    """Make a key."""
    return secrets.token_bytes(KEY_SIZE)


def load_ring(place: Places) -> KeyRing | None:
    """Read the key file; None where there is none. Raises Refused for one that others can read, or that is none."""
    path = key_file(place)
    try:
        mode = path.stat().st_mode
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    if mode & 0o077:
        raise Refused(f"{path} can be read by others: chmod 600 it, and make a new key with `teleclaude fleet rotate`")
    try:
        ring = msgspec.json.decode(data, type=KeyRing)
    except msgspec.DecodeError as error:
        raise Refused(f"{path} is not a key file: join the fleet again") from error
    if any(len(key) != KEY_SIZE for key in ring.opening(0.0)):
        raise Refused(f"{path} holds a key of a wrong size: join the fleet again")
    return ring


def save_ring(place: Places, ring: KeyRing) -> None:
    """Write the key file."""
    write_atomic(key_file(place), msgspec.json.encode(ring), mode=0o600)


def forget_ring(place: Places) -> None:
    """Remove the key file."""
    key_file(place).unlink(missing_ok=True)


def keys_now(place: Places) -> list[bytes]:
    """All keys that open messages now, the one that seals first; empty without a fleet. Raises Refused."""
    ring = load_ring(place)
    return ring.opening(time.time()) if ring else []


def join_string(invitation: Invitation) -> str:
    """Make the join string of an invitation."""
    data = msgspec.msgpack.encode(invitation)
    check = binascii.crc32(data).to_bytes(4, "big")
    return JOIN_PREFIX + _coded(data + check)


def _coded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def read_join_string(text: str) -> Invitation:
    """Read a join string. Raises InvalidField, which never shows it."""
    text = "".join(text.split())
    wrong = InvalidField(
        "join string", "is not one, or was cut off when it was copied; `teleclaude fleet invite` prints it again"
    )
    if not text.startswith((JOIN_PREFIX, OLDER_PREFIX)):
        raise wrong
    coded = text[len(JOIN_PREFIX) :]
    try:
        data = base64.urlsafe_b64decode(coded + "=" * (-len(coded) % 4))
        if binascii.crc32(data[:-4]).to_bytes(4, "big") != data[-4:] or _coded(data) != coded:
            raise wrong
        invitation = msgspec.msgpack.decode(data[:-4], type=Invitation)
    except (ValueError, msgspec.DecodeError):
        raise wrong from None
    if len(invitation.key) != KEY_SIZE:
        raise wrong
    return invitation
