"""Getting ready to attach to a session (in a thread: tmux is asked), and giving the terminal to it.

Nothing takes the terminal before tmux has answered: one that hangs would keep it, and ^C with it.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from msgspec.structs import replace

from teleclaude.core.errors import Conflict, NotFound, Unavailable
from teleclaude.core.pane_mark import PANE_OPTION, SESSION_OPTION
from teleclaude.core.paths import Places
from teleclaude.core.records import Computer
from teleclaude.core.settings import load_in_force
from teleclaude.core.text import one_line
from teleclaude.tui.attach import GONE, Plan, failure, is_still_there, outer_pane, plan, target_of, tmux_of
from teleclaude.tui.state import Attach, Done, PrepareAttach
from teleclaude.tui.terminal import Terminal

_PATIENCE = 2.0  # seconds for an answer of tmux
_UNMARKED_FOR = 1.0  # seconds that a new session may be without its mark
_RETRY = 0.05
_IS_MARKED = f"#{{?#{{{SESSION_OPTION}}}#{{{PANE_OPTION}}},1,0}}"
_OUR_TMUX = ("TMUX", "TMUX_PANE")


def prepared(call: PrepareAttach, place: Places, tty: str) -> Plan:
    """Give what attaches, once tmux has said that the session is there. `tty`: path of the client's terminal.

    Raises Conflict, NotFound, or Unavailable when tmux does not answer.
    """
    computer = _with_socket(call.computer, place)
    if not computer.is_local:
        return plan(call.session, computer)
    target = target_of(call.session)
    question = f"{is_still_there(call.session)} {_IS_MARKED} #{{pane_id}}"
    deadline = time.monotonic() + _UNMARKED_FOR
    while True:
        is_same, is_marked, pane = _ask(tmux_of(computer), target, question).split(" ")
        if not pane:
            raise NotFound("there is no such session in tmux any more")
        if is_same == "1":
            return plan(call.session, computer, _outer(tty), socket_path(computer.tmux_socket))
        if is_marked == "1" or time.monotonic() > deadline:
            raise Conflict(GONE)
        time.sleep(_RETRY)


def attach(call: Attach, terminal: Terminal, while_away: Callable[[], None]) -> Done:
    """Run what attaches, and say how it ended. `while_away` is called again and again meanwhile."""
    try:
        reason = failure(*_run(call.plan, terminal, while_away), call.computer)
    except OSError as error:
        return Done(call, code="internal", reason=f"{error.filename or 'tmux'}: {error.strerror}")
    return Done(call, code="internal" if reason else "", reason=reason)


def socket_path(name: str) -> str:
    """Path of a tmux socket, links resolved (tmux(1), -L)."""
    base = os.environ.get("TMUX_TMPDIR") or "/tmp"  # noqa: S108  (tmux' own place)
    return os.path.realpath(Path(base) / f"tmux-{os.getuid()}" / (name or "default"))


def _outer(tty: str) -> str:
    """Socket of the tmux in one of whose panes the terminal is; empty when it is in none."""
    socket, pane = outer_pane(os.environ)
    if not socket:
        return ""
    try:
        is_ours = _ask(["tmux", "-u", "-S", socket], pane, "#{pane_tty}") == tty
    except NotFound:  # that server or pane has gone: what is inherited of it says nothing
        return ""
    return os.path.realpath(socket) if is_ours else ""


def _with_socket(computer: Computer, place: Places) -> Computer:
    """Fill in, for this computer, which tmux is watched, where its record does not say."""
    if computer.tmux_socket or not computer.is_local:
        return computer
    return replace(computer, tmux_socket=place.tmux_socket or load_in_force(place).tmux.socket)


def _ask(tmux: Sequence[str], target: str, text: str) -> str:
    """Have tmux fill in a format. Raises NotFound with its words, or Unavailable when it does not answer."""
    command = [*tmux, "display-message", "-p", "-t", target, text]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_PATIENCE, env=_outside(), check=False
        )
    except subprocess.TimeoutExpired as error:
        raise Unavailable("tmux does not answer, so it is not given the terminal") from error
    if done.returncode:
        words = done.stderr.decode(errors="replace").strip()
        raise NotFound(one_line(words, 200) or f"tmux ended with status {done.returncode}")
    return done.stdout.decode(errors="replace").rstrip("\n")


def _outside() -> dict[str, str]:
    """Environment for a tmux that is not to know of the one around it."""
    return {name: value for name, value in os.environ.items() if name not in _OUR_TMUX}


def _run(wanted: Plan, terminal: Terminal, while_away: Callable[[], None]) -> tuple[int, str]:
    """Run it. Gives its exit status, and what it wrote to standard error."""
    with tempfile.TemporaryFile() as errors:
        if wanted.takes_terminal:
            terminal.leave()
        try:
            terminal.write(f"{wanted.says}\r\n".encode() if wanted.says else b"")
            environ = _outside() if wanted.takes_terminal else None
            status = _wait(subprocess.Popen(wanted.argv, stderr=errors, env=environ), while_away)
        finally:
            if wanted.takes_terminal:
                terminal.enter()
        errors.seek(0)
        return status, errors.read(64 * 1024).decode(errors="replace")


def _wait(process: subprocess.Popen[bytes], while_away: Callable[[], None]) -> int:
    while process.poll() is None:
        while_away()
    return int(process.returncode)
