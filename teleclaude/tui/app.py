"""The loop: wait for keys, signals and wake-ups; let `update` decide; draw. It decides nothing itself.

It sleeps in `select` until something happens, or until an age on the screen is another. All that has come is taken
before the screen is drawn, so that a flood of changes costs one drawing.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import threading
import time
from collections import deque
from pathlib import Path

from msgspec.structs import replace

from teleclaude.client.api import Api
from teleclaude.client.reader import Reader
from teleclaude.core.client_places import OwnPlace
from teleclaude.core.paths import Places
from teleclaude.tui import saved, style
from teleclaude.tui.effects import Calls
from teleclaude.tui.first_look import first_look
from teleclaude.tui.keymap import terminal_keys
from teleclaude.tui.keys import KeyReader
from teleclaude.tui.log_file import log_to
from teleclaude.tui.screen import Screen
from teleclaude.tui.state import (
    Attach,
    Done,
    Effect,
    Follow,
    LogError,
    Pushed,
    Quit,
    Redraw,
    Resized,
    Retry,
    Suspend,
    Tick,
    Told,
    WatchScreen,
)
from teleclaude.tui.terminal import Terminal
from teleclaude.tui.update import first_state, to_save, update
from teleclaude.tui.view import next_tick, view

_END = {signal.SIGTERM, signal.SIGHUP}
_PROBLEMS = 100  # different tracebacks that are logged


class App:
    """The terminal client of the daemon at `place`, on `terminal`."""

    def __init__(self, place: Places, terminal: Terminal) -> None:
        self._place = place
        self._terminal = terminal
        self._keys = KeyReader()
        self._screen = Screen(style.palette(os.environ))
        self._wake_out, self._wake_in = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._told: deque[Told] = deque()  # from the calls' threads
        self._calls = Calls(place, self._tell, terminal.name())
        self._own_place = OwnPlace(place.clients_folder, terminal.name(), os.environ)
        self._reader = Reader(place.api_socket, self._wake)
        kept, note = saved.load(place.state)
        self._state = first_state(kept, str(Path.home()), note)
        self._problems: set[str] = set()

    def run(self) -> None:
        """Show the client until the user quits, or the terminal goes."""
        with self._terminal.watching_signals(), self._terminal.raw():
            self._take(Resized(*self._terminal.size()))
            self._tick()
            self._take(first_look(Api(self._place.api_socket)))
            self._paint()
            with log_to(self._place.state):
                self._reader.start()
                threading.Thread(target=self._learn_keys, name="keys", daemon=True).start()
                self._loop()

    def _loop(self) -> None:
        try:
            while not self._state.is_over:
                self._step()
        finally:
            self._keep()

    def _step(self) -> None:
        """Wait for something, take all of it, draw."""
        timeout = next_tick(self._state)
        if self._keys.deadline is not None:
            left = max(0.0, self._keys.deadline - time.monotonic())
            timeout = left if timeout is None else min(timeout, left)
        keys = self._terminal.fileno()
        ready, _, _ = select.select([keys, self._terminal.signals, self._wake_out], [], [], timeout)
        self._tick()
        numbers = self._take_signals({*_END, signal.SIGINT})
        if numbers.rfind(signal.SIGTSTP) > numbers.rfind(signal.SIGCONT):
            self._suspend()
        elif signal.SIGCONT in numbers:  # stopped and continued from outside: the shell had the terminal meanwhile
            self._terminal.enter()
            self._take(Resized(*self._terminal.size()))
        self._take_pushed()
        self._take_keys(is_typed=keys in ready)
        if not self._state.is_over:
            self._paint()

    # In

    def _take(self, told: Told) -> None:
        self._state, effects = update(self._state, told)
        for effect in effects:
            self._carry_out(effect)

    def _tick(self) -> None:
        self._take(Tick(time.time(), time.monotonic()))

    def _take_keys(self, *, is_typed: bool) -> None:
        if is_typed:
            data = self._terminal.read()
            if not data:
                self._take_end()
                return
            keys = self._keys.receive_data(data, time.monotonic())
        elif self._keys.deadline is not None and time.monotonic() >= self._keys.deadline:
            keys = self._keys.flush()
        else:
            return
        for key in keys:
            self._take(key)
        session = self._state.session
        self._own_place.note_key(f"{session.computer}/{session.session_id}" if session else "", time.time())

    def _take_pushed(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._wake_out, 4096)
        messages = self._reader.take()
        if messages:
            self._take(Pushed(messages))
        while self._told:
            self._take(self._told.popleft())

    def _take_signals(self, ends: set[signal.Signals]) -> bytes:
        numbers = self._terminal.read_signals()
        if ends.intersection(numbers):
            self._take_end()
        if signal.SIGWINCH in numbers:
            self._take(Resized(*self._terminal.size()))
        return numbers

    def _take_end(self) -> None:
        self._state = replace(self._state, is_over=True)

    # Out

    def _carry_out(self, effect: Effect) -> None:
        match effect:
            case Quit():
                pass  # the state says so too
            case Redraw():
                self._screen.forget()
            case Follow():
                self._reader.want(effect.scopes)
            case WatchScreen():
                self._reader.watch([effect.place] if effect.place else [])
            case Retry():
                self._reader.retry_now()
            case Suspend():
                self._suspend()
            case Attach():
                self._attach(effect)
            case _:
                self._calls.begin(effect)

    def _paint(self) -> None:
        frame = view(self._state)
        for problem in frame.problems:
            self._log(problem)
        data = self._screen.frame(frame.lines, frame.cursor)
        if data:
            try:
                self._terminal.write(data)
            except OSError:
                self._take_end()

    def _log(self, text: str) -> None:
        if text not in self._problems and len(self._problems) < _PROBLEMS:
            self._problems.add(text)
            self._calls.begin(LogError(text))

    def _suspend(self) -> None:
        self._terminal.leave()
        self._terminal.stop()
        self._terminal.enter()
        self._take(Resized(*self._terminal.size()))

    def _attach(self, effect: Attach) -> None:
        from teleclaude.tui.attaching import attach

        done = attach(effect, self._terminal, self._while_away)
        self._take(Resized(*self._terminal.size()))
        self._take(done)

    def _while_away(self) -> None:
        """Wait, and take what comes while a session has the terminal; nothing is drawn, no key is read.

        The end of the program that has it comes as SIGCHLD.
        """
        select.select([self._terminal.signals, self._wake_out], [], [])
        self._tick()
        self._take_signals(_END)  # ^C is for the program that has the terminal
        self._take_pushed()

    # Threads

    def _learn_keys(self) -> None:
        self._keys.learn(terminal_keys())

    def _tell(self, done: Done) -> None:
        self._told.append(done)
        self._wake()

    def _wake(self) -> None:
        with contextlib.suppress(BlockingIOError):  # full of wake-ups already
            os.write(self._wake_in, b"x")

    def _keep(self) -> None:
        self._own_place.remove()
        with contextlib.suppress(OSError):
            self._calls.keep(to_save(self._state))
