"""What runs in each pane: is the shell at its prompt, and which agent is in front, at any depth.

All that is in front in the pane's terminal is looked at, and all below it (processes.py), by command line, by name and
by `TELECLAUDE_AGENT` in its environment. That walk costs as much as there is to walk, so what was found holds: an agent
for as long as it is in front, a shell for as long as it is at its prompt (or nearly, `_HOLDS`). What was not found is
looked for again while the program in front is young, for it may be about to start something else; later only when the
pane writes, and seldom else.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from teleclaude.core.settings import AgentProfile
from teleclaude.sync.sessions.processes import Process, command_line, hint, in_front, read_process
from teleclaude.sync.sessions.program_names import (
    SHELLS,
    agent_named,
    base_name,
    is_interactive,
    is_server,
    profiles_by_name,
    signature,
)
from teleclaude.sync.tmux.boot_clock import since_boot

YOUNG = 10.0  # seconds
_HOLDS, _AGENT_HOLDS = 30.0, 300.0  # seconds that a prompt, and an agent's process, are taken to be there
_LOOK_AGAIN, _QUIET_HOLDS = 2.0, 60.0  # seconds until what was not found is looked for again, in a pane that writes
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Foreground:
    """What a pane runs. `profile`: name of an agent profile, or empty; `pid`: the agent's process, or 0."""

    at_prompt: bool = False
    has_shell: bool = False
    profile: str = ""
    created: float = 0.0  # of the pane's own process, seconds since the computer's start; 0 when unknown
    pid: int = 0


@dataclass(frozen=True, slots=True)
class _Finding:
    """What was found in a pane, and of what. Times are seconds since the computer's start.

    `until`: it holds till then; `quiet_until`: and till then while the pane writes nothing. `watched`: processes on
    which it rests, as (process, its start, what is in front of its terminal).
    """

    leader: int
    command: str
    runs: Foreground
    at: float
    until: float
    quiet_until: float
    watched: tuple[tuple[int, int, int], ...]

    def is_of(self, leader: int, command: str) -> bool:
        return (self.leader, self.command) == (leader, command)

    def lasts(self, now: float, wrote: float) -> bool:
        return now < self.until or (wrote <= self.at and now < self.quiet_until)

    def has_shifted(self) -> bool:
        """Tell whether what it rests on is gone, or not in front any more."""
        return any(_mark(read_process(pid)) != (pid, started, front) for pid, started, front in self.watched)


NOTHING_KNOWN = Foreground()


class Foregrounds:
    """What runs in each pane; remembers by process."""

    def __init__(self, agents: Mapping[str, AgentProfile]) -> None:
        self._agents = frozenset(agents) - {"shell"}
        self._profiles = profiles_by_name(agents)
        self._signatures = {name: signature(shlex.split(profile.command)) for name, profile in agents.items()}
        self._found: dict[int, _Finding] = {}  # by pane process

    def look(self, pane_pid: int, command: str, now: float, wrote: float = float("inf")) -> Foreground:
        """Tell what runs in the pane of `pane_pid`; `command`: tmux' word for it.

        Times are seconds since the computer's start; `wrote`: when the pane last did.
        """
        pane = read_process(pane_pid)
        if pane is None:
            return NOTHING_KNOWN
        known = self._found.get(pane_pid)
        if known and known.is_of(pane.foreground, command) and known.lasts(now, wrote) and not known.has_shifted():
            return known.runs
        found = self._found[pane_pid] = self._look(pane, command, now)
        return found.runs

    def _look(self, pane: Process, command: str, now: float) -> _Finding:
        at_prompt = base_name(command) in SHELLS and is_interactive(command_line(pane.foreground))
        agent, profile, others = (None, "", ()) if at_prompt else self._agent(pane, command)
        runs = Foreground(
            at_prompt=at_prompt,
            has_shell=at_prompt if pane.pid == pane.foreground else is_interactive(command_line(pane.pid)),
            profile=profile,
            created=pane.started / _TICKS,
            pid=agent.pid if agent else pane.foreground if profile else 0,
        )
        age = max(0.0, now - runs.created)
        holds = min(_AGENT_HOLDS if agent else _HOLDS, age / 2)
        if not (at_prompt or profile):
            holds = 0.0 if _is_young(pane, now) else _LOOK_AGAIN
        quiet = 0.0 if at_prompt or profile or not holds else _QUIET_HOLDS
        watched = (agent,) if agent else others
        marks = tuple(_mark(process) for process in watched if process.pid != pane.foreground)
        return _Finding(pane.foreground, command, runs, now, now + holds, now + quiet, marks)

    def _agent(self, pane: Process, command: str) -> tuple[Process | None, str, tuple[Process, ...]]:
        """Find the agent that is nearest to the pane; and where there is none, who leads terminals of their own."""
        others: list[Process] = []
        for process in in_front(pane):
            argv = command_line(process.pid)
            profile = agent_named(argv, process.name.decode("utf-8", "replace"), self._profiles)
            profile = profile or self._hinted(process, pane)
            if profile:
                return process, profile, ()
            if process.session == process.pid != pane.pid and process.foreground > 0:
                others.append(process)
        named = base_name(command)
        direct = "" if is_server(named, command_line(pane.foreground)) else self._profiles.get(named, "")
        return None, direct, tuple(others)

    def _hinted(self, process: Process, pane: Process) -> str:
        """What a process says that it is; not what it has from the pane's own, with all that runs there."""
        said = hint(process.pid)
        if said not in self._agents or (process.pid != pane.pid and hint(pane.pid) == said):
            return ""
        return said

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
        return pane.foreground, leader.name if leader else b"", folder, self._is_other(pane)

    def _is_other(self, pane: Process) -> bool:
        known = self._found.get(pane.pid)
        if known is None:
            return False
        if known.leader != pane.foreground or known.has_shifted():
            return True
        is_open = not (known.runs.at_prompt or known.runs.profile)
        return is_open and _is_young(pane, since_boot()) and bool(self._agent(pane, known.command)[1])

    def are_same(self, one: str, other: str) -> bool:
        """Tell whether two profiles run the same program, so that their processes look alike."""
        return one in self._signatures and self._signatures[one] == self._signatures.get(other)

    def forget_others(self, pids: Iterable[int]) -> None:
        """Forget processes that are not among `pids`."""
        keep = set(pids)
        self._found = {pid: found for pid, found in self._found.items() if pid in keep}


def _mark(process: Process | None) -> tuple[int, int, int]:
    """What must stay for a finding to hold: who it is, and whose turn it is at its terminal."""
    return (process.pid, process.started, process.foreground) if process else (0, 0, 0)


def _is_young(pane: Process, now: float) -> bool:
    """Tell whether what a pane has in front started a moment ago."""
    leader = pane if pane.foreground == pane.pid else read_process(pane.foreground)
    return leader is not None and now - leader.started / _TICKS < YOUNG
