"""The files that say who this computer is to the fleet, and by which key it knows each other one. Both 0600.

`computer.key` is the seed of this computer's signing key, made once. `fleet-members.json` is like ssh's known_hosts;
the daemon and `teleclaude fleet accept` both write it, so each change reads it first, under a lock.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Callable
from pathlib import Path

import msgspec

from teleclaude.core.errors import NotFound, Refused
from teleclaude.core.files import private_folder, write_atomic
from teleclaude.core.paths import Places
from teleclaude.sync.fleet.keyring import KeyRing, load_ring, members_file
from teleclaude.sync.fleet.wire.identity import KEY_SIZE, SEED_SIZE, KnownComputers, Members, SigningKey
from teleclaude.sync.fleet.wire.sealing import Seal


def identity_file(place: Places) -> Path:
    """Where this computer's own key is."""
    return place.state / "computer.key"


def load_identity(place: Places) -> SigningKey:
    """Read this computer's own key; make it where there is none. Raises Refused for one that is no secret, OSError."""
    path = identity_file(place)
    private_folder(place.state)
    if not path.exists():
        _make_once(path, secrets.token_bytes(SEED_SIZE).hex().encode())
    if path.stat().st_mode & 0o077:
        raise Refused(f"{path} can be read by others: remove it, and have the others accept the new key")
    try:
        seed = bytes.fromhex(path.read_text(encoding="ascii"))
    except ValueError as error:
        raise Refused(f"{path} is no key: remove it, and have the others accept the new one") from error
    if len(seed) != SEED_SIZE:
        raise Refused(f"{path} is no key: remove it, and have the others accept the new one")
    return SigningKey(seed)


def _make_once(path: Path, data: bytes) -> None:
    """Write a file that two processes may make at once: the first one stays."""
    new = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    write_atomic(new, data)
    try:
        os.link(new, path)
    except FileExistsError:
        pass
    finally:
        new.unlink()


class MembersFile:
    """The store of KnownComputers."""

    def __init__(self, place: Places) -> None:
        self._path = members_file(place)
        self._seen: tuple[int, int, int] | None = None

    def read_if_changed(self) -> Members | None:
        """Read the file, when it is another than at the last call. Raises Refused for one that is none."""
        try:
            found = self._path.stat()
        except FileNotFoundError:
            now = (0, 0, 0)
        else:
            now = (found.st_ino, found.st_mtime_ns, found.st_size)
        if now == self._seen:
            return None
        members = read_members(self._path)
        self._seen = now
        return members

    def change(self, change: Callable[[Members], None]) -> Members:
        """Change the file. Raises OSError, Refused."""
        with self._path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            members = read_members(self._path)
            change(members)
            write_atomic(self._path, msgspec.json.encode(members))
        return members


def read_members(path: Path) -> Members:
    """Read the keys of the others. Raises Refused."""
    try:
        members = msgspec.json.decode(path.read_bytes(), type=Members)
    except FileNotFoundError:
        return Members()
    except (msgspec.DecodeError, OSError) as error:
        raise Refused(f"{path} cannot be read ({error}): remove it, then all are known by their next keys") from error
    if any(len(key) != KEY_SIZE for key in (*members.pinned.values(), *members.refused.values())):
        raise Refused(f"{path} holds a key of a wrong size: remove it, then all are known by their next keys")
    return members


def accept(place: Places, name: str) -> bytes:
    """Know a computer by the key that was refused, from now on; give that. Raises NotFound, OSError, Refused."""
    accepted: list[bytes] = []

    def take(members: Members) -> None:
        key = members.refused.pop(name, None)
        if key is None:
            others = f"; refused are: {', '.join(sorted(members.refused))}" if members.refused else ""
            raise NotFound(f"no computer called {name[:128]!r} came with another key than before{others}")
        members.pinned[name] = key
        accepted.append(key)

    MembersFile(place).change(take)
    return accepted[0]


def believe(place: Places, name: str, key: bytes) -> None:
    """Know a computer by the key that a join string tells: it came from a person's hand."""
    if len(key) != KEY_SIZE:
        raise Refused("the join string holds a key of a wrong size: print it again")

    def take(members: Members) -> None:
        members.pinned[name] = key
        members.refused.pop(name, None)

    MembersFile(place).change(take)


def make_seal(place: Places, me: str, epoch: str, generation: int, ring: KeyRing | None = None) -> Seal:
    """Make the seal of this computer. Raises Refused, OSError."""
    found = ring or load_ring(place)
    if found is None:
        raise Refused("no key for the fleet: `teleclaude fleet join` brings one")
    return Seal(me, epoch, generation, found, load_identity(place), KnownComputers(MembersFile(place)))
