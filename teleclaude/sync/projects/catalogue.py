"""This computer's projects and todos, kept as its files have them.

Projects are those of the settings, the git repositories below the roots, and for a session elsewhere its git root, or
else its folder. A project of the settings whose folder is missing is listed all the same, so that a slip in the
settings is seen, and is read as soon as the folder is there.

Rules: a look reads again only what changed; with nothing changed it reads nothing, and between looks it asks
for no wake-up. A change is read `SETTLE` after it was heard of, so that a file in the middle of being saved is seen
once, whole. Each trouble is logged once, until it is gone.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from os import path as paths

from teleclaude.core.records import Project, Todo
from teleclaude.core.settings import ProjectEntry, ProjectSettings
from teleclaude.core.text import one_line, visible
from teleclaude.sync.projects import git
from teleclaude.sync.projects.folder_watch import Folders, Owner
from teleclaude.sync.projects.progress import Progress
from teleclaude.sync.projects.reading import Reading, read_project
from teleclaude.sync.projects.roots import Roots, ScanNode, is_text

log = logging.getLogger(__name__)

SETTLE = 0.05  # seconds
UNWATCHED_EVERY = 1.0  # seconds between looks at a few folders that cannot be listened to
UNWATCHED_MANY = 50  # above so many, seconds grow with the number
CHECK_EVERY = 60.0  # seconds between checks that ride along with a look
_NAME_LIMIT = 128  # characters
_DESCRIPTION_LIMIT = 1024
_TRIES = 3


@dataclass(frozen=True)
class CatalogueView:
    """What a look found, for who touches no file. `homes`: the project of each session's folder."""

    projects: tuple[Project, ...] = ()
    todos: tuple[Todo, ...] = ()
    homes: Mapping[str, str] = field(default_factory=dict)
    listed: frozenset[str] = frozenset()

    def project_of(self, cwd: str) -> str:
        """Path of the project a folder belongs to: the longest that holds it; "" for none."""
        known = self.homes.get(cwd)
        return _listed_above(cwd, self.listed) if known is None else known


class Catalogue:
    """Projects and todos of `computer`, this one. `cwds` of a look: the working folders of all sessions.

    `progress` is told what is touched, and says what is left alone: there what `before` knew stays.
    """

    def __init__(
        self,
        computer: str,
        settings: ProjectSettings,
        progress: Progress | None = None,
        before: Catalogue | None = None,
    ) -> None:
        self.computer = computer
        self._progress = progress or Progress()
        # What another catalogue knew: readings, and the projects listed. Of use where nothing is to be touched now.
        self._known: tuple[dict[str, Reading], set[str]]
        self._known = before._all_known() if before else ({}, set())  # noqa: SLF001  (one of its own kind)
        self.projects: list[Project] = []
        self.todos: list[Todo] = []
        self._folders = Folders(self._progress)
        self._readings: dict[str, Reading] = {}
        self._listed: Collection[str] = frozenset()  # projects that are there without a session
        self._homes: dict[str, str] = {}  # the project of each session's folder
        self._dirty: set[Owner] = set()
        self._due: float | None = None  # when what is dirty is read
        self._unwatched_due: float | None = None
        self._check_due = 0.0
        self._troubles: set[str] = set()
        self._is_new = True
        try:
            self._take(settings)
        except BaseException:
            self._folders.close()
            raise

    def _take(self, settings: ProjectSettings) -> None:
        self._troubles_of_settings: set[str] = set()
        self._roots = Roots(self._real(settings.roots), self._folders, self._progress)
        entries = {real: entry for entry in settings.list for real in self._real([entry.path])}
        self._entries: dict[str, ProjectEntry] = entries

    def _real(self, written: Iterable[str]) -> list[str]:
        """Real paths of folders of the settings; those that are none are troubles."""
        found: list[str] = []
        for path in written:
            expanded = paths.expanduser(path)
            if paths.isabs(expanded) and is_text(expanded):
                found.append(self._real_path(expanded))
            else:
                self._troubles_of_settings.add(
                    f"{visible(path)!r} in the settings must be an absolute path, or begin with ~"
                )
        return found

    def _real_path(self, path: str) -> str:
        plain = paths.normpath(path)
        if self._progress.is_avoided(plain):
            return plain
        self._progress.begin(plain)
        return paths.realpath(path)

    def _all_known(self) -> tuple[dict[str, Reading], set[str]]:
        readings, listed = self._known
        return readings | self._readings, listed | set(self._listed)

    def _forget_known(self) -> None:
        """Keep what another catalogue knew for places that are left alone, once the rest was looked at."""
        readings, listed = self._known
        is_avoided = self._progress.is_avoided
        self._known = (
            {path: reading for path, reading in readings.items() if is_avoided(path)},
            {path for path in listed if is_avoided(path)},
        )

    def reload(self, settings: ProjectSettings) -> None:
        """Take other settings; the next look finds what they say."""
        self._roots.close()
        self._take(settings)
        self._is_new = True

    def close(self) -> None:
        """Let go of all watches."""
        self._folders.close()

    def fileno(self) -> int:
        """File descriptor that is readable when files changed."""
        return self._folders.fileno()

    @property
    def trouble(self) -> str:
        """What cannot be looked at, for a person; empty when all is well."""
        return "; ".join(sorted(self._troubles))

    def next_due(self) -> float | None:
        """Monotonic time at which `look` has something to do by itself; None: only when files or `cwds` change."""
        if self._is_new:
            return 0.0
        return min((due for due in (self._due, self._unwatched_due) if due is not None), default=None)

    def look(self, now: float, cwds: Collection[str]) -> bool:
        """Bring `projects` and `todos` up to date. True when that changed them. `now`: seconds, monotonic."""
        self._hear(now)
        wanted = frozenset(cwds)
        dirty = self._take_dirty(now)
        if not self._is_new and not dirty and wanted == self._homes.keys():
            return False
        for owner in dirty:
            if isinstance(owner, ScanNode):
                self._roots.look(owner)
        if self._is_new:
            self._roots.look_at_all()
        changed = self._read_all(wanted, dirty)
        self._is_new = False
        self._forget_known()
        self._plan_unwatched(now)
        self._note_troubles()
        return changed

    def view(self) -> CatalogueView:
        """Give what the last look found."""
        return CatalogueView(tuple(self.projects), tuple(self.todos), dict(self._homes), frozenset(self._listed))

    def _hear(self, now: float) -> None:
        """Note what changed; it is read a little later."""
        heard = self._folders.changed(now)
        if now >= self._check_due:
            heard |= self._folders.check() if self._check_due else set()
            self._check_due = now + CHECK_EVERY
            self._homes.clear()  # a repository may have been made above a session's folder
        if heard:
            self._dirty |= heard
            self._due = now + SETTLE if self._due is None else self._due
        if self._unwatched_due is not None and now >= self._unwatched_due:
            self._folders.listen_again(now)
            self._dirty |= self._folders.unwatched()
            self._due, self._unwatched_due = now, None

    def _take_dirty(self, now: float) -> set[Owner]:
        if self._due is None or now < self._due:
            return set()
        dirty, self._dirty, self._due = self._dirty, set(), None
        return dirty

    def _plan_unwatched(self, now: float) -> None:
        many = len(self._folders.unwatched())
        if not many:
            self._unwatched_due = None
        elif self._unwatched_due is None:
            self._unwatched_due = now + UNWATCHED_EVERY * max(1.0, many / UNWATCHED_MANY)

    def _read_all(self, cwds: Collection[str], dirty: set[Owner]) -> bool:
        """Find which projects there are, and read those that are new or changed. True when anything differs."""
        listed = self._entries.keys() | self._roots.repositories
        listed |= {path for path in self._known[1] if self._progress.is_avoided(path)}
        if listed != self._listed or any(path in dirty for path in self._homes.values()):
            self._homes.clear()
        self._listed = listed
        self._homes = {cwd: self._homes.get(cwd) or self._home(cwd, listed) for cwd in cwds}
        wanted = listed | set(self._homes.values()) - {""}
        changed = self._is_new or wanted != self._readings.keys()
        for gone in self._readings.keys() - wanted:
            del self._readings[gone]
            self._folders.follow(gone, {})
        for path in wanted:
            if self._is_new or path in dirty or path not in self._readings:
                changed |= self._read(path)
        return changed and self._rebuild()

    def _read(self, path: str) -> bool:
        """Read a project; again when a folder is watched only now, which may have changed before it was."""
        before = self._readings.get(path)
        if self._progress.is_avoided(path):
            trouble = f"{visible(path)} does not answer"
            known = before or self._known[0].get(path) or Reading()
            self._readings[path] = replace(known, troubles={trouble})
            return before is None
        self._progress.begin(path)
        self._readings[path] = found = read_project(self.computer, path)
        for _ in range(_TRIES - 1):
            if not self._folders.follow(path, found.wants):
                break
            self._readings[path] = found = read_project(self.computer, path)
        return before is None or (before.branch, before.todos) != (found.branch, found.todos)

    def _home(self, cwd: str, listed: Collection[str]) -> str:
        """The longest listed project that holds `cwd`; else its git root; else itself. By components, not by text."""
        above = _listed_above(cwd, listed)
        if above or not cwd.startswith("/") or not is_text(cwd):
            return above
        if self._progress.is_avoided(cwd):
            return next(git.upwards(cwd))
        self._progress.begin(cwd)
        return git.root_of(cwd) or next(git.upwards(cwd))

    def _rebuild(self) -> bool:
        readings = sorted(self._readings.items())
        projects = [self._project(path, reading.branch) for path, reading in readings]
        todos = [todo for _, reading in readings for todo in reading.todos]
        changed = (projects, todos) != (self.projects, self.todos)
        self.projects, self.todos = projects, todos
        return changed

    def _project(self, path: str, branch: str) -> Project:
        entry = self._entries.get(path, ProjectEntry(path=path))
        return Project(
            computer=self.computer,
            path=path,
            name=one_line(entry.name or paths.basename(path) or path, _NAME_LIMIT),
            description=one_line(entry.description, _DESCRIPTION_LIMIT),
            branch=branch,
            configured=path in self._listed,
        )

    def _note_troubles(self) -> None:
        found = self._troubles_of_settings | self._roots.troubles
        found.update(*(reading.troubles for reading in self._readings.values()))
        found |= {f"{visible(path)} is not there" for path in self._entries if self._readings[path].is_missing}
        for trouble in sorted(found - self._troubles):
            log.warning("%s", trouble)
        self._troubles = found


def _listed_above(cwd: str, listed: Collection[str]) -> str:
    """The longest listed project that holds `cwd`; "" for none."""
    return next((folder for folder in git.upwards(cwd) if folder in listed), "")
