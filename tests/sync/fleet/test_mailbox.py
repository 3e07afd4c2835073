"""What waits for the fleet's loop is bounded, whatever becomes of Redis."""

from __future__ import annotations

import threading

from teleclaude.core.live_screen import LiveScreen
from teleclaude.core.requests import Request, new_id
from teleclaude.core.verbs import Message
from teleclaude.sync.fleet.mailbox import COMMANDS_LIMIT, ROOM, Mailbox
from teleclaude.sync.fleet.node_events import CommandGiven, InboxCame, InterestChanged, ScreenChanged, WatchChanged
from tests.wait import until


def command() -> CommandGiven:
    """A command that a client gave."""
    return CommandGiven(
        Request(id=new_id(), computer="far", args=Message(session_id="0" * 16, text="x"), deadline=0), 1
    )


def test_too_many_commands_are_not_taken() -> None:
    """Beyond a limit a command is not taken, and its giver can be told so; once they were told there is room again."""
    mailbox = Mailbox()
    assert all(mailbox.put_command(command()) for _ in range(COMMANDS_LIMIT))
    assert not mailbox.put_command(command())
    assert len(mailbox.take(0)) == COMMANDS_LIMIT
    assert mailbox.put_command(command())


def test_of_screens_and_interest_the_newest_waits() -> None:
    """However many come while the loop waits for Redis, one of each is told."""
    mailbox = Mailbox()
    for number in range(1000):
        mailbox.screen_changed(ScreenChanged("one", LiveScreen(rows=(str(number),))))
        mailbox.watch_changed(WatchChanged(frozenset({("far", str(number))})))
        mailbox.interest_changed(InterestChanged({str(number): ["sessions"]}))
    assert mailbox.take(0) == [
        InterestChanged({"999": ["sessions"]}),
        WatchChanged(frozenset({("far", "999")})),
        ScreenChanged("one", LiveScreen(rows=("999",))),
    ]
    assert mailbox.take(0) == []


def test_a_reader_that_is_ahead_waits() -> None:
    """A reader is held back while much waits, and goes on when that was told, or when nothing is read any more."""
    mailbox = Mailbox()
    done = threading.Event()

    def read() -> None:
        for number in range(3 * ROOM):
            mailbox.put_when_room(InboxCame([str(number).encode()]))
        done.set()

    threading.Thread(target=read, daemon=True).start()
    until(lambda: len(mailbox._events) == ROOM)
    assert not done.is_set()
    assert len(mailbox.take(1.0)) == ROOM
    until(lambda: len(mailbox._events) == ROOM)
    mailbox.close()
    until(done.is_set)
