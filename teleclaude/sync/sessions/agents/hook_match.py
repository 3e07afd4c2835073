"""Which pane a hook's report is of. Pure.

In order: the process that ran the hook is below a pane's process; the pane that the hook names, in the same tmux
server, where the agent's table says that this can be trusted; the agent's own session id, seen before in a pane; and
for an agent whose hooks run elsewhere, the panes in which it runs in the folder that the report names. Where several
are left, the report of a prompt is of the one that was typed in last; who else it may be of is told.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from teleclaude.sync.sessions.agents.agent_table import AgentTable, TitleSays
from teleclaude.sync.sessions.agents.hook_event import HookEvent


@dataclass(frozen=True, slots=True)
class PaneFacts:
    """What is known of one pane. `program`: of the agent in it, or empty; `session`: the agent's own id, or empty.

    `input`: when it was last typed in, seconds since the computer's start.
    """

    pane: str
    process: int
    program: str = ""
    folder: str = ""
    session: str = ""
    title: TitleSays = ""
    input: float = 0.0


@dataclass(frozen=True, slots=True)
class HookMatch:
    """The pane of a report, and by what it was found. `rivals`: panes that it may be of as well."""

    pane: str
    how: str
    rivals: tuple[str, ...] = ()


def match_hook(
    event: HookEvent, table: AgentTable, panes: Collection[PaneFacts], server: int, lineage: Iterable[int]
) -> HookMatch | None:
    """Give the pane of a report, or None. `server`: tmux' process; `lineage`: who ran the hook, and its ancestors."""
    by_process = {facts.process: facts for facts in panes}
    below = next((by_process[pid] for pid in lineage if pid in by_process), None)
    if below:
        return HookMatch(below.pane, "its process is below the pane's")
    if event.pane and table.pane_is_right and event.server == server:
        # A pane that no look has shown yet is waited for: its session may have been in another before (--resume).
        is_there = any(facts.pane == event.pane for facts in panes)
        return HookMatch(event.pane, "it names the pane") if is_there else None
    session = event.text("session_id", "sessionID", "thread-id")
    known = [facts for facts in panes if session and facts.session == session and facts.program in {"", table.name}]
    if known:
        return HookMatch(known[0].pane, "the agent's session is known")
    return None if table.pane_is_right else _by_folder(event, table, panes)


def _by_folder(event: HookEvent, table: AgentTable, panes: Collection[PaneFacts]) -> HookMatch | None:
    folder = event.text("cwd")
    says = table.hook_says(event.event, event.body)
    if not folder or says not in {"ready", "prompt"}:  # a session begins with one of these, and is known from then on
        return None
    there = [facts for facts in panes if facts.program == table.name and facts.folder == folder]
    if not there:
        return None
    # Who is at work in a session of its own is not the one that begins another; who works without one may be.
    best = max(there, key=lambda facts: (not facts.session, facts.title == "working", facts.input))
    rivals = tuple(facts.pane for facts in there if facts is not best)
    how = f"{table.name} runs there in that folder"
    return HookMatch(best.pane, f"{how}, and was typed in last" if rivals else how, rivals)


def lineage_of(pid: int, parents: Mapping[int, int]) -> list[int]:
    """Give a process and its ancestors, nearest first, by a table of parents."""
    found: list[int] = []
    while pid > 1 and pid not in found and len(found) < 64:
        found.append(pid)
        pid = parents.get(pid, 0)
    return found
