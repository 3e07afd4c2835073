"""What a reader of files says before it touches a place, and which places it leaves alone.

A system call on a dead mount may never return, and the thread in it cannot be ended. So each unit of work is named
first: whoever looks on sees where it is stuck, abandons it, and lets another go on without that place. Pure, but for
the table of mounts.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

_REMOTE = ("9p", "afs", "autofs", "ceph", "cifs", "davfs", "fuse", "gluster", "lustre", "nfs", "smb", "virtiofs")


class Abandoned(Exception):  # noqa: N818  (it says what the reader is; no error happened)
    """This reader was given up while it was stuck; another goes on in its place."""


class Progress:
    """For a reader that nobody looks on: every place is touched."""

    def begin(self, path: str) -> None:
        """Say that `path` is touched now; "" for nothing. Raises Abandoned."""

    def is_avoided(self, path: str) -> bool:  # noqa: ARG002  (what others override)
        """Tell whether a place is to be left alone, because it did not answer."""
        return False


def covers(place: str, path: str) -> bool:
    """Tell whether `path` is `place`, or below it."""
    return path == place or path.startswith(place.rstrip("/") + "/")


def place_of(path: str, mounts: str) -> str:
    """Give what does not answer when `path` does not: the remote mount that it is on, else `path` itself.

    `mounts`: the text of /proc/self/mountinfo (proc(5)).
    """
    remote = {point for point, kind in _mounts(mounts.splitlines()) if kind.startswith(_REMOTE)}
    return max((point for point in remote if covers(point, path)), key=len, default=path)


def _mounts(lines: Iterable[str]) -> list[tuple[str, str]]:
    """(mount point, type of its file system) of each line."""
    found: list[tuple[str, str]] = []
    for line in lines:
        fields, _, rest = line.partition(" - ")
        words, kind = fields.split(), rest.split()
        if len(words) > 4 and kind:  # noqa: PLR2004  (the fifth field is the mount point)
            found.append((_unescaped(words[4]), kind[0]))
    return found


def _unescaped(text: str) -> str:
    r"""Give a mount point as it is: the table has spaces and the like as \040."""
    head, *parts = text.split("\\")
    return head + "".join(chr(int(part[:3], 8)) + part[3:] if part[:3].isdigit() else part for part in parts)


def mount_table() -> str:
    """Text of the table of mounts; it asks the kernel and no file system."""
    try:
        return Path("/proc/self/mountinfo").read_text("utf-8", "surrogateescape")
    except OSError:
        return ""
