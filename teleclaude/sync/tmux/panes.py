"""What tmux says of all its panes, as one look, or of some, as a peek. Pure: format out, bytes in, panes out.

A title, a path or a session's name may hold tabs, newlines, escapes and bytes that are no UTF-8. So fields are
parted by marks that are drawn at random for each process. The first line names the server, so an empty answer, or
one cut short, is never "no panes"; a server that has no sessions says so in words.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass, replace

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
    "window_index",
    "pane_index",
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
# What a peek asks for: what of a pane changes while nobody makes, moves or renames it.
_PEEK = ("pane_id", "session_id", "pane_dead", "pane_dead_status", "pane_dead_signal", "session_activity", "pane_title")
_PEEK_ALL = ("pane_current_command", "pane_current_path")
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
    place: str = ""  # number of its window and of it therein, as tmux counts: "1.0"


@dataclass(frozen=True, slots=True)
class Look:
    """All panes at one moment. `spoilt`: rows that could not be read."""

    server: Server
    panes: list[Pane]
    spoilt: int = 0


@dataclass(frozen=True, slots=True)
class Peek:
    """What one pane is now. `command` and `path` are None where they were not asked for."""

    id: str
    session: str
    is_dead: bool
    exit_status: int | None
    signal: int
    session_activity: int
    title: str
    command: str | None = None
    path: str | None = None

    def applied_to(self, pane: Pane) -> Pane:
        """Give a pane as it is now; the same object when nothing of it changed."""
        used = self.session_activity if pane.session == self.session else pane.session_activity
        command = pane.command if self.command is None else self.command
        path = pane.path if self.path is None else self.path
        now = (self.is_dead, self.exit_status, self.signal, used, self.title, command, path)
        was = (pane.is_dead, pane.exit_status, pane.signal, pane.session_activity, pane.title, pane.command, pane.path)
        if now == was:
            return pane
        return replace(
            pane,
            is_dead=self.is_dead,
            exit_status=self.exit_status,
            signal=self.signal,
            session_activity=used,
            title=self.title,
            command=command,
            path=path,
        )


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

    def peek_command(self, panes: Iterable[tuple[str, bool]]) -> list[str]:
        """Arguments of the tmux command whose answer `read_peek` takes: of panes by id, and whether to ask for all."""
        words: list[str] = []
        for pane, is_all in panes:
            names = (*_PEEK, *_PEEK_ALL) if is_all else _PEEK
            row = self._field.join(f"#{{{name}}}" for name in names) + self._end
            words += [";", "display-message", "-p", "-t", pane, row]
        return words[1:]

    def read_peek(self, answer: Answer) -> list[Peek] | None:
        """Read an answer; None for one that is not whole, or in which a pane is missing: it is gone."""
        *rows, rest = answer.output.split(self._end.encode() + b"\n")
        peeks = [self._peek(row.split(self._field.encode())) for row in rows]
        whole = [peek for peek in peeks if peek is not None]
        return whole if answer.ok and not rest and len(whole) == len(peeks) else None

    def _peek(self, fields: list[bytes]) -> Peek | None:
        if len(fields) not in {len(_PEEK), len(_PEEK) + len(_PEEK_ALL)} or not fields[0].startswith(b"%"):
            return None
        pane, session, dead, status, signal, used, title, *more = fields
        return Peek(
            id=_text(pane),
            session=_text(session),
            is_dead=bool(_number(dead)),
            exit_status=_status(status),
            signal=_number(signal),
            session_activity=_number(used),
            title=_text(title),
            command=_text(more[0]) if more else None,
            path=_text(more[1], PATH_LIMIT) if more else None,
        )

    def _pane(self, row: bytes) -> Pane | None:
        fields = row.split(self._field.encode())
        if len(fields) != _COUNT or not fields[2].startswith(b"%"):
            return None
        session, window, pane = (_text(field) for field in fields[:3])
        numbers, texts = fields[3 : 3 + len(_NUMBERS)], fields[3 + len(_NUMBERS) :]
        pid, dead, _, signal, active, current, attached, created, used, changed, in_session, in_window = map(
            _number, numbers
        )
        tty, name, title, command, path, mark, session_mark = texts
        return Pane(
            session=session,
            window=window,
            id=pane,
            pid=pid,
            is_dead=bool(dead),
            exit_status=_status(fields[5]),
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
            place=f"{in_session}.{in_window}",
        )


def _number(field: bytes) -> int:
    return int(field) if field.isdigit() else 0


def _status(field: bytes) -> int | None:
    return int(field) if field.isdigit() else None


def _text(field: bytes, limit: int = TEXT_LIMIT) -> str:
    """Text that any encoder takes: what is no UTF-8 is replaced, NUL is dropped."""
    return field.decode("utf-8", "replace").replace("\0", "")[:limit]
