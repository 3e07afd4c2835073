"""Reads one project: its branch, its todos, and which folders tell when they change.

Rules: nothing outside the project's folder is read but the HEAD that its `.git` names, links or not; only regular
files are read, and of a huge one the beginning; what is wrong with one file is told in `troubles` and takes nothing
away from the others.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from os import path as paths

import msgspec

from teleclaude.core.records import Todo
from teleclaude.core.text import one_line, visible
from teleclaude.sync.projects import git, markdown
from teleclaude.sync.projects.folder_watch import Want

READ_LIMIT = 1024 * 1024  # bytes of one file
STATE_LIMIT = 64  # characters of a build or review state
_REQUIREMENTS, _PLAN, _STATE = "requirements.md", "implementation-plan.md", "state.json"


@dataclass
class Reading:
    """What one look at a project found. `wants`: by folder, what to hear of; `troubles`: sentences for a person."""

    branch: str = ""
    todos: list[Todo] = field(default_factory=list)
    wants: dict[str, Want] = field(default_factory=dict)
    troubles: set[str] = field(default_factory=set)
    is_missing: bool = False

    def want(self, folder: str, *names: str, folders: bool = False) -> None:
        """Ask to hear of names in a folder."""
        before = self.wants.get(folder, Want())
        self.wants[folder] = Want(before.names | frozenset(names), before.folders or folders)


def read_project(computer: str, project: str) -> Reading:
    """Look at the project in the folder `project` (absolute, real). A folder that is missing has nothing."""
    reading = Reading()
    if not paths.isdir(project):
        reading.is_missing = True
        folder, name = nearest(project)
        reading.want(folder, name)
        return reading
    reading.want(project, "TODO.md", "todos", ".git")
    head = git.git_folder(project)
    if head is not None:
        reading.want(head, "HEAD")
        reading.branch = git.branch_of(head)
    roadmap = markdown.parse_roadmap(_read(reading, project, "todos/roadmap.md"))
    tasks = markdown.parse_tasks(_read(reading, project, "TODO.md"))
    folders = _todo_folders(reading, project)
    for order, item in enumerate(markdown.unique(roadmap + tasks)):
        reading.todos.append(_todo(reading, computer, project, order, item, folders.get(item.folder)))
    return reading


def nearest(path: str) -> tuple[str, str]:
    """Give the nearest folder above `path` that is there, and the name in it that would lead on to `path`."""
    above, name = paths.split(path)
    while above != "/" and not paths.isdir(above):
        above, name = paths.split(above)
    return above, name


def _todo_folders(reading: Reading, project: str) -> dict[str, str]:
    """Real paths of the folders in `todos/`, by name; and hear of others, or of a roadmap, made later."""
    folder = paths.realpath(paths.join(project, "todos"))
    if not paths.isdir(folder) or not _is_inside(folder, project):
        return {}
    reading.want(folder, "roadmap.md", folders=True)
    try:
        with os.scandir(folder) as entries:
            return {entry.name: entry.path for entry in entries if entry.is_dir(follow_symlinks=False)}
    except OSError as error:
        reading.troubles.add(f"{visible(folder)} cannot be listed: {error.strerror}")
        return {}


def _todo(reading: Reading, computer: str, project: str, order: int, item: markdown.Item, folder: str | None) -> Todo:
    has: set[str] = set()
    build = review = ""
    if folder:
        reading.want(folder, _REQUIREMENTS, _PLAN, _STATE)
        has = {name for name in (_REQUIREMENTS, _PLAN) if paths.isfile(paths.join(folder, name))}
        build, review = _states(_read(reading, project, paths.relpath(paths.join(folder, _STATE), project)))
    return Todo(
        computer=computer,
        project=project,
        slug=item.slug,
        title=item.title,
        description=item.description,
        status=item.status,
        order=order,
        has_requirements=_REQUIREMENTS in has,
        has_plan=_PLAN in has,
        build_status=build,
        review_status=review,
    )


def _states(text: str) -> tuple[str, str]:
    """(build, review) of a state file; "" for what is not there or no text. Half a file is nobody's fault: it is
    being written, and its end will be heard of.
    """
    try:
        found = msgspec.json.decode(text or "{}")
    except (msgspec.DecodeError, RecursionError):
        return "", ""
    values = found if isinstance(found, dict) else {}
    build, review = (value if isinstance(value := values.get(key), str) else "" for key in ("build", "review"))
    return one_line(build, STATE_LIMIT), one_line(review, STATE_LIMIT)


def _is_inside(path: str, project: str) -> bool:
    return path == project or path.startswith(project.rstrip("/") + "/")


def _read(reading: Reading, project: str, name: str) -> str:
    """Read a file of the project; "" when it is missing or not to be read, which `troubles` tells."""
    place = paths.join(project, name)
    if not paths.lexists(place):
        return ""
    real = paths.realpath(place)
    if not _is_inside(real, project):
        reading.troubles.add(f"{visible(place)} leads out of its project: not read")
        return ""
    if real != place and paths.isdir(folder := paths.dirname(real)):
        reading.want(folder, paths.basename(real))
    try:
        return _text(reading, place, real)
    except FileNotFoundError:
        return ""
    except (OSError, ValueError) as error:
        reading.troubles.add(f"{visible(place)} cannot be read: {getattr(error, 'strerror', None) or error}")
        return ""


def _text(reading: Reading, place: str, real: str) -> str:
    """Text of a regular file. A pipe or a terminal in its place is opened without waiting, and not read."""
    fd = os.open(real, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    with open(fd, "rb", buffering=0) as file:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            reading.troubles.add(f"{visible(place)} is no file: not read")
            return ""
        data = file.read(READ_LIMIT) or b""
    if found.st_size > READ_LIMIT:
        reading.troubles.add(f"{visible(place)} is over {READ_LIMIT // 1024} KiB: only its beginning is read")
        data = data[: data.rfind(b"\n") + 1]
    return data.decode("utf-8", "replace")
