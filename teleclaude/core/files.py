"""Files that survive a crash and folders that are ours alone."""

from __future__ import annotations

import contextlib
import os
import socket
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
    if _mode_of_own(path) & 0o077:
        path.chmod(0o700)
    return path


def refuse_planted(path: Path) -> None:
    """Raise Refused unless `path` is a folder of ours that nobody else can write to, or is not there at all."""
    try:
        mode = _mode_of_own(path)
    except (FileNotFoundError, NotADirectoryError):
        return
    except PermissionError as error:
        raise Refused(f"{path} cannot be looked at ({error.strerror}): place it elsewhere") from error
    if mode & 0o022:
        raise Refused(f"others can write to {path}: look at what is in it, then `chmod 700` it or remove it")


def _mode_of_own(path: Path) -> int:
    found = path.lstat()
    if stat.S_ISLNK(found.st_mode) or not stat.S_ISDIR(found.st_mode):
        raise Refused(f"{path} must be a folder, but it is a link or a file: remove it, then start again")
    if found.st_uid != os.geteuid():
        raise Refused(f"{path} belongs to user {found.st_uid}, not to you: remove it, or place it elsewhere")
    return stat.S_IMODE(found.st_mode)


def bind_socket(path: Path, backlog: int) -> socket.socket:
    """Listen at `path`, with a file of mode 0600 from the first moment at which it bears that name.

    Takes the place of a socket that was left there. Raises Refused for anything else that stands there, and OSError.
    """
    unlink_socket(path)
    temporary = path.with_name(f".{path.name}~")
    unlink_socket(temporary)
    found = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        found.bind(str(temporary))
        temporary.chmod(0o600)
        found.listen(backlog)
        temporary.rename(path)  # only now does it bear the name: nobody meets it half made
    except BaseException:
        found.close()
        temporary.unlink(missing_ok=True)
        raise
    return found


def is_file_at(path: Path, found: os.stat_result) -> bool:
    """Whether the file `found` (its stat) is still the one at `path`."""
    try:
        return os.path.samestat(path.lstat(), found)
    except OSError:
        return False


def unlink_socket(path: Path) -> None:
    """Remove a socket left by an earlier run. Raises Refused when something else stands in its place."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode) or found.st_uid != os.geteuid():
        raise Refused(f"{path} is in the way and is no socket of ours: remove it, then start again")
    path.unlink()
