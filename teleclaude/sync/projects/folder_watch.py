"""Folders under inotify, each for one or more owners, and the names in them that an owner wants to hear of.

Rules: folders are watched, never files, so that a file that is replaced, or made later, is heard of. What was missed
(the queue ran over) is told as "all owners". Where the kernel gives no watch, or a folder is so busy with other
things that listening costs more than looking, its owners are named in `unwatched`, to be looked at by the
clock.

Paths are absolute, real (no links), and text as the file system has it.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
from collections import defaultdict
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field

from inotify_simple import INotify, flags

from teleclaude.sync.projects.progress import Progress

log = logging.getLogger(__name__)

Owner = Hashable
BUSY = 200  # events a second that nobody wants, above which a folder is no longer listened to
BUSY_FOR = 30.0  # seconds until it is listened to again

_SELF = flags.DELETE_SELF | flags.MOVE_SELF | flags.IGNORED | flags.UNMOUNT
_MASK = (
    flags.CREATE
    | flags.DELETE
    | flags.MOVED_FROM
    | flags.MOVED_TO
    | flags.CLOSE_WRITE
    | flags.ATTRIB
    | flags.DELETE_SELF
    | flags.MOVE_SELF
    | flags.ONLYDIR
    | flags.EXCL_UNLINK
)


@dataclass(frozen=True)
class Want:
    """What an owner wants to hear of in a folder: these names, and (`folders`) any folder that comes or goes."""

    names: frozenset[str] = frozenset()
    folders: bool = False

    def fits(self, name: str, mask: int) -> bool:
        """Tell whether an event is wanted."""
        return name in self.names or (self.folders and bool(mask & flags.ISDIR))


@dataclass
class _Folder:
    """A folder and who wants what in it. `wd` is None while it is not watched."""

    path: str
    wd: int | None = None
    wants: dict[Owner, Want] = field(default_factory=dict)
    unwanted: int = 0  # events nobody wanted since `since`
    since: float = 0.0
    busy_until: float = 0.0


class Folders:
    """The watches of one inotify. When the kernel gives none at all, everything is unwatched."""

    def __init__(self, progress: Progress | None = None) -> None:
        self._progress = progress or Progress()
        self._inotify: INotify | None = None
        self._folders: dict[str, _Folder] = {}
        self._by_wd: defaultdict[int, set[str]] = defaultdict(set)
        self._owned: dict[Owner, frozenset[str]] = {}
        self._is_limited = False
        try:
            self._inotify = INotify(nonblocking=True)
            self._fd: int = self._inotify.fileno()
        except OSError as error:
            log.warning("no inotify (%s): looking at projects and todos by the clock", error)
            self._fd = os.eventfd(0, os.EFD_CLOEXEC)

    def fileno(self) -> int:
        """File descriptor that is readable when `changed` has something to tell."""
        return self._fd

    def close(self) -> None:
        """Let go of all watches."""
        if self._inotify is None:
            os.close(self._fd)
        else:
            self._inotify.close()

    def follow(self, owner: Owner, wants: Mapping[str, Want]) -> bool:
        """Say all that an owner wants to hear of. True when a folder is watched that was not: look again then."""
        for path in self._owned.get(owner, frozenset()) - wants.keys():
            self._drop(owner, path)
        self._owned[owner] = frozenset(wants)
        if not wants:
            del self._owned[owner]
        added = [self._add(owner, path, want) for path, want in wants.items()]
        return any(added)

    def unwatched(self) -> set[Owner]:
        """Owners that want to hear of a folder that is not watched, though it is there."""
        return {owner for folder in self._folders.values() if folder.wd is None for owner in folder.wants}

    def changed(self, now: float) -> set[Owner]:
        """Give the owners whose folders changed in a way they want to hear of. `now`: seconds, monotonic."""
        if self._inotify is None:
            return set()
        hit: set[Owner] = set()
        for wd, mask, _, name in self._inotify.read(timeout=0):
            if mask & flags.Q_OVERFLOW:
                return set(self._owned)
            for path in tuple(self._by_wd.get(wd, ())):
                hit |= self._hit(self._folders[path], mask, name, now)
            if mask & flags.IGNORED:
                self._by_wd.pop(wd, None)
        return hit

    def listen_again(self, now: float) -> None:
        """Watch the folders again that were too busy, or for which there was no watch left."""
        for folder in self._answering():
            if folder.wd is None and folder.busy_until <= now:
                self._watch(folder)

    def check(self) -> set[Owner]:
        """Give the owners of folders that are not what is watched any more: a folder above was moved, or replaced."""
        return {owner for folder in self._answering() if not self._is_true(folder) for owner in folder.wants}

    def _answering(self) -> Iterator[_Folder]:
        """Give the folders that are not left alone, each said before it is touched."""
        for folder in self._folders.values():
            if not self._progress.is_avoided(folder.path):
                self._progress.begin(folder.path)
                yield folder

    def _is_true(self, folder: _Folder) -> bool:
        """Watch the path anew: the kernel gives the same watch when it is the same folder."""
        before = folder.wd
        if before is None:
            return True
        self._unwatch(folder, keep=True)
        self._watch(folder)
        if folder.wd != before:
            self._remove_unused(before)
        return folder.wd == before

    def _hit(self, folder: _Folder, mask: int, name: str, now: float) -> set[Owner]:
        if mask & _SELF:
            self._unwatch(folder, keep=bool(mask & (flags.IGNORED | flags.DELETE_SELF)))
            return set(folder.wants)
        hit = {owner for owner, want in folder.wants.items() if want.fits(name, mask)}
        # What comes behind in the queue of a folder that is let go is not told any more: its owners look now.
        return set(folder.wants) if not hit and self._is_too_busy(folder, now) else hit

    def _is_too_busy(self, folder: _Folder, now: float) -> bool:
        """Count an event that nobody wants, and let go of the folder when there are too many."""
        if now - folder.since >= 1.0:
            folder.since, folder.unwanted = now, 0
        folder.unwanted += 1
        if folder.unwanted <= BUSY:
            return False
        folder.busy_until = now + BUSY_FOR
        self._unwatch(folder)
        return True

    def _add(self, owner: Owner, path: str, want: Want) -> bool:
        folder = self._folders.setdefault(path, _Folder(path))
        folder.wants[owner] = want
        return folder.wd is None and not folder.busy_until and self._watch(folder)

    def _drop(self, owner: Owner, path: str) -> None:
        folder = self._folders[path]
        folder.wants.pop(owner, None)
        if not folder.wants:
            self._unwatch(folder)
            del self._folders[path]

    def _watch(self, folder: _Folder) -> bool:
        if self._inotify is None:
            return False
        try:
            folder.wd = watch = self._inotify.add_watch(folder.path, _MASK)
        except OSError as error:
            self._note_limit(error)
            return False
        folder.busy_until = 0.0
        self._by_wd[watch].add(folder.path)
        return True

    def _note_limit(self, error: OSError) -> None:
        if error.errno in {errno.ENOSPC, errno.ENOMEM} and not self._is_limited:
            self._is_limited = True
            log.warning("no inotify watches are left (fs.inotify.max_user_watches): looking at the rest by the clock")

    def _unwatch(self, folder: _Folder, *, keep: bool = False) -> None:
        """Forget a folder's watch; with `keep`, the kernel has dropped it itself, or it is needed on."""
        wd, folder.wd = folder.wd, None
        if wd is None:
            return
        self._by_wd[wd].discard(folder.path)
        if not keep:
            self._remove_unused(wd)

    def _remove_unused(self, wd: int) -> None:
        if self._inotify is not None and not self._by_wd[wd]:
            del self._by_wd[wd]
            with contextlib.suppress(OSError):
                self._inotify.rm_watch(wd)
