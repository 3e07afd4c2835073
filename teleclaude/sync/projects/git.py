"""What a git repository says of itself in files; git is never run.

Read are `.git` (a folder, or a file that names one, as in worktrees and submodules) and its `HEAD`. Anything unusual
is answered with "nothing": a repository must not be able to stop a look at the others.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from os import path as paths

from teleclaude.core.text import one_line

BRANCH_LIMIT = 128  # characters
_READ_LIMIT = 4096  # bytes; a HEAD and a `.git` file are one line each
_HASH = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_SHORT_HASH = 8


def is_repository(folder: str) -> bool:
    """Tell whether `folder` has a `.git`, folder or file."""
    try:
        mode = os.stat(paths.join(folder, ".git")).st_mode
    except (OSError, ValueError):
        return False
    return stat.S_ISDIR(mode) or stat.S_ISREG(mode)


def root_of(path: str) -> str | None:
    """Give the nearest folder at or above `path` that is a repository; None when there is none."""
    return next((folder for folder in upwards(path) if is_repository(folder)), None)


def upwards(path: str) -> Iterator[str]:
    """Give an absolute path and the folders above it, up to `/`. Nothing for one that is not absolute."""
    folder = path.rstrip("/") or path[:1]
    while folder.startswith("/"):
        yield folder
        if folder == "/":
            return
        folder = folder.rpartition("/")[0].rstrip("/") or "/"


def git_folder(repository: str) -> str | None:
    """Give the real folder that holds the repository's HEAD; None when `.git` leads nowhere."""
    place = paths.join(repository, ".git")
    line = _first_line(place)
    if line is not None:
        name, _, target = line.partition("gitdir:")
        if name or not target.strip() or "\0" in target:
            return None
        place = paths.join(repository, target.strip())
    real = paths.realpath(place)
    return real if paths.isdir(real) else None


def branch_of(git: str) -> str:
    """Give the branch that the HEAD in a git folder names; eight digits of the commit when it names none."""
    line = _first_line(paths.join(git, "HEAD")) or ""
    name, _, target = line.partition("ref:")
    if name:
        return line[:_SHORT_HASH] if _HASH.fullmatch(line) else ""
    branch = target.strip().removeprefix("refs/heads/")
    # A repository with reftables has a HEAD for show.
    return "" if branch == ".invalid" else one_line(branch, BRANCH_LIMIT)


def _first_line(path: str) -> str | None:
    """First line of a small regular file; None for anything else."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except (OSError, ValueError):
        return None
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return None
        text = os.read(fd, _READ_LIMIT).decode("utf-8", "replace")
    except OSError:
        return None
    finally:
        os.close(fd)
    return text.partition("\n")[0].strip()
