"""How to attach to a session: which command lines. Pure.

Rules of this module: argument lists only, targets by tmux' ids only. A session of this computer is never opened by
ssh, whatever its record says of host and user. What goes to another computer is quoted word by word for its shell.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import Literal

import msgspec

from teleclaude.core.errors import Conflict
from teleclaude.core.paths import is_tmux_socket
from teleclaude.core.records import Computer, Session, Tmux
from teleclaude.core.text import one_line

_HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:%-]{0,252}")
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}\$?")
_IDS = (("session", r"\$\d+"), ("window", r"@\d+"), ("pane", r"%\d+"))


# `-t`: a terminal there. At level ERROR ssh keeps quiet of a connection that ended well, and tells why one did not.
_SSH_OPTIONS = ("-t", "-o", "ConnectTimeout=10", "-o", "LogLevel=ERROR")
_STATUSES = {127: "no tmux is found there by ssh", 255: "ssh ended without a reason"}


class Plan(msgspec.Struct, frozen=True):
    """A command to run. `takes_terminal`: it has the terminal until it ends; else it comes back at once.

    `says` is shown on the terminal that is given, until the command shows something itself.
    """

    argv: list[str]
    takes_terminal: bool
    says: str = ""


def plan(session: Session, computer: Computer, environ: Mapping[str, str], socket_path: str = "") -> Plan:
    """Give the command that attaches to a session from here.

    `socket_path`: path of this computer's tmux socket, links resolved. Raises Conflict when it cannot be attached to.
    """
    _check(session.tmux)
    tmux = ["tmux", "-u", *_socket(computer)]
    if not computer.is_local:
        argv = ["ssh", *_SSH_OPTIONS, "--", _destination(computer), shlex.join(_attach(tmux, session.tmux))]
        return Plan(argv, True, f"Connecting to {one_line(computer.name, 128)} (Ctrl-C gives up)")
    outer = environ.get("TMUX", "").rpartition(",")[0].rpartition(",")[0]
    if not outer:
        return Plan(_attach(tmux, session.tmux), True)
    if outer == socket_path:
        return Plan([*tmux, "switch-client", "-t", session.tmux.session, *_select(session.tmux)], False)
    # Of more than one word, tmux runs the words themselves: no shell sees them.
    inner = ["env", "-u", "TMUX", *_attach(tmux, session.tmux)]
    return Plan(["tmux", "-u", "new-window", "-n", "teleclaude", "--", *_escaped(inner)], False)


def where(environ: Mapping[str, str]) -> Literal["outside", "inside"]:
    """Tell whether the client itself runs in tmux."""
    return "inside" if environ.get("TMUX") else "outside"


def _attach(tmux: list[str], target: Tmux) -> list[str]:
    return [*tmux, "attach-session", "-t", target.session, *_select(target)]


def _socket(computer: Computer) -> list[str]:
    """Which tmux of a computer: the one it watches; tmux' default when it did not say."""
    name = computer.tmux_socket
    if name and not is_tmux_socket(name):
        raise Conflict(f"{computer.name} names a tmux socket that cannot be one")
    return ["-L", name] if name else []


def failure(status: int, errors: str, computer: Computer) -> str:
    """Why the command of a plan failed, of its exit status and what it wrote to standard error; empty: it did not."""
    if status == 0:
        return ""
    lines = [line for line in errors.splitlines() if line.strip()]
    if lines:
        return one_line(lines[-1], 200)
    if status < 0:
        return f"attaching was interrupted (signal {-status})"
    # What the shell and tmux of another computer write goes to the terminal that ssh made there, and is gone with it.
    reason = _STATUSES.get(status, f"its tmux ended with status {status}; the session may have gone")
    return f"{computer.name}: {reason}"


def _select(target: Tmux) -> list[str]:
    return [";", "select-window", "-t", target.window, ";", "select-pane", "-t", target.pane]


def _escaped(words: list[str]) -> list[str]:
    """Words that are data for a tmux command: a `;` at the end of one would end that command."""
    return [word[:-1] + "\\;" if word.endswith(";") else word for word in words]


def _check(target: Tmux) -> None:
    for name, pattern in _IDS:
        if not re.fullmatch(pattern, getattr(target, name), re.ASCII):
            raise Conflict(f"the session's tmux {name} id is not one")


def _destination(computer: Computer) -> str:
    if not _HOST.fullmatch(computer.host):
        raise Conflict(
            f"{computer.name} does not say under which host name ssh reaches it: "
            "set `host` under [computer] in its config.toml"
        )
    if computer.user and not _USER.fullmatch(computer.user):
        raise Conflict(f"{computer.name} names a user that ssh cannot be given")
    return f"{computer.user}@{computer.host}" if computer.user else computer.host
