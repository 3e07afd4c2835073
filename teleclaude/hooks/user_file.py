"""A settings file that is somebody else's: read whole, and replaced so that nothing of it is lost.

Rules:
- A link is followed, and what it leads to is replaced; the mode stays; a file that nobody may write stays as it is.
- Readers see the old or the new, never a mixture; a copy of the old is kept first.
- What changed since it was read is not overwritten.
"""

from __future__ import annotations

import contextlib
import os
import stat
import time
from dataclasses import dataclass
from pathlib import Path

from teleclaude.core.errors import Conflict, Refused
from teleclaude.core.files import private_folder, write_atomic

_MOST = 4 * 1024 * 1024  # bytes
_KEPT = 5  # copies of each agent's file


@dataclass(frozen=True, slots=True)
class UserFile:
    """A file at `path`, which stands at `target` when all links are followed. `text` is None when there is none."""

    path: Path
    target: Path
    text: str | None
    found: os.stat_result | None

    def refuse_unwritable(self) -> None:
        """Raise Refused where it may not be replaced."""
        if self.found is not None and (not self.found.st_mode & 0o222 or not os.access(self.target, os.W_OK)):
            raise Refused(f"{self.target} is read-only: what writes it (Nix, a dotfile manager) must write this too")
        if self.found is not None and self.found.st_nlink > 1:
            raise Refused(f"{self.target} has {self.found.st_nlink} names (hard links), which a new file would part")
        parent = self.target.parent
        if parent.exists() and not os.access(parent, os.W_OK):
            raise Refused(f"{parent} is read-only, so {self.target.name} in it cannot be replaced")

    def replace(self, text: str, copies: Path, name: str) -> None:
        """Write another text, and keep a copy of the old as `copies`/`name`-TIME. Raises Refused, Conflict, OSError."""
        self.refuse_unwritable()
        self._keep(copies, name)
        self.target.parent.mkdir(parents=True, exist_ok=True)
        self._refuse_changed()
        mode = 0o600 if self.found is None else stat.S_IMODE(self.found.st_mode)
        write_atomic(self.target, text.encode(), mode=mode)
        with contextlib.suppress(OSError):  # as root in another's home; who may not give it away owns it already
            if self.found is not None:
                os.chown(self.target, self.found.st_uid, self.found.st_gid)

    def remove(self, copies: Path, name: str) -> None:
        """Remove the file, and keep a copy. Raises Refused, Conflict, OSError."""
        self.refuse_unwritable()
        self._keep(copies, name)
        self._refuse_changed()
        self.target.unlink()

    def _keep(self, copies: Path, name: str) -> None:
        if self.text is None:
            return
        private_folder(copies)
        write_atomic(
            copies / f"{name}-{time.strftime('%Y%m%dT%H%M%S')}-{time.time_ns() % 10**9:09}", self.text.encode()
        )
        for old in sorted(copies.glob(f"{name}-*"))[:-_KEPT]:
            old.unlink(missing_ok=True)

    def _refuse_changed(self) -> None:
        try:
            now: os.stat_result | None = self.target.stat()
        except FileNotFoundError:
            now = None
        if _version(now) != _version(self.found):
            raise Conflict(f"{self.target} was changed meanwhile: try again")


def _version(found: os.stat_result | None) -> tuple[int, ...]:
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns) if found else ()


def read_user_file(path: Path) -> UserFile:
    """Read a file, or take note that there is none. Raises Refused, OSError."""
    target = Path(os.path.realpath(path))
    try:
        fd = os.open(target, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return UserFile(path, target, None, None)
    with os.fdopen(fd, "rb") as file:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            raise Refused(f"{target} is no file")
        data = file.read(_MOST + 1)
    if len(data) > _MOST:
        raise Refused(f"{target} has more than {_MOST} bytes, which no settings have")
    try:
        return UserFile(path, target, data.decode(), found)
    except UnicodeDecodeError as error:
        raise Refused(f"{target} is not UTF-8: {error.reason} at byte {error.start}") from error
