"""`teleclaude output ID --follow`: the screen of a session, live. On a terminal it is painted, else it is printed."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable

import click

from teleclaude.client.api import Api
from teleclaude.client.events import Connected, Disconnected, LiveOutput, Message, ServerError
from teleclaude.client.reader import Reader
from teleclaude.core.errors import from_code
from teleclaude.core.paths import places
from teleclaude.core.records import Session
from teleclaude.core.sgr import plain
from teleclaude.core.text import visible
from teleclaude.tui.peek_lines import lines_of
from teleclaude.tui.screen import Screen
from teleclaude.tui.style import palette

ENTER, LEAVE = "\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[H\x1b[2J", "\x1b[0m\x1b[?7h\x1b[?25h\x1b[?1049l"
KEYS = (("Ctrl-C", "ends this; the session goes on"),)


def follow(api: Api, wanted: str, computer: str) -> None:
    """Show a session's screens until Ctrl-C, or until there are no more, which raises why."""
    session = api.session(wanted, computer=computer)
    news = threading.Event()
    reader = Reader(places().api_socket, news.set)
    reader.watch([(session.computer, session.session_id)])
    reader.start()
    output = _Painted(session, news.set) if sys.stdout.isatty() else _Printed(session)
    try:
        with output:
            while True:
                output.show(reader.take())
                news.wait()
                news.clear()
    except KeyboardInterrupt:
        pass
    finally:
        reader.stop()


class _Printed:
    """Screens as text, one after the other."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...

    def show(self, messages: Iterable[Message]) -> None:
        """Take what came, and show the newest screen of it. Raises the error that ended it."""
        for message in messages:
            match message:
                case LiveOutput():
                    self.take(message)
                case Disconnected():
                    self.note(message.reason)
                case Connected():
                    self.note("")
                case ServerError():
                    raise from_code(message.code, message.message)
                case _:
                    pass

    def take(self, output: LiveOutput) -> None:
        """Print a screen."""
        for row in output.text.split("\n"):
            click.echo(visible(plain(row)))
        click.echo("\f")

    def note(self, trouble: str) -> None:
        """Say what is wrong, if anything is."""
        if trouble:
            click.echo(visible(f"teleclaude: {trouble}; trying again"), err=True)


class _Painted(_Printed):
    """The screen on a terminal, painted anew where it differs."""

    def __init__(self, session: Session, wake: Callable[[], None]) -> None:
        super().__init__(session)
        self._wake = wake
        self._size = os.get_terminal_size(sys.stdout.fileno())
        self._screen = Screen(palette(os.environ))
        self._output: LiveOutput | None = None
        self._trouble = ""

    def __enter__(self) -> None:
        signal.signal(signal.SIGWINCH, lambda *_: self._wake())  # painted by the loop, never in the midst of a paint
        _write(ENTER.encode())
        self._paint()

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGWINCH, signal.SIG_DFL)
        _write(LEAVE.encode())

    def show(self, messages: Iterable[Message]) -> None:
        """Take what came, and paint once."""
        super().show(messages)
        self._paint()

    def take(self, output: LiveOutput) -> None:
        """Take a screen."""
        self._output = output

    def note(self, trouble: str) -> None:
        """Say what is wrong in the head."""
        self._trouble = trouble

    def _paint(self) -> None:
        session, size = self.session, os.get_terminal_size(sys.stdout.fileno())
        if size != self._size:
            self._size = size
            self._screen.forget()
        lines = lines_of(
            session.title or session.session_id,
            session.computer,
            self._output,
            self._trouble,
            (size.lines, size.columns),
            keys=KEYS,
        )
        _write(self._screen.frame(lines))


def _write(data: bytes) -> None:
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()
