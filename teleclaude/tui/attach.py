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
from teleclaude.core.records import Computer, Session, Tmux

_HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:%-]{0,252}")
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}\$?")
_IDS = (("session", r"\$\d+"), ("window", r"@\d+"), ("pane", r"%\d+"))


class Plan(msgspec.Struct, frozen=True):
    """A command to run. `takes_terminal`: it has the terminal until it ends; else it comes back at once.

    `without`: environment variables that it must not see.
    """

    argv: list[str]
    takes_terminal: bool
    without: tuple[str, ...] = ()


def plan(session: Session, computer: Computer, environ: Mapping[str, str], socket: str, socket_path: str) -> Plan:
    """Give the command that attaches to a session from here.

    `socket`: name of this computer's tmux socket as in `tmux -L`, empty for tmux' default; `socket_path`: its path,
    links resolved. Raises Conflict when it cannot be attached to.
    """
    _check(session.tmux)
    if not computer.is_local:
        return Plan(
            ["ssh", "-t", "--", _destination(computer), shlex.join(_attach(["tmux", "-u"], session.tmux))], True
        )
    tmux = ["tmux", "-u", *(["-L", socket] if socket else [])]
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
