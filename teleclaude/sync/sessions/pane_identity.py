"""The identity of each pane, kept in tmux itself, so that it survives this process.

The pane option `@teleclaude` holds one line of ASCII JSON. Rules:
- A pane keeps its id for its life; no two panes have the same one: a copy gets a new id.
- What a command changes here stands until tmux shows it; what tmux shows otherwise wins.
- Another tmux server is another world: nothing is carried over.
- What is gone is not written: a pane that a look does not show is forgotten. One that a command has just made may be
  newer than the look that is under way, so it is gone when `UNSEEN` looks in a row did not show it.

What must live here: who is who, and what is still to be written. What this module must not know: how it is written.
"""

from __future__ import annotations

import contextlib
import json
import re
import secrets
import threading
from collections.abc import Iterable, Iterator

import msgspec

from teleclaude.core.pane_mark import OPTION
from teleclaude.sync.tmux.panes import Pane

UNSEEN = 2  # the first look may have begun before the pane was made
_ID = re.compile(r"[A-Za-z0-9_-]{4,64}")


class Mark(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who a pane is. `agent`: the profile it was started with; `ours`: its tmux session was started by a command."""

    id: str
    agent: str = ""
    title: str = ""
    mode: str = ""
    parent: str = ""
    ours: bool = False

    def text(self) -> str:
        """One line of ASCII, as the option holds it."""
        return json.dumps(msgspec.to_builtins(self), ensure_ascii=True, separators=(",", ":"))


_decode = msgspec.json.Decoder(Mark).decode


def read_mark(text: str) -> Mark | None:
    """Read an option's value; None for one that is empty or not ours."""
    try:
        mark = _decode(text) if text else None
    except (msgspec.DecodeError, UnicodeEncodeError):
        return None
    return mark if mark and _ID.fullmatch(mark.id) else None


def new_id() -> str:
    """Make a session's id."""
    return secrets.token_hex(8)


class Marks:
    """The marks of all panes of one tmux server. Usable from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._marks: dict[str, Mark] = {}  # by pane id
        self._unwritten: set[str] = set()
        self._unseen: dict[str, int] = {}  # panes changed before a look showed them: looks since then
        self._server = 0
        self._held = 0

    def meet(self, server: int) -> None:
        """Say of which server the next panes are, by its process; nothing is kept of another one."""
        with self._lock:
            self._meet(server)

    def _meet(self, server: int) -> None:
        if server != self._server:
            self._server = server
            self._marks.clear()
            self._unwritten.clear()
            self._unseen.clear()

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Give no new pane a mark meanwhile: one of them is just being started, and gets its own with `change`.

        So nobody sees a session that is half filled in.
        """
        with self._lock:
            self._held += 1
        try:
            yield
        finally:
            with self._lock:
                self._held -= 1

    def see(self, panes: Iterable[Pane]) -> dict[str, Mark]:
        """Take what tmux shows of all panes that matter; give each pane's mark, but for panes held back."""
        with self._lock:
            if self._held:
                panes = [pane for pane in panes if pane.id in self._marks or read_mark(pane.mark)]
            return self._see(list(panes))

    def _see(self, panes: list[Pane]) -> dict[str, Mark]:
        shown = {pane.id: read_mark(pane.mark) for pane in panes}
        found: dict[str, Mark] = {}
        taken: set[str] = set()
        for pane in sorted(shown, key=lambda pane: (not self._is_known(pane, shown[pane]), int(pane[1:] or 0))):
            mark = self._decide(pane, shown[pane])
            if mark.id in taken:
                mark = msgspec.structs.replace(mark, id=new_id())
            if mark == shown[pane]:
                self._unwritten.discard(pane)
            else:
                self._unwritten.add(pane)
            taken.add(mark.id)
            found[pane] = mark
        self._marks.update(found)
        return found

    def _is_known(self, pane: str, shown: Mark | None) -> bool:
        known = self._marks.get(pane)
        return known is not None and (shown is None or shown.id == known.id)

    def _decide(self, pane: str, shown: Mark | None) -> Mark:
        known = self._marks.get(pane)
        if known and (pane in self._unwritten or shown is None):
            return known
        return shown or Mark(id=new_id())

    def change(
        self,
        server: int,
        pane: str,
        *,
        agent: str | None = None,
        title: str | None = None,
        mode: str | None = None,
        ours: bool = False,
    ) -> Mark:
        """Change a pane's mark, from now on; also that of a pane which no look has shown yet."""
        with self._lock:
            self._meet(server)
            mark = self._marks.get(pane) or Mark(id=new_id())
            self._marks[pane] = changed = Mark(
                id=mark.id,
                agent=mark.agent if agent is None else agent,
                title=mark.title if title is None else title,
                mode=mark.mode if mode is None else mode,
                parent=mark.parent,
                ours=mark.ours or ours,
            )
            self._unwritten.add(pane)
            self._unseen[pane] = 0
            return changed

    def get(self, pane: str) -> Mark | None:
        """The mark of a pane, or None."""
        with self._lock:
            return self._marks.get(pane)

    def unwritten(self) -> list[tuple[str, str]]:
        """Give (pane, option value) for all that tmux does not show yet."""
        with self._lock:
            return [(pane, self._marks[pane].text()) for pane in sorted(self._unwritten)]

    def keep(self, panes: Iterable[Pane]) -> None:
        """Take all panes of a look: forget the others, and what is written.

        One that was changed and never shown is forgotten only after `UNSEEN` looks without it.
        """
        with self._lock:
            shown = {pane.id: pane.mark for pane in panes}
            unseen = {pane: looks + 1 for pane, looks in self._unseen.items() if pane not in shown}
            self._unseen = {pane: looks for pane, looks in unseen.items() if looks < UNSEEN}
            keep = shown.keys() | self._unseen.keys()
            self._marks = {pane: mark for pane, mark in self._marks.items() if pane in keep}
            self._unwritten &= keep
            written = [pane for pane in self._unwritten if read_mark(shown.get(pane, "")) == self._marks.get(pane)]
            self._unwritten.difference_update(written)


def write_commands(unwritten: list[tuple[str, str]], limit: int = 12_000) -> list[list[str]]:
    """Give tmux commands that write options, as few as stay under `limit` bytes each.

    tmux drops the rest of a list after its first error, and a pane may be gone by now: `-q` makes that none.
    """
    commands: list[list[str]] = []
    size = limit
    for pane, text in unwritten:
        command = ["set-option", "-q", "-p", "-t", pane, OPTION, text]
        length = sum(len(word) + 1 for word in command) + 2
        if size + length > limit:
            commands.append(command)
            size = length
        else:
            commands[-1] += [";", *command]
            size += length
    return commands
