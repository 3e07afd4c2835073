"""The identity of each session and pane, kept in tmux itself, so that it survives this process.

An option holds one line of ASCII JSON: `@teleclaude_session` of a tmux session, `@teleclaude` of a pane. Holders are
named by tmux' ids: `$3` a session, `%5` a pane. Rules:
- Every session has an id of its own, whatever panes it has; a pane has one while an agent runs in it, and after.
- A holder keeps its id for its life. Two holders never have the same one (a copy gets a new id), but for a session
  and one of its own panes: what begins as a shell and becomes an agent, and the other way round, stays one row.
- What a command changes here stands until tmux shows it; what tmux shows otherwise wins.
- Another tmux server is another world: nothing is carried over.
- What is gone is not written: a holder that a look does not show is forgotten. One that a command has just made may
  be newer than the look that is under way, so it is gone when `UNSEEN` looks in a row did not show it.

What must live here: who is who, and what is still to be written. What this module must not know: how it is written.
"""

from __future__ import annotations

import contextlib
import json
import re
import secrets
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

import msgspec

from teleclaude.core.pane_mark import PANE_OPTION, SESSION_OPTION

UNSEEN = 2  # the first look may have begun before the holder was made
_ID = re.compile(r"[A-Za-z0-9_-]{4,64}")


class Identity(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who a session or pane is. `agent`: the profile it was started with; `ours`: a command started its session.

    `status`, `reason`, `since`: what it has been for a while, and the seconds since 1970 from which on.
    """

    id: str
    agent: str = ""
    title: str = ""
    mode: str = ""
    parent: str = ""
    ours: bool = False
    status: str = ""
    reason: str = ""
    since: int = 0

    def text(self) -> str:
        """One line of ASCII, as the option holds it."""
        return json.dumps(msgspec.to_builtins(self), ensure_ascii=True, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class Holder:
    """A session or pane of a look. `text`: its option. `session`: the session a pane is in; `$3` is in itself.

    `panes_text`: option of a session's active pane, in which older versions kept the session's id.
    """

    key: str
    text: str
    session: str
    panes_text: str = ""


_decode = msgspec.json.Decoder(Identity).decode


@lru_cache(maxsize=4096)
def read_identity(text: str) -> Identity | None:
    """Read an option's value; None for one that is empty or not ours."""
    try:
        identity = _decode(text) if text else None
    except (msgspec.DecodeError, UnicodeEncodeError):
        return None
    return identity if identity and _ID.fullmatch(identity.id) else None


def new_id() -> str:
    """Make a session's id."""
    return secrets.token_hex(8)


class Identities:
    """The identities of one tmux server's sessions and panes. Usable from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[str, Identity] = {}  # by holder
        self._unwritten: set[str] = set()
        self._unseen: dict[str, int] = {}  # holders changed before a look showed them: looks since then
        self._rows: dict[str, str] = {}  # by id: the holder that the last look showed under it
        self._server = 0
        self._held = 0
        self._seen: tuple[list[Holder], list[str], bool] | None = None  # from which `_given` follows
        self._given: dict[str, Identity] = {}

    def meet(self, server: int) -> None:
        """Say of which server the next holders are, by its process; nothing is kept of another one."""
        with self._lock:
            self._meet(server)

    def _meet(self, server: int) -> None:
        if server != self._server:
            self._server = server
            self._seen = None
            for kept in (self._known, self._unwritten, self._unseen, self._rows):
                kept.clear()

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Give no new holder an identity meanwhile: one is just being started, and gets its own with `change`.

        So nobody sees a session that is half filled in.
        """
        with self._lock:
            self._held += 1
        try:
            yield
        finally:
            with self._lock:
                self._held -= 1

    def see(self, holders: Iterable[Holder], shown: Iterable[str]) -> dict[str, Identity]:
        """Take all sessions, and all panes with an agent. `shown`: those of them that are rows.

        Gives the identity of each, but for those held back.
        """
        with self._lock:
            seen = (list(holders), list(shown), self._held > 0)
            if seen != self._seen:
                self._given = _Giving(self._known, self._unwritten, self._rows).give(seen[0], is_held=seen[2])
                self._known.update(self._given)
                self._rows = {self._given[key].id: key for key in seen[1] if key in self._given}
                self._seen = seen
            return self._given

    def change(
        self,
        server: int,
        key: str,
        *,
        like: str = "",
        agent: str | None = None,
        title: str | None = None,
        mode: str | None = None,
        ours: bool = False,
    ) -> Identity:
        """Change a holder's identity, from now on; also that of one which no look has shown yet.

        `like`: the holder whose id a new one gets.
        """
        with self._lock:
            self._meet(server)
            base = self._known.get(key) or self._known.get(like) or Identity(id=new_id())
            changed = msgspec.structs.replace(
                base,
                agent=base.agent if agent is None else agent,
                title=base.title if title is None else title,
                mode=base.mode if mode is None else mode,
                ours=base.ours or ours,
            )
            self._put(key, changed)
            return changed

    def place(self, server: int, key: str, identity: Identity) -> None:
        """Give a holder that was just made the identity that another had, which is gone."""
        with self._lock:
            self._meet(server)
            self._put(key, identity)

    def rename(self, server: int, session_id: str, title: str) -> Identity | None:
        """Give a row another title; None when there is no such row. An agent's session and pane may share the id."""
        with self._lock:
            self._meet(server)
            row = self._rows.get(session_id)
            if row is None:
                return None
            for key in [key for key, identity in self._known.items() if identity.id == session_id]:
                self._put(key, msgspec.structs.replace(self._known[key], title=title))
            return self._known.get(row)

    def keep_status(self, key: str, status: str, reason: str, since: int) -> None:
        """Keep a row's status with its identity: after a restart of this process it is known since when it has it."""
        with self._lock:
            if key in self._known:
                self._put(key, msgspec.structs.replace(self._known[key], status=status, reason=reason, since=since))

    def _put(self, key: str, identity: Identity) -> None:
        self._seen = None
        self._known[key] = identity
        self._unwritten.add(key)
        self._unseen[key] = 0

    def get(self, key: str) -> Identity | None:
        """The identity of a holder, or None."""
        with self._lock:
            return self._known.get(key)

    def started_as(self, key: str, text: str) -> str:
        """The profile that a holder was started with; `text`: its option, for one that is not known yet."""
        with self._lock:
            identity = self._known.get(key) or read_identity(text)
            return identity.agent if identity else ""

    def row(self, session_id: str) -> str:
        """The holder that is the row of this id: `$3`, a session; `%5`, an agent's pane; empty when there is none."""
        with self._lock:
            return self._rows.get(session_id, "")

    def unwritten(self) -> list[tuple[str, str]]:
        """Give (holder, option value) for all that tmux does not show yet."""
        with self._lock:
            return [(key, self._known[key].text()) for key in sorted(self._unwritten)]

    def written(self, batch: Iterable[tuple[str, str]]) -> None:
        """Note that tmux took option values. The next look shows whether it has them."""
        with self._lock:
            for key, text in batch:
                if key in self._known and self._known[key].text() == text:
                    self._unwritten.discard(key)

    def keep(self, texts: Mapping[str, str]) -> None:
        """Take the options of all sessions and panes of a look, by holder: forget the others, and what is written.

        One that was changed and never shown is forgotten only after `UNSEEN` looks without it.
        """
        with self._lock:
            unseen = {key: looks + 1 for key, looks in self._unseen.items() if key not in texts}
            self._unseen = {key: looks for key, looks in unseen.items() if looks < UNSEEN}
            keep = texts.keys() | self._unseen.keys()
            self._known = {key: identity for key, identity in self._known.items() if key in keep}
            wrong = {key for key, own in self._known.items() if key in texts and read_identity(texts[key]) != own}
            self._unwritten = wrong | (self._unwritten & self._unseen.keys())


class _Giving:
    """One look's worth of giving ids."""

    def __init__(self, known: Mapping[str, Identity], unwritten: set[str], rows: Mapping[str, str]) -> None:
        self._known, self._unwritten, self._rows = known, unwritten, rows
        self._taken: dict[str, list[Holder]] = {}
        self._panes: dict[str, list[str]] = {}  # by session: its panes that hold an identity
        self._given: dict[str, Identity] = {}

    def give(self, holders: list[Holder], *, is_held: bool) -> dict[str, Identity]:
        """Who has one keeps it, those first that were shown with it; then who has none gets one."""
        own = [(holder, identity) for holder in holders if (identity := self._own(holder))]
        for holder, identity in sorted(own, key=self._order):
            self._take(holder, identity)
        if not is_held:
            for holder in sorted(holders, key=lambda holder: _place(holder.key)):
                if holder.key not in self._given:
                    self._take(holder, self._inherited(holder))
        return self._given

    def _own(self, holder: Holder) -> Identity | None:
        known, shown = self._known.get(holder.key), read_identity(holder.text)
        return known if known and (holder.key in self._unwritten or shown is None) else shown

    def _order(self, own: tuple[Holder, Identity]) -> tuple[bool, bool, tuple[bool, int]]:
        holder, identity = own
        known = self._known.get(holder.key)
        was_row = self._rows.get(identity.id) == holder.key
        return not was_row, known is None or known.id != identity.id, _place(holder.key)

    def _take(self, holder: Holder, identity: Identity) -> None:
        if not self._is_free(identity.id, holder):
            identity = msgspec.structs.replace(identity, id=new_id())
        self._taken.setdefault(identity.id, []).append(holder)
        if _is_pane(holder):
            self._panes.setdefault(holder.session, []).append(holder.key)
        self._given[holder.key] = identity

    def _is_free(self, wanted: str, holder: Holder) -> bool:
        """Tell whether nobody has an id but, for a session, one pane of its own, and for a pane its session."""
        by = self._taken.get(wanted, [])
        return not by or (len(by) == 1 and by[0].session == holder.session and _is_pane(by[0]) != _is_pane(holder))

    def _inherited(self, holder: Holder) -> Identity:
        """What one without an identity gets: that of its session, or of a pane of it; else a new one."""
        if _is_pane(holder):
            found = self._given.get(holder.session)
            heirs = [msgspec.structs.replace(found, agent="", status="", reason="", since=0)] if found else []
        else:
            mine = [self._given[pane] for pane in self._panes.get(holder.key, [])]
            older = read_identity(holder.panes_text)
            heirs = [*mine, older] if older else mine
        return next((heir for heir in heirs if self._is_free(heir.id, holder)), Identity(id=new_id()))


def _is_pane(holder: Holder) -> bool:
    return holder.key.startswith("%")


def _place(key: str) -> tuple[bool, int]:
    """Sessions before panes, older before newer."""
    return key.startswith("%"), int(key[1:]) if key[1:].isdigit() else 0


Batch = list[tuple[str, str]]  # (holder, option value)


def write_commands(unwritten: Batch, limit: int = 12_000) -> list[tuple[list[str], Batch]]:
    """Give tmux commands that write options, as few as stay under `limit` bytes each, and what each of them writes.

    tmux drops the rest of a list after its first error, and a holder may be gone by now: `-q` makes that none.
    """
    commands: list[tuple[list[str], Batch]] = []
    size = limit
    for key, text in unwritten:
        where = ["-p", "-t", key, PANE_OPTION] if key.startswith("%") else ["-t", key, SESSION_OPTION]
        command = ["set-option", "-q", *where, text]
        length = sum(len(word) + 1 for word in command) + 2
        if size + length > limit:
            commands.append((command, [(key, text)]))
            size = length
        else:
            commands[-1][0].extend([";", *command])
            commands[-1][1].append((key, text))
            size += length
    return commands
