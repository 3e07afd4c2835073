"""Finds the git repositories below the roots, and keeps what it found true folder by folder.

Rules: two levels deep; hidden folders, links and what is inside a repository are left out; a folder with too much in
it is looked at in part, and said so. A folder is watched before it is listed, so that nothing falls between.
Paths are absolute, real, and can be told as text.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from os import path as paths

from teleclaude.core.text import visible
from teleclaude.sync.projects import git
from teleclaude.sync.projects.folder_watch import Folders, Want
from teleclaude.sync.projects.reading import nearest

DEPTH = 2  # levels below a root
ENTRIES_LIMIT = 20_000  # entries of one folder
CHILDREN_LIMIT = 1000  # folders in one folder
_PASSED_OVER = {"node_modules", "__pycache__", "lost+found"}


@dataclass(frozen=True, order=True)
class Spot:
    """A folder at `depth` below a root; the owner of its watch."""

    path: str
    depth: int


@dataclass
class _Seen:
    is_repository: bool = False
    children: set[str] = field(default_factory=set)
    trouble: str = ""


class Roots:
    """The repositories below the roots. `look` at all first, later at those spots of which `folders` told a change."""

    def __init__(self, roots: Iterable[str], folders: Folders) -> None:
        self._folders = folders
        self._spots = [Spot(root, 0) for root in dict.fromkeys(roots)]
        self._seen: dict[Spot, _Seen] = {}

    @property
    def repositories(self) -> set[str]:
        """Paths of all repositories that are there now."""
        return {spot.path for spot, seen in self._seen.items() if seen.is_repository}

    @property
    def troubles(self) -> set[str]:
        """Sentences for a person: what could not be looked at."""
        return {seen.trouble for seen in self._seen.values() if seen.trouble}

    def look_at_all(self) -> None:
        """Look at every root, from the top."""
        for spot in self._spots:
            self.look(spot)

    def look(self, spot: Spot) -> None:
        """Look at one folder, and at those in it that were not known."""
        before = self._seen.get(spot)
        if spot.depth and before is None:
            return  # it went while its turn came
        self._visit(spot)

    def close(self) -> None:
        """Let go of the watches."""
        for spot in list(self._seen):
            self._forget(spot)

    def _visit(self, spot: Spot) -> None:
        seen = self._seen.setdefault(spot, _Seen())
        self._listen(spot)
        seen.is_repository = git.is_repository(spot.path)
        children, seen.trouble = self._children(spot, seen)
        for gone in seen.children - children:
            self._forget(Spot(gone, spot.depth + 1))
        before, seen.children = seen.children, children
        for child in sorted(Spot(path, spot.depth + 1) for path in children):
            # One that could not be listed is tried again: its parent hears when it is opened.
            if child.path not in before or self._seen[child].trouble:
                self._visit(child)

    def _listen(self, spot: Spot) -> None:
        self._folders.follow(spot, {spot.path: Want(frozenset({".git"}), folders=spot.depth < DEPTH)})

    def _forget(self, spot: Spot) -> None:
        seen = self._seen.pop(spot, None)
        if seen is not None:
            self._folders.follow(spot, {})
            for child in seen.children:
                self._forget(Spot(child, spot.depth + 1))

    def _children(self, spot: Spot, seen: _Seen) -> tuple[set[str], str]:
        """Folders to look into, and what is wrong, if something is."""
        if spot.depth == DEPTH or (seen.is_repository and spot.depth):
            return set(), ""
        try:
            return _listed(spot.path)
        except OSError as error:
            self._await(spot)
            if spot.depth == 0 and isinstance(error, FileNotFoundError) and paths.isdir(spot.path):
                self._listen(spot)  # it was made while we went to hear of that
                return self._children(spot, seen)
            is_gone = isinstance(error, FileNotFoundError) and spot.depth
            return set(), "" if is_gone else f"{visible(spot.path)} cannot be listed: {error.strerror}"

    def _await(self, spot: Spot) -> None:
        """Hear of what would let a folder be listed. For one below a root, its parent does."""
        wants: dict[str, Want] = {}
        while spot.depth == 0:
            folder, name = nearest(spot.path)
            if wants.keys() == {folder}:
                break
            wants = {folder: Want(frozenset({name}))}
            self._folders.follow(spot, wants)
            # Around again: a folder on the way may have been made before it was listened for.
        else:
            self._folders.follow(spot, {})


def _listed(folder: str) -> tuple[set[str], str]:
    """Give the folders in a folder that count, and a sentence when there are too many. Raises OSError."""
    found: set[str] = set()
    trouble = ""
    with os.scandir(folder) as entries:
        for number, entry in enumerate(entries):
            if number >= ENTRIES_LIMIT or len(found) >= CHILDREN_LIMIT:
                trouble = f"{visible(folder)} holds too much: only a part of it is looked at for projects"
                break
            if _counts(entry):
                found.add(entry.path)
    return found, trouble


def _counts(entry: os.DirEntry[str]) -> bool:
    if entry.name.startswith(".") or entry.name in _PASSED_OVER:
        return False
    try:
        return entry.is_dir(follow_symlinks=False) and is_text(entry.path)
    except OSError:
        return False


def is_text(path: str) -> bool:
    """Tell whether a path can be told as text: it holds no bytes outside UTF-8, and no NUL."""
    try:
        return b"\0" not in path.encode()
    except UnicodeEncodeError:
        return False
