"""What tmux says of its clients: who looks at which pane, on which terminal, and when the last key came. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

SHOWS_OPTION = "@teleclaude_shows"  # of a window through which a session is looked at: COMPUTER/SESSION
_FIELDS = (
    "client_name",
    "client_tty",
    "client_activity",
    "client_control_mode",
    "session_id",
    "pane_id",
    SHOWS_OPTION,
    "client_termname",
    "client_termtype",
)
_APART = "<|>"  # printable: what is not, tmux may show otherwise
LIST_CLIENTS = ["list-clients", "-F", _APART.join(f"#{{{name}}}" for name in _FIELDS)]


@dataclass(frozen=True, slots=True)
class AttachedClient:
    """One client with a terminal. `last_key`: whole seconds since 1970. `pane` is what it shows, in `session`.

    `shows`: COMPUTER/SESSION where that pane is a window through which another computer's session is looked at.
    """

    name: str
    tty: str
    last_key: int
    session: str
    pane: str
    shows: str = ""
    term: str = ""
    term_type: str = ""


def clients_of(output: str) -> list[AttachedClient]:
    """Read what `LIST_CLIENTS` prints. Control clients, which are programs, are none; nor is what cannot be read."""
    found: list[AttachedClient] = []
    for line in output.split("\n"):
        fields = line.split(_APART)
        if len(fields) == len(_FIELDS) and fields[2].isdecimal() and fields[3] != "1":
            name, tty, last_key, _, session, pane, shows, term, term_type = fields
            found.append(AttachedClient(name, tty, int(last_key), session, pane, shows, term, term_type))
    return found


def most_recent(clients: Iterable[AttachedClient]) -> AttachedClient | None:
    """The client that a key came from last; None when there is no client."""
    return max(clients, key=lambda client: client.last_key, default=None)
