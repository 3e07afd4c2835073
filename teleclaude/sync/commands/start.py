"""Starting a session: which program, in which folder, under which name, in which environment.

What is decided here is decided from this computer's own settings; from a request come only the names of a profile, a
mode and a project. Nothing is ever part of a shell's command line.
"""

from __future__ import annotations

import functools
import os
import shlex
import shutil
import stat
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from teleclaude.core.errors import Conflict, InvalidField, OutcomeUnknown, Refused, Unavailable
from teleclaude.core.records import Project
from teleclaude.core.settings import Settings
from teleclaude.sync.tmux.client import CommandFailed, TmuxClient, clean_environment

WIDTH, HEIGHT = 200, 50
NAME_LIMIT = 40
_TRIES = 100
_UMASK = 0o022  # this process' own is stricter, and a tmux server would hand it to all that runs in it


@dataclass(frozen=True, slots=True)
class CreatedSession:
    """A new session and its pane, its server's process, and whether that server ends when no client is attached."""

    session: str
    pane: str
    server: int
    ends_unattached: bool


def command_of(settings: Settings, agent: str, mode: str) -> list[str]:
    """Arguments that a profile runs; none for the login shell. Raises InvalidField."""
    profile = settings.agents.get(agent)
    if profile is None:
        raise InvalidField("agent", f"must be one of {', '.join(sorted(settings.agents))}, not {agent!r}")
    if mode and mode not in profile.thinking_modes:
        known = ", ".join(sorted(profile.thinking_modes)) or "none"
        raise InvalidField("thinking_mode", f"{agent} has no mode {mode!r}; it has {known}")
    return shlex.split(profile.command) + (shlex.split(profile.thinking_modes[mode]) if mode else [])


def found_program(argv: list[str], agent: str, path: str) -> list[str]:
    """Give `argv` with its program as an absolute path, looked for in `path` and then in this process' own.

    tmux hands a single word to a shell, so `env` goes before it. Raises InvalidField when it is nowhere.
    """
    if not argv:
        return []
    program = os.path.expanduser(argv[0])
    found = shutil.which(program, path=path) or shutil.which(program)
    if found is None:
        raise InvalidField("agent", f"{agent} cannot be started: its program {argv[0]!r} is not installed here")
    return ["/usr/bin/env", found] if len(argv) == 1 else [found, *argv[1:]]


def folder_of(wanted: str, projects: Iterable[Project], settings: Settings, origin: str) -> str:
    """Give the folder in which to start. Raises InvalidField, Refused.

    This computer's own clients may name a project or any folder; another computer only what the settings name: a
    configured project, or a folder below a root, links resolved.
    """
    if not os.path.isabs(wanted):
        raise InvalidField("project", f"must be an absolute path, not {wanted!r}")
    real = os.path.realpath(wanted)
    if origin and not _is_configured(real, projects, settings):
        raise Refused(f"{wanted} is no project of this computer's settings", field="project")
    try:
        is_folder = stat.S_ISDIR(os.stat(real).st_mode)
    except OSError as error:
        raise InvalidField("project", f"{wanted} cannot be used: {error.strerror}") from error
    if not is_folder:
        raise InvalidField("project", f"{wanted} is no folder")
    return real


def _is_configured(real: str, projects: Iterable[Project], settings: Settings) -> bool:
    if any(project.configured and project.path == real for project in projects):  # their paths are real ones
        return True
    roots = [os.path.realpath(os.path.expanduser(root)) for root in settings.projects.roots]
    return any(real == root or real.startswith(root.rstrip("/") + "/") for root in roots)


def session_name(title: str, folder: str, agent: str) -> str:
    """Make a tmux session's name: letters, digits, dashes, underscores, beginning with none that tmux acts on."""
    text = title or f"{os.path.basename(folder)}-{agent}"
    safe = "".join(char if char.isalnum() or char in "_-" else " " for char in text)
    return "-".join(safe.split()).strip("-")[:NAME_LIMIT].strip("-") or "session"


def new_session(
    tmux: TmuxClient, name: str, folder: str, argv: list[str], timeout: float, unset: Sequence[str] = ()
) -> CreatedSession:
    """Start a detached session and its server where none runs.

    `unset`: variables of the server's environment that nothing in the session is to have. The folder is handed over as
    the working directory of the `tmux` that asks, because `-c` would expand formats in it. Raises CommandFailed,
    OutcomeUnknown, Unavailable.
    """
    for number in range(1, _TRIES):
        unique = name if number == 1 else f"{name}-{number}"
        command = tmux.command_line(*_new_session_words(unique, argv, unset))
        done = _run(command, folder, timeout, starts_server=not tmux.is_running())
        if done.returncode == 0:
            session, pane, server, ends = done.stdout.decode("utf-8", "replace").split()
            return CreatedSession(session, pane, int(server), ends_unattached=ends == "1")
        complaint = done.stderr.decode("utf-8", "replace").strip()
        if not complaint.startswith("duplicate session"):
            raise CommandFailed(f"tmux could not start a session: {complaint or f'status {done.returncode}'}")
    raise Conflict(f"there are {_TRIES} sessions called {name} already")


def _new_session_words(name: str, argv: list[str], unset: Sequence[str]) -> list[str]:
    """Arguments of the tmux that starts a session; one step, so that no option of the user's acts in between.

    `destroy-unattached` would end it with this very tmux. Without `detach-on-destroy` its end would put who is attached
    into some other session, and not back where they came from. It is born as small as the smallest client is, whatever
    `-x` and `-y` say, so it is resized; that fixes its size, so the fixing is taken back. A login shell is started by
    tmux itself, which can make a variable empty but not take it away; later panes are without.
    """
    printed = "#{session_id} #{pane_id} #{pid} #{exit-unattached}"
    size = ["-x", str(WIDTH), "-y", str(HEIGHT)]
    new = ["new-session", "-d", "-P", "-F", printed, "-s", name, *size]
    this = ["-t", f"={name}:"]
    if argv and unset:
        argv = ["/usr/bin/env", *(word for each in unset for word in ("-u", each)), *argv]
    return [
        *new,
        *([] if argv else [word for each in unset for word in ("-e", f"{each}=")]),
        *(["--", *map(argument, argv)] if argv else []),
        *(word for each in unset for word in (";", "set-environment", *this, "-r", each)),
        *(";", "set-option", *this, "destroy-unattached", "off"),
        *(";", "set-option", *this, "detach-on-destroy", "on"),
        *(";", "resize-window", *this, *size),
        *(";", "set-option", "-w", "-u", *this, "window-size"),
    ]


def _run(command: list[str], folder: str, timeout: float, *, starts_server: bool) -> subprocess.CompletedProcess[bytes]:
    scope = _scope() if starts_server else []
    try:
        done = _fork([*scope, *command], folder, timeout)
        if scope and done.returncode != 0:  # the user manager does not answer; better a server here than none
            done = _fork(command, folder, timeout)
        return done
    except subprocess.TimeoutExpired as error:
        raise OutcomeUnknown("tmux did not answer in time; it may have started the session") from error
    except OSError as error:
        raise Unavailable(f"tmux cannot be started: {error.strerror}") from error


def _fork(command: list[str], folder: str, timeout: float) -> subprocess.CompletedProcess[bytes]:
    # `env` enters the folder where it can: while this process' own child does so, and hangs, no time limit counts.
    argv = ["/usr/bin/env", f"--chdir={folder}", "--", *command] if _env_enters_folders() else command
    return subprocess.run(
        argv,
        cwd=None if argv is not command else folder,
        env=clean_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=max(timeout, 0.1),
        umask=_UMASK,
        check=False,
    )


@functools.cache
def _env_enters_folders() -> bool:
    """Tell whether `env` is one that can change the folder (GNU's can)."""
    words = ["/usr/bin/env", "--chdir=/", "--", "true"]
    try:
        return subprocess.run(words, capture_output=True, timeout=5, check=False).returncode == 0
    except (OSError, subprocess.SubprocessError):
        return False


def _scope() -> list[str]:
    """Words before a command that puts a new tmux server into a scope of its own.

    In the service's control group, or in the login's scope, it would die with the service or the login.
    """
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    manager = Path(runtime) / "systemd" / "private"
    program = shutil.which("systemd-run")
    if not runtime or program is None or not manager.is_socket():
        return []
    # systemd-run gives the scope's own id to what it runs, and sessions would take it for theirs.
    return [program, "--user", "--scope", "--collect", "--quiet", "--", "/usr/bin/env", "-u", "INVOCATION_ID"]


def argument(word: str) -> str:
    """Give a word as tmux takes it: it parts commands at a word's final `;`."""
    return f"{word[:-1]}\\;" if word.endswith(";") else word
