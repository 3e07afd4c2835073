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
from teleclaude.sync.projects.progress import Progress
from teleclaude.sync.projects.reading import nearest

DEPTH = 2  # levels below a root
ENTRIES_LIMIT = 20_000  # entries of one folder
CHILDREN_LIMIT = 1000  # folders in one folder
_PASSED_OVER = {"node_modules", "__pycache__", "lost+found"}


@dataclass(frozen=True, order=True)
class ScanNode:
    """A folder at `depth` below a root; the owner of its watch."""

    path: str
    depth: int


@dataclass
class _Scanned:
    is_repository: bool = False
    children: set[str] = field(default_factory=set)
    trouble: str = ""


class Roots:
    """The repositories below the roots. `look` at all first, later at those nodes of which `folders` told a change."""

    def __init__(self, roots: Iterable[str], folders: Folders, progress: Progress | None = None) -> None:
        self._folders = folders
        self._progress = progress or Progress()
        self._nodes = [ScanNode(root, 0) for root in dict.fromkeys(roots)]
        self._scanned: dict[ScanNode, _Scanned] = {}

    @property
    def repositories(self) -> set[str]:
        """Paths of all repositories that are there now."""
        return {node.path for node, scanned in self._scanned.items() if scanned.is_repository}

    @property
    def troubles(self) -> set[str]:
        """Sentences for a person: what could not be looked at."""
        return {scanned.trouble for scanned in self._scanned.values() if scanned.trouble}

    def look_at_all(self) -> None:
        """Look at every root, from the top."""
        for node in self._nodes:
            self.look(node)

    def look(self, node: ScanNode) -> None:
        """Look at one folder, and at those in it that were not known."""
        before = self._scanned.get(node)
        if node.depth and before is None:
            return  # it went while its turn came
        self._visit(node)

    def close(self) -> None:
        """Let go of the watches."""
        for node in list(self._scanned):
            self._forget(node)

    def _visit(self, node: ScanNode) -> None:
        scanned = self._scanned.setdefault(node, _Scanned())
        if self._progress.is_avoided(node.path):
            scanned.trouble = f"{visible(node.path)} does not answer"
            return
        self._progress.begin(node.path)
        self._listen(node)
        scanned.is_repository = git.is_repository(node.path)
        children, scanned.trouble = self._children(node, scanned)
        for gone in scanned.children - children:
            self._forget(ScanNode(gone, node.depth + 1))
        before, scanned.children = scanned.children, children
        for child in sorted(ScanNode(path, node.depth + 1) for path in children):
            # One that could not be listed is tried again: its parent hears when it is opened.
            if child.path not in before or self._scanned[child].trouble:
                self._visit(child)

    def _listen(self, node: ScanNode) -> None:
        self._folders.follow(node, {node.path: Want(frozenset({".git"}), folders=node.depth < DEPTH)})

    def _forget(self, node: ScanNode) -> None:
        scanned = self._scanned.pop(node, None)
        if scanned is not None:
            self._folders.follow(node, {})
            for child in scanned.children:
                self._forget(ScanNode(child, node.depth + 1))

    def _children(self, node: ScanNode, scanned: _Scanned) -> tuple[set[str], str]:
        """Folders to look into, and what is wrong, if something is."""
        if node.depth == DEPTH or (scanned.is_repository and node.depth):
            return set(), ""
        try:
            return _listed(node.path)
        except OSError as error:
            self._await(node)
            if node.depth == 0 and isinstance(error, FileNotFoundError) and paths.isdir(node.path):
                self._listen(node)  # it was made while we went to hear of that
                return self._children(node, scanned)
            is_gone = isinstance(error, FileNotFoundError) and node.depth
            return set(), "" if is_gone else f"{visible(node.path)} cannot be listed: {error.strerror}"

    def _await(self, node: ScanNode) -> None:
        """Hear of what would let a folder be listed. For one below a root, its parent does."""
        wants: dict[str, Want] = {}
        while node.depth == 0:
            folder, name = nearest(node.path)
            if wants.keys() == {folder}:
                break
            wants = {folder: Want(frozenset({name}))}
            self._folders.follow(node, wants)
            # Around again: a folder on the way may have been made before it was listened for.
        else:
            self._folders.follow(node, {})


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
