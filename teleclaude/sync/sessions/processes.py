"""What runs in a pane, from /proc: is the shell at its prompt, and does an agent run in the foreground.

tmux tells the first word of the foreground process. That is enough for `claude`, and not for an agent that is run by
`node`, `python` or a shell script: then the processes of the foreground group are looked at, and what was found holds
for as long as that group leads, or nearly (`_HOLDS`). What was not found is looked for again after a while, because a
script may start its agent late.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from teleclaude.core.settings import AgentProfile

SHELLS = frozenset(
    {"bash", "zsh", "fish", "sh", "dash", "ash", "ksh", "mksh", "tcsh", "csh", "nu", "xonsh", "elvish", "pwsh"}
)
_RUNNERS = SHELLS | {"node", "nodejs", "bun", "deno", "npx", "uv", "uvx", "env", "ruby", "perl", "sudo", "python"}
_ENDINGS = (".js", ".mjs", ".cjs", ".ts", ".py", ".sh", ".rb", ".pl")
_TAKE_A_WORD = frozenset({"--rcfile", "--init-file", "-o", "+o", "-O", "+O"})
_LOOK_AGAIN, _HOLDS = 2.0, 30.0  # seconds until what was not found, and what was, is looked for again
_DEPTH, _MOST = 4, 32
_READ_SIZE = 8192
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Process:
    """One process: parts of /proc/PID/stat. `started`: clock ticks after the computer's start."""

    pid: int
    name: bytes
    group: int
    foreground: int  # process group in the foreground of its terminal
    started: int


@dataclass(frozen=True, slots=True)
class Foreground:
    """What a pane runs. `profile`: name of an agent profile, or empty."""

    at_prompt: bool = False
    has_shell: bool = False
    profile: str = ""
    created: float = 0.0  # of the pane's own process, seconds since the computer's start; 0 when unknown


NOTHING_KNOWN = Foreground()


def signature(argv: list[str]) -> str:
    """Name a command line by what it runs: the script, for a program that only runs scripts.

    `claude -c` is "claude", `node /usr/bin/codex.js` is "codex", `python -m agent` is "agent".
    """
    words = [word for word in argv if word]
    if not words:
        return ""
    first = _base(words[0])
    if not _is_runner(first):
        return first
    script = next((word for word in words[1:] if not word.startswith("-") and "=" not in word), "")
    inner = _base(script) if script and not any(c.isspace() for c in script) else ""
    return inner or first


def is_interactive(argv: list[str]) -> bool:
    """Tell whether a command line is a shell that takes commands from its terminal: no script, no `-c`."""
    words = [word for word in argv if word]
    if not words or _base(words[0]) not in SHELLS:
        return False
    skip = False
    for word in words[1:]:
        if skip:
            skip = False
        elif word[0] not in "-+" or (word[1:2] != "-" and "c" in word):
            return False
        else:
            skip = word in _TAKE_A_WORD
    return True


def _is_runner(name: str) -> bool:
    return name in _RUNNERS or name.rstrip("0123456789.") in _RUNNERS


def _base(word: str) -> str:
    name = os.path.basename(word).lstrip("-")
    return next((name[: -len(end)] for end in _ENDINGS if name.endswith(end)), name)


def profiles_by_signature(agents: Mapping[str, AgentProfile]) -> dict[str, str]:
    """Map what a profile's command runs to the profile's name; the first of equals wins."""
    found: dict[str, str] = {}
    for name, profile in agents.items():
        run = signature(shlex.split(profile.command))
        if run and run not in SHELLS:
            found.setdefault(run, name)
    return found


class Foregrounds:
    """What runs in each pane; remembers by process."""

    def __init__(self, agents: Mapping[str, AgentProfile]) -> None:
        self._profiles = profiles_by_signature(agents)
        self._signatures = {name: signature(shlex.split(profile.command)) for name, profile in agents.items()}
        self._found: dict[int, tuple[tuple[int, str], float, Foreground]] = {}  # by pane process: of what, until when

    def look(self, pane_pid: int, command: str, now: float) -> Foreground:
        """Tell what runs in the pane of `pane_pid`. `now`: seconds since the computer's start."""
        pane = read_process(pane_pid)
        if pane is None:
            return NOTHING_KNOWN
        known = self._found.get(pane_pid)
        if known and known[0] == (pane.foreground, command) and now < known[1]:
            return known[2]
        at_prompt = _base(command) in SHELLS and is_interactive(command_line(pane.foreground))
        found = Foreground(
            at_prompt=at_prompt,
            has_shell=at_prompt if pane.pid == pane.foreground else is_interactive(command_line(pane.pid)),
            profile="" if at_prompt else self._profile(pane.foreground, command),
            created=pane.started / _TICKS,
        )
        # What has just been started may be about to start something else.
        age = max(0.0, now - found.created)
        until = now + min(_HOLDS if at_prompt or found.profile else _LOOK_AGAIN, age / 2)
        self._found[pane_pid] = ((pane.foreground, command), until, found)
        return found

    def glance(self, pane_pid: int) -> tuple[int, bytes, str, bool]:
        """Give what a pane has in the foreground, to be compared: who, its name, its folder; and whether `look` last
        found another.

        The folder is read as a link of /proc, which follows none: one on a dead mount costs no wait.
        """
        pane = read_process(pane_pid)
        if pane is None:
            return 0, b"", "", False
        leader = pane if pane.foreground == pane_pid else read_process(pane.foreground)
        try:
            folder = os.readlink(f"/proc/{pane.foreground}/cwd")
        except OSError:
            folder = ""
        known = self._found.get(pane_pid)
        is_other = known is not None and known[0][0] != pane.foreground
        return pane.foreground, leader.name if leader else b"", folder, is_other

    def are_same(self, one: str, other: str) -> bool:
        """Tell whether two profiles run the same program, so that their processes look alike."""
        return one in self._signatures and self._signatures[one] == self._signatures.get(other)

    def forget_others(self, pids: Iterable[int]) -> None:
        """Forget processes that are not among `pids`."""
        keep = set(pids)
        self._found = {pid: found for pid, found in self._found.items() if pid in keep}

    def _profile(self, leader: int, command: str) -> str:
        direct = self._profiles.get(_base(command))
        if direct or not _is_runner(_base(command)):
            return direct or ""
        for pid in _group(leader):
            argv = command_line(pid)
            found = self._profiles.get(signature(argv)) if argv else None
            if found:
                return found
        return ""


def _group(leader: int) -> list[int]:
    """Find processes of the foreground group: its leader, and descendants within the same group."""
    found, layer = [leader], [leader]
    for _ in range(_DEPTH):
        below = [child for pid in layer for child in children(pid)]
        layer = [pid for pid in below if (process := read_process(pid)) and process.group == leader]
        found += layer
        if not layer or len(found) > _MOST:
            break
    return found[:_MOST]


def read_process(pid: int) -> Process | None:
    """Read /proc/PID/stat; None for a process that is gone, or where there is no /proc."""
    try:
        text = _read(f"/proc/{pid}/stat")
        end = text.rindex(b")")
        fields = text[end + 2 :].split(None, 20)
        return Process(pid, text[text.index(b"(") + 1 : end], int(fields[2]), int(fields[5]), int(fields[19]))
    except (OSError, ValueError, IndexError):
        return None


def children(pid: int) -> list[int]:
    """Give the children of a process; none where the kernel does not tell."""
    try:
        return [int(child) for child in _read(f"/proc/{pid}/task/{pid}/children").split()]
    except (OSError, ValueError):
        return []


def command_line(pid: int) -> list[str]:
    """Arguments of a process; none for one that is gone."""
    try:
        return _read(f"/proc/{pid}/cmdline").decode("utf-8", "replace").split("\0")
    except OSError:
        return []


def _read(path: str) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)  # a third of what a file object costs, and this runs for each pane
    try:
        return os.read(fd, _READ_SIZE)
    finally:
        os.close(fd)
