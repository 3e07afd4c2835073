"""How to attach to a session: which command lines. Pure.

Rules of this module: argument lists only, targets by tmux' ids only. A session of this computer is never opened by
ssh, whatever its record says of host and user. What goes to another computer is quoted word by word for its shell.

An id of tmux may stand for something else by now: a server that was started anew counts from 0 again. So tmux itself
is asked, in the command that attaches, whether the target still bears the session's mark; if not, it fails.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping

import msgspec

from teleclaude.core.errors import Conflict
from teleclaude.core.pane_mark import seen_from, shows_mark
from teleclaude.core.paths import is_tmux_socket
from teleclaude.core.records import Computer, Session
from teleclaude.core.text import one_line
from teleclaude.core.tmux_clients import SHOWS_OPTION, AttachedClient

_HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:%-]{0,252}")
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}\$?")
_IDS = (("session", r"\$\d+"), ("window", r"@\d+"), ("pane", r"%\d+"))

# `-t`: a terminal there. At level ERROR ssh keeps quiet of a connection that ended well, and tells why one did not.
_SSH_OPTIONS = ("-t", "-o", "ConnectTimeout=10", "-o", "LogLevel=ERROR")
_STATUSES = {127: "no tmux is found there by ssh", 255: "ssh ended without a reason"}
GONE = "the session has gone; what has its place in tmux now is another one"
_NO_PANES = {"shell", "other"}  # sessions without an agent: the row is the tmux session, not one pane of it


class Plan(msgspec.Struct, frozen=True):
    """A command to run. `takes_terminal`: it has the terminal until it ends; else it comes back at once.

    `says` is shown on the terminal that is given, until the command shows something itself.
    """

    argv: list[str]
    takes_terminal: bool
    says: str = ""


def plan(session: Session, computer: Computer, outer: str = "", socket_path: str = "") -> Plan:
    """Give the command that attaches to a session from here.

    `outer`: socket of the tmux in whose pane the client runs, if it does; `socket_path`: that of this computer's
    sessions; links resolved. Raises Conflict when it cannot be attached to.
    """
    if not computer.is_local:
        return Plan(_by_ssh(session, computer), True, f"Connecting to {one_line(computer.name, 128)} (Ctrl-C gives up)")
    if not outer:
        return Plan(_attach(session, computer), True)
    if outer == socket_path:
        return Plan(_if_still_there(session, computer, ["switch-client"]), False)
    return Plan(["tmux", "-u", "new-window", "-n", "teleclaude", "--", *_escaped(_outside(session, computer))], False)


def shown_by(
    client: AttachedClient, session: Session, computer: Computer, outer: str, socket_path: str, shown_in: str = ""
) -> list[str]:
    """Give the command that has a tmux client show a session, whoever runs it.

    `outer`: socket of that client's tmux; `socket_path` as above. A session that is not of that tmux gets a window of
    its own there, which is marked; `shown_in` is the one (`@5`) that it has already. Raises Conflict.
    """
    tmux = ["tmux", "-u", "-S", outer]
    if computer.is_local and outer == socket_path:
        return [
            *tmux,
            *_if_still_there(session, computer, ["switch-client", "-c", client.name])[len(tmux_of(computer)) :],
        ]
    if shown_in:
        return [*tmux, "select-window", "-t", f"{client.session}:{shown_in}"]
    inner = _outside(session, computer) if computer.is_local else _by_ssh(session, computer)
    mark = f"{computer.name}/{session.session_id}"
    window = ["new-window", "-t", f"{client.session}:", "-n", "teleclaude", "--", *_escaped(inner)]
    return [*tmux, *window, ";", *_escaped(["set-option", "-w", SHOWS_OPTION, mark])]


def _by_ssh(session: Session, computer: Computer) -> list[str]:
    return ["ssh", *_SSH_OPTIONS, "--", _destination(computer), shlex.join(_attach(session, computer))]


def _outside(session: Session, computer: Computer) -> list[str]:
    """Words that attach from within another tmux: of more than one, tmux runs the words themselves, without a shell."""
    return ["env", "-u", "TMUX", "-u", "TMUX_PANE", *_attach(session, computer)]


def outer_pane(environ: Mapping[str, str]) -> tuple[str, str]:
    """(socket, pane) of the tmux pane that the client was started in; empty when it was not started in one.

    Both are inherited by what is no pane (an editor's terminal, a window of the desktop): to be checked.
    """
    socket = environ.get("TMUX", "").rpartition(",")[0].rpartition(",")[0]
    pane = environ.get("TMUX_PANE", "")
    return (socket, pane) if socket and re.fullmatch(r"%\d+", pane, re.ASCII) else ("", "")


def target_of(session: Session) -> str:
    """What a session's row stands for in tmux: a pane, or a whole session. Raises Conflict for what is no id."""
    for name, pattern in _IDS:
        if not re.fullmatch(pattern, getattr(session.tmux, name), re.ASCII):
            raise Conflict(f"the session's tmux {name} id is not one")
    if session.agent in _NO_PANES:
        return session.tmux.session
    return seen_from(session.tmux.session, session.tmux.pane)


def is_still_there(session: Session) -> str:
    """Give a tmux format that is 1 at the target of a session as long as that is what it was. Raises Conflict."""
    try:
        return shows_mark(session.session_id)
    except ValueError as error:
        raise Conflict("the session's id is not one") from error


def tmux_of(computer: Computer) -> list[str]:
    """Tmux, on the socket that a computer watches; on its default one when it did not say. Raises Conflict."""
    name = computer.tmux_socket
    if name and not is_tmux_socket(name):
        raise Conflict(f"{computer.name} names a tmux socket that cannot be one")
    return ["tmux", "-u", *(["-L", name] if name else [])]


def failure(status: int, errors: str, computer: Computer) -> str:
    """Why the command of a plan failed, of its exit status and what it wrote to standard error; empty: it did not."""
    if status == 0:
        return ""
    lines = [line for line in errors.splitlines() if line.strip()]
    if lines and GONE in lines[-1]:
        return GONE
    if lines:
        return one_line(lines[-1], 200)
    if status < 0:
        return f"attaching was interrupted (signal {-status})"
    # What the shell and tmux of another computer write goes to the terminal that ssh made there, and is gone with it.
    reason = _STATUSES.get(status, f"its tmux ended with status {status}; the session may have gone")
    return f"{computer.name}: {reason}"


def _attach(session: Session, computer: Computer) -> list[str]:
    return _if_still_there(session, computer, ["attach-session"])


def _if_still_there(session: Session, computer: Computer, verb: list[str]) -> list[str]:
    """Have tmux show the target of a session by `verb`; the error that tells that it has gone is a bad target's."""
    target, place = target_of(session), session.tmux
    commands = [[*verb, "-t", place.session]]
    if target != place.session:
        commands += [["select-window", "-t", place.window], ["select-pane", "-Z", "-t", place.pane]]
    then = " ; ".join(shlex.join(command) for command in commands)
    otherwise = shlex.join(["select-pane", "-t", f"={GONE}"])
    return [*tmux_of(computer), "if-shell", "-F", "-t", target, is_still_there(session), then, otherwise]


def _escaped(words: list[str]) -> list[str]:
    """Words that are data for a tmux command: a `;` at the end of one would end that command."""
    return [word[:-1] + "\\;" if word.endswith(";") else word for word in words]


def _destination(computer: Computer) -> str:
    if not _HOST.fullmatch(computer.host):
        raise Conflict(
            f"{computer.name} does not say under which host name ssh reaches it: "
            "set `host` under [computer] in its config.toml"
        )
    if computer.user and not _USER.fullmatch(computer.user):
        raise Conflict(f"{computer.name} names a user that ssh cannot be given")
    return f"{computer.user}@{computer.host}" if computer.user else computer.host
