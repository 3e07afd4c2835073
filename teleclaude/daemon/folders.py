"""The daemon's folders: ours alone, nothing planted in them, emptied of what lives no longer than the daemon."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable
from pathlib import Path

from teleclaude.core.errors import Refused
from teleclaude.core.files import private_folder
from teleclaude.core.paths import Places


def prepare(place: Places) -> None:
    """Make the folders and look at what stands in the runtime folder. Raises Refused for what is planted there."""
    for folder in (place.runtime, place.state):
        _make(folder)
    _make(Path(os.path.realpath(place.config)))  # people link it from a repository of their own settings
    for path in (*_sockets(place), place.main_socket):
        _check(path, stat.S_ISSOCK, "socket")
    for path in (*_files(place), place.lock_file, place.log_file):
        _check(path, stat.S_ISREG, "file")


def clear(place: Places) -> None:
    """Remove what lives no longer than the daemon; call it with the lock held and no worker alive."""
    known = (*_sockets(place), *_files(place))
    for path in (*known, *_half_made(place.runtime, known)):
        with contextlib.suppress(FileNotFoundError):
            path.unlink()


def _half_made(folder: Path, known: tuple[Path, ...]) -> list[Path]:
    """What a writer that was killed left beside what it was to become."""
    begins = tuple(f".{path.name}" for path in known)
    with contextlib.suppress(FileNotFoundError):
        return [path for path in folder.iterdir() if path.name.startswith(begins)]
    return []


def _sockets(place: Places) -> tuple[Path, ...]:
    return (place.api_socket, place.cache_socket, place.feed_socket, place.requests_socket)


def _files(place: Places) -> tuple[Path, ...]:
    return (place.snapshot_file, place.counts_file, place.key_file, place.workers_file, place.settings_in_force)


def _make(folder: Path) -> None:
    try:
        private_folder(folder)
    except OSError as error:
        raise Refused(f"the folder {folder} cannot be made: {error.strerror}") from error


def _check(path: Path, is_right: Callable[[int], bool], what: str) -> None:
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    if not is_right(found.st_mode) or found.st_uid != os.geteuid():
        raise Refused(f"{path} is in the way and is no {what} of ours: remove it, then start again")
