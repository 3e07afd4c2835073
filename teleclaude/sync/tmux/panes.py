"""What tmux says of all its panes, as one look. Pure: format out, bytes in, panes out.

A title, a path or a session's name may hold tabs, newlines, escapes and bytes that are no UTF-8. So fields are
parted by marks that are drawn at random for each process. The first line names the server, so an empty answer, or
one cut short, is never "no panes"; a server that has no sessions says so in words.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from teleclaude.core.errors import PeerError
from teleclaude.sync.tmux.imsg import Answer

TEXT_LIMIT = 512  # characters of a title, name or command
PATH_LIMIT = 4096

_NUMBERS = (
    "pane_pid",
    "pane_dead",
    "pane_dead_status",
    "pane_dead_signal",
    "pane_active",
    "window_active",
    "session_attached",
    "session_created",
    "session_activity",
    "window_activity",
)
_IDS = ("session_id", "window_id", "pane_id")
_TEXTS = (
    "pane_tty",
    "session_name",
    "pane_title",
    "pane_current_command",
    "pane_current_path",
    "@teleclaude",
    "@teleclaude_session",
)
_NO_SESSIONS = "no current target"  # how list-panes -a complains in a server without sessions
_COUNT = len(_NUMBERS) + len(_IDS) + len(_TEXTS)


@dataclass(frozen=True, slots=True)
class Server:
    """The tmux server that answered. `pid` and `started` tell it from any other; `host` is its default title."""

    pid: int
    started: int
    version: str
    host: str


@dataclass(frozen=True, slots=True)
class Pane:
    """One pane, as one session shows it. Times are seconds since 1970; 0 where tmux does not say."""

    session: str
    window: str
    id: str
    pid: int
    is_dead: bool
    exit_status: int | None  # None until tmux knows it, a little after the pane is dead
    signal: int
    is_active: bool  # in its window
    is_current: bool  # its window, in its session
    attached: int
    created: int
    session_activity: int
    window_activity: int
    tty: str
    session_name: str
    title: str
    command: str
    path: str
    mark: str  # the option in which this pane's identity is kept, raw
    session_mark: str  # the same of its session


@dataclass(frozen=True, slots=True)
class Look:
    """All panes at one moment. `spoilt`: rows that could not be read."""

    server: Server
    panes: list[Pane]
    spoilt: int = 0


class PaneReader:
    """Asks for panes and reads the answer; an unchanged row is read once."""

    def __init__(self, nonce: str | None = None) -> None:
        mark = nonce or secrets.token_hex(4)
        self._field, self._end, self._head = f"<{mark}>", f"<{mark}/>", f"<{mark}!>"
        self._known: dict[bytes, Pane | None] = {}

    def command(self) -> list[str]:
        """Arguments of the tmux command whose answer `read` takes."""
        names = (*_IDS, *_NUMBERS, *_TEXTS)
        row = self._field.join(f"#{{{name}}}" for name in names) + self._end
        head = self._head.join(["", "#{pid}", "#{start_time}", "#{version}", "#{host}", ""])
        return ["display-message", "-p", head, ";", "list-panes", "-a", "-F", row]

    def read(self, answer: Answer) -> Look:
        """Read an answer. Raises PeerError for one that is not whole, or says that tmux could not."""
        head, newline, body = answer.output.partition(b"\n")
        parts = head.split(self._head.encode())
        if not newline or len(parts) != 6 or parts[0] or parts[5]:
            raise PeerError(f"tmux could not list its panes: {answer.error or 'the answer is not whole'}")
        server = Server(_number(parts[1]), _number(parts[2]), _text(parts[3]), _text(parts[4]))
        if not answer.ok:
            if _NO_SESSIONS not in answer.error:
                raise PeerError(f"tmux could not list its panes: {answer.error}")
            return Look(server, [])
        *rows, rest = body.split(self._end.encode() + b"\n")
        if rest:
            raise PeerError(f"tmux' answer of {len(answer.output)} bytes is not whole")
        known = {row: self._known[row] if row in self._known else self._pane(row) for row in rows}
        self._known = known
        panes = [pane for row in rows if (pane := known[row]) is not None]
        return Look(server, panes, len(rows) - len(panes))

    def _pane(self, row: bytes) -> Pane | None:
        fields = row.split(self._field.encode())
        if len(fields) != _COUNT or not fields[2].startswith(b"%"):
            return None
        session, window, pane = (_text(field) for field in fields[:3])
        pid, dead, _, signal, active, current, attached, created, used, changed = map(_number, fields[3:13])
        tty, name, title, command, path, mark, session_mark = fields[13:]
        return Pane(
            session=session,
            window=window,
            id=pane,
            pid=pid,
            is_dead=bool(dead),
            exit_status=int(fields[5]) if fields[5].isdigit() else None,
            signal=signal,
            is_active=bool(active),
            is_current=bool(current),
            attached=attached,
            created=created,
            session_activity=used,
            window_activity=changed,
            tty=_text(tty),
            session_name=_text(name),
            title=_text(title),
            command=_text(command),
            path=_text(path, PATH_LIMIT),
            mark=_text(mark, PATH_LIMIT),
            session_mark=_text(session_mark, PATH_LIMIT),
        )


def _number(field: bytes) -> int:
    return int(field) if field.isdigit() else 0


def _text(field: bytes, limit: int = TEXT_LIMIT) -> str:
    """Text that any encoder takes: what is no UTF-8 is replaced, NUL is dropped."""
    return field.decode("utf-8", "replace").replace("\0", "")[:limit]
