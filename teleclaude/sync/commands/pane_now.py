"""What a pane is at the moment in which a command acts on it, and a guard against acting on another. Pure.

Rules:
- An id of tmux (`%0`) is never enough: a server that was started anew gives the same ids to other panes. What acts
  on a pane does so only while tmux shows the session's mark on it, tested by tmux itself in the same step.
- Fields are parted by a mark drawn at random: a title may hold anything.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from teleclaude.core.errors import Conflict, NotFound, PeerError
from teleclaude.core.pane_mark import PANE_OPTION, SESSION_OPTION, seen_from, shows_mark
from teleclaude.sync.sessions.identities import read_identity

LINE_LIMIT = 4000  # bytes; a terminal in canonical mode keeps 4,095 of a line and drops the rest
_FIELD = f"<{secrets.token_hex(4)}>"
_NAMES = (
    PANE_OPTION,
    SESSION_OPTION,
    "pane_dead",
    "pane_input_off",
    "pane_synchronized",
    "pane_pid",
    "pane_tty",
    "pane_title",
    "host",
)
_OTHER = f"teleclaude: another pane {secrets.token_hex(8)}"
_PLAIN = re.compile(r"[A-Za-z0-9_@%=:./-]+")


@dataclass(frozen=True, slots=True)
class PaneNow:
    """A pane as tmux shows it. `own_id`, `session_id`: in its mark and its session's; `host`: tmux' default title."""

    own_id: str
    session_id: str
    is_dead: bool
    is_input_off: bool
    is_synchronised: bool
    pid: int
    tty: str
    title: str
    host: str


def question(where: str) -> list[str]:
    """Arguments of the tmux command whose answer `read_pane` takes. `where`: a target, as of `Target.where`."""
    return ["display-message", "-p", "-t", where, _FIELD.join(f"#{{{name}}}" for name in _NAMES)]


def read_pane(answer: bytes) -> PaneNow:
    """Read an answer. Raises PeerError for one that is not whole."""
    fields = answer.decode("utf-8", "replace").removesuffix("\n").split(_FIELD)
    if len(fields) != len(_NAMES):
        raise PeerError("tmux' answer about a pane is not whole")
    mark, session_mark, dead, off, synchronised, pid, tty, title, host = fields
    own_id, session_id = (shown.id if (shown := read_identity(text)) else "" for text in (mark, session_mark))
    return PaneNow(
        own_id=own_id,
        session_id=session_id,
        is_dead=dead == "1",
        is_input_off=off == "1",
        is_synchronised=synchronised == "1",
        pid=int(pid) if pid.isdecimal() else 0,
        tty=tty,
        title=title,
        host=host,
    )


@dataclass(frozen=True, slots=True)
class Target:
    """A session's pane. `row`: what has the session's id, the pane itself or its tmux session `tmux` (`$3`);
    `server`: the process of its tmux server; `is_marked`: tmux was seen to show the mark.
    """

    session_id: str
    row: str
    tmux: str
    pane: str
    server: int
    is_marked: bool

    @property
    def where(self) -> str:
        """The pane as a target from which its session is seen as well."""
        return seen_from(self.tmux, self.pane)

    def check(self, now: PaneNow) -> None:
        """Raise NotFound when the pane of that number is another session's, Conflict when its program has ended."""
        shown = now.session_id if self.row == self.tmux else now.own_id
        if self.session_id not in {now.session_id, now.own_id} and (shown or self.is_marked):
            raise NotFound("the session has ended", field="session_id")
        if now.is_dead:
            raise Conflict("the session has ended")

    def guarded(self, *commands: Sequence[str], otherwise: Sequence[Sequence[str]] = ()) -> list[str]:
        """Give a tmux command that runs `commands` only while the pane is this session's; else `otherwise`.

        Its answer is to be given to `refuse_other`.
        """
        shown = shows_mark(self.session_id)
        option = SESSION_OPTION if self.row == self.tmux else PANE_OPTION
        test = shown if self.is_marked else f"#{{||:{shown},#{{==:#{{{option}}},}}}}"
        other = [*otherwise, ["display-message", "-p", _OTHER]]
        return ["if-shell", "-F", "-t", self.where, test, _line(commands), _line(other)]


def refuse_other(answer: bytes) -> bytes:
    """Give back the answer of a guarded command. Raises NotFound when the guard refused."""
    if answer.strip() == _OTHER.encode():
        raise NotFound("the session has ended", field="session_id")
    return answer


def _line(commands: Sequence[Sequence[str]]) -> str:
    """Commands as tmux reads them from one argument."""
    return " ; ".join(" ".join(map(_quoted, command)) for command in commands)


def _quoted(word: str) -> str:
    return word if _PLAIN.fullmatch(word) else "'" + word.replace("'", "'\\''") + "'"


def refuse_input(now: PaneNow, *, to_all: bool) -> None:
    """Raise Conflict for a pane that takes no input, or `to_all`: keys that would reach other panes as well."""
    if now.is_input_off:
        raise Conflict("input to this pane is switched off: `tmux select-pane -e` in it switches it on")
    if to_all and now.is_synchronised:
        raise Conflict(
            "this pane is synchronised with others, which would get the keys too: "
            "`tmux set-option -w synchronize-panes off` in it ends that"
        )


def longest_line(text: str) -> int:
    """Bytes of the longest line."""
    return max(len(line.encode()) for line in text.split("\n"))
