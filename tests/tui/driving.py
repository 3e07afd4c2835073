"""Drives the pure part of the terminal client: messages in, lines and effects out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from teleclaude.client.events import Changed, Connected, Message, Replaced
from teleclaude.core.records import Computer, Project, Record, Session, Todo, kind_of, owner_of, utc_text
from teleclaude.tui.cells import line_width
from teleclaude.tui.keys import Key, Paste
from teleclaude.tui.saved import Saved
from teleclaude.tui.state import ClientState, Effect, Pushed, Resized, Tick, Told
from teleclaude.tui.update import first_state, update
from teleclaude.tui.view import Frame, view
from tests.make import project, session, todo

NOW = 1_790_000_000.0
HOME = "/home/me"
SCREENS = [(35, 120), (24, 80)]


def ago(seconds: float) -> str:
    """A time in the past, as records tell it."""
    return utc_text(NOW - seconds)


class Driver:
    """A client without a terminal."""

    def __init__(self, size: tuple[int, int] = (24, 80), saved: Saved | None = None) -> None:
        self.state: ClientState = first_state(saved or Saved(), HOME)
        self.effects: list[Effect] = []
        self.version = 1
        self.tell(Resized(*size))
        self.tick(0)

    def tell(self, told: Told) -> list[Effect]:
        """Tell something; the effects it had."""
        self.state, effects = update(self.state, told)
        self.effects += effects
        return effects

    def tick(self, seconds: float) -> None:
        """Let so many seconds have passed since the beginning."""
        self.tell(Tick(NOW + seconds, 1000.0 + seconds))

    def press(self, *keys: str) -> list[Effect]:
        """Press keys; the effects they had."""
        return [effect for key in keys for effect in self.tell(Key(key))]

    def type(self, text: str) -> None:
        """Type text, key by key."""
        self.press(*("enter" if char == "\n" else char for char in text))

    def paste(self, text: str) -> None:
        """Paste text."""
        self.tell(Paste(text))

    def push(self, *messages: Message) -> list[Effect]:
        """Push messages, as the reader does."""
        return self.tell(Pushed(list(messages)))

    def connect(self, *others: Computer, local: Computer | None = None) -> None:
        """Be connected; this computer and others are known, of this one all kinds, and nothing in them."""
        me = local or Computer(name="here", is_local=True)
        self.push(
            Connected(epoch="e1", version=1, computer="here"),
            Replaced(epoch="e1", version=1, kind="computers", computer="*", records=[me, *others]),
        )
        self.load("here", [])

    def load(self, computer: str, records: Iterable[Record]) -> None:
        """Give snapshots of all kinds of a computer."""
        found = list(records)
        kinds: dict[str, list[Record]] = {"projects": [], "sessions": [], "todos": []}
        for record in found:
            kinds[kind_of(record)].append(record)
        for kind, of_kind in kinds.items():
            replaced: Any = {"kind": kind, "computer": computer, "records": of_kind}
            self.push(Replaced(epoch="e1", version=self.version, **replaced))

    def put(self, record: Record) -> list[Effect]:
        """Push one record's change."""
        self.version += 1
        put: Any = {"kind": kind_of(record), "computer": owner_of(record), "puts": [record]}
        return self.push(Changed(epoch="e1", version=self.version, **put))

    def remove(self, session_id: str, computer: str = "here") -> None:
        """Push a session's removal."""
        self.version += 1
        self.push(Changed(epoch="e1", version=self.version, kind="sessions", computer=computer, removes=[session_id]))

    def frame(self) -> Frame:
        """Draw; each line must have exactly the screen's width."""
        found = view(self.state)
        assert len(found.lines) == self.state.rows[0]
        for line in found.lines:
            assert line_width(line) == self.state.rows[1], line
        return found

    def lines(self) -> list[str]:
        """What is on the screen, without blanks at the ends."""
        return ["".join(text for text, _ in line).rstrip() for line in self.frame().lines]

    def text(self) -> str:
        """The screen as one text."""
        return "\n".join(self.lines())

    def selected(self) -> str:
        """The selected row's reference."""
        row = self.state.row
        return "" if row is None else row.ref or row.computer

    def style_of(self, words: str) -> str:
        """Style of the first span in which `words` are."""
        return next(style for line in self.frame().lines for text, style in line if words in text)


def work(
    key: str,
    title: Any,
    *,
    status: str = "working",
    agent: str = "claude",
    where: str = "/home/me/code/alpha",
    computer: str = "here",
    age: float = 120,
    **more: Any,
) -> Session:
    """A session of an agent. Keys sort as they were created."""
    found = session(key, computer, status=status)
    fields = {name: getattr(found, name) for name in found.__struct_fields__}
    fields |= {
        "title": title,
        "agent": agent,
        "project": where,
        "cwd": where,
        "status_since": ago(age),
        "command": agent,
        **more,
    }
    return Session(**fields)


def alpha(computer: str = "here") -> Project:
    """A project."""
    return Project(computer=computer, path="/home/me/code/alpha", name="alpha", branch="main")


__all__ = ["NOW", "Computer", "Driver", "Project", "Todo", "ago", "alpha", "project", "session", "todo", "work"]
