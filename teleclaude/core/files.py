"""Files that survive a crash and folders that are ours alone."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

from teleclaude.core.errors import Refused


def write_atomic(path: Path, data: bytes, *, mode: int = 0o600, durable: bool = True) -> None:
    """Replace a file's content so that a reader or a crash sees the old or the new, never a mixture.

    `durable` waits for the disk. Raises OSError; the old file is then untouched.
    """
    import tempfile  # 10 ms, and not needed to start anything

    fd, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(fd, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(data)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise


def private_folder(path: Path) -> Path:
    """Make sure `path` is a folder of ours, mode 0700, not reached through a planted link. Returns it.

    Raises Refused where it is a link, no folder, or somebody else's.
    """
    with contextlib.suppress(FileExistsError):
        path.mkdir(mode=0o700, parents=True)
    found = path.lstat()
    if stat.S_ISLNK(found.st_mode) or not stat.S_ISDIR(found.st_mode):
        raise Refused(f"{path} must be a folder, but it is a link or a file: remove it, then start again")
    if found.st_uid != os.geteuid():
        raise Refused(f"{path} belongs to user {found.st_uid}, not to you: remove it, or place it elsewhere")
    if stat.S_IMODE(found.st_mode) & 0o077:
        path.chmod(0o700)
    return path


def unlink_socket(path: Path) -> None:
    """Remove a socket left by an earlier run. Raises Refused when something else stands in its place."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode) or found.st_uid != os.geteuid():
        raise Refused(f"{path} is in the way and is no socket of ours: remove it, then start again")
    path.unlink()
