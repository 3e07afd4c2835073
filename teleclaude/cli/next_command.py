"""`teleclaude next`: have a tmux client show the next session that waits for somebody. Made for a key of tmux."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import click

from teleclaude.cli.table import say
from teleclaude.cli.tmux_here import TmuxHere
from teleclaude.cli.waiting_ring import has_more, next_in, ring
from teleclaude.client.api import Api
from teleclaude.core.errors import NotFound, TeleclaudeError
from teleclaude.core.paths import Places, places
from teleclaude.core.records import Computer, Session
from teleclaude.core.settings import load_in_force
from teleclaude.tui.attach import plan, shown_by
from teleclaude.tui.attaching import socket_path

LOOK_WITHIN = 4.0  # seconds for other computers to tell what waits there
LOOK_EVERY = 0.05


@click.command("next")
@click.option("--client", default="", help="The tmux client, by name (#{client_name}); else the one you are in.")
@click.option("--session", "session_id", default="", help="This session, whether it waits or not.")
def next_waiting(client: str, session_id: str) -> None:
    """Show the next session that waits for an answer, the longest waiting one first.

    In tmux the client switches to it; one of another computer gets a window with ssh. Outside of tmux it is attached
    to.
    """
    place = places()
    watched = socket_path(place.tmux_socket or load_in_force(place).tmux.socket)
    # Who is neither in tmux nor at a terminal (a click on a notification) means the client that is used.
    here = TmuxHere(os.environ, client, watched if client or not sys.stdin.isatty() else "")
    try:
        _go(here, place, watched, session_id)
    except TeleclaudeError as error:
        if not here.show_message(error.message):  # what a key of tmux prints would cover the pane
            raise


def _go(here: TmuxHere, place: Places, watched: str, session_id: str) -> None:
    api = Api(place.api_socket)
    looker = here.client()
    computers = {computer.name: computer for computer in api.computers()}
    if session_id:
        target: Session | None = api.session(session_id)
    else:
        local = next((name for name, computer in computers.items() if computer.is_local), "")
        pane = (local, looker.session, looker.pane) if looker and here.socket == watched else ("", "", "")
        target = _next(api, place.api_socket, computers, pane, looker.shows if looker else "")
    if target is None:
        if not here.show_message("no other session waits"):
            say("no other session waits")
        return
    computer = computers.get(target.computer)
    if computer is None:
        raise NotFound(f"{target.computer} has gone")
    if looker is None:
        argv = plan(target, computer).argv
        os.execvp(argv[0], argv)  # noqa: S606  (words; no shell)
    here.run(shown_by(looker, target, computer, here.socket, watched, here.window_that_shows(looker, target)))


def _next(
    api: Api, path: Path, computers: dict[str, Computer], pane: tuple[str, str, str], shows: str
) -> Session | None:
    """The next one that waits after what is looked at; others are asked when this one's own are through."""
    waiting = ring(api.sessions(status="waiting"), computers.values())
    target, is_around = next_in(waiting, pane, shows)
    if is_around or target is None:
        names = has_more(waiting, computers.values())
        if names:
            waiting = ring(_looked_at(api, path, names), computers.values())
            target, _ = next_in(waiting, pane, shows)
    return target


def _looked_at(api: Api, path: Path, names: list[str]) -> list[Session]:
    """Look at computers, as a client does, until it is known what waits there; all sessions that wait."""
    from teleclaude.client.reader import Reader  # 60 ms, and seldom needed

    reader = Reader(path, lambda: None)
    reader.want((name, "sessions") for name in names)
    reader.start()
    deadline = time.monotonic() + LOOK_WITHIN
    try:
        while True:
            waiting = api.sessions(status="waiting")
            if not has_more(waiting, api.computers()) or time.monotonic() > deadline:
                return waiting
            time.sleep(LOOK_EVERY)
    finally:
        reader.stop()
