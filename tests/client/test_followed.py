"""Where a reader stands, and what it asks for after a reconnect."""

from __future__ import annotations

from typing import Any

from teleclaude.client.events import Changed, Connected, Replaced, Resumed
from teleclaude.client.followed import Followed
from teleclaude.core.records import Kind, Scope

SESSIONS: Scope = ("here", "sessions")
TODOS: Scope = ("here", "todos")


def hello(epoch: str = "e1", version: int = 1) -> Connected:
    """A hello."""
    return Connected(epoch=epoch, version=version, computer="here")


def initial(kind: Kind, version: int, computer: str = "here") -> Replaced:
    """A snapshot."""
    return Replaced(epoch="e1", version=version, kind=kind, computer=computer, records=[])


def changed(version: int) -> Changed:
    """A change of a session."""
    return Changed(epoch="e1", version=version, kind="sessions", computer="here")


def standing(*messages: Any) -> Followed:
    """What is followed by one that received these."""
    followed = Followed()
    for message in messages:
        followed.receive(message)
    return followed


def test_the_first_time_everything_is_subscribed_to() -> None:
    """Without a snapshot there is nothing to resume."""
    followed = standing(hello(), initial("computers", 1, "*"))
    assert followed.opening_to_send([SESSIONS, TODOS]) == [
        {"subscribe": [{"computer": "here", "types": ["sessions", "todos"]}]}
    ]


def test_a_reconnect_resumes_from_the_last_change() -> None:
    """What was followed is resumed from the version of the last change, in one message."""
    followed = standing(hello(), initial("computers", 1, "*"), initial("sessions", 3), changed(9), hello(version=12))
    assert followed.opening_to_send([SESSIONS]) == [
        {
            "resume": {"epoch": "e1", "version": 9},
            "subscribe": [{"computer": "here", "types": ["sessions"]}],
        }
    ]


def test_a_new_epoch_is_subscribed_to_afresh() -> None:
    """Another epoch has other numbers: nothing is resumed."""
    followed = standing(hello(), initial("computers", 1, "*"), initial("sessions", 3), hello("e2"))
    assert "resume" not in followed.opening_to_send([SESSIONS])[0]


def test_a_kind_without_its_snapshot_is_not_resumed() -> None:
    """A connection that broke before a snapshot came asks for that snapshot, and resumes the rest."""
    followed = standing(hello(), initial("computers", 1, "*"), initial("sessions", 3), hello())
    first, second = followed.opening_to_send([SESSIONS, TODOS])
    assert first["subscribe"] == [{"computer": "here", "types": ["sessions"]}]
    assert second == {"subscribe": [{"computer": "here", "types": ["todos"]}]}


def test_a_connection_that_breaks_amid_a_resume_resumes_from_the_same_place() -> None:
    """The events of a resume all carry the present version; having some of them is not having all."""
    followed = standing(hello(), initial("computers", 1, "*"), initial("sessions", 3), hello())
    followed.opening_to_send([SESSIONS])
    followed.receive(changed(50))
    followed.receive(hello())
    followed.receive(initial("computers", 50, "*"))
    assert followed.opening_to_send([SESSIONS])[0]["resume"]["version"] == 3
    followed.receive(changed(50))
    followed.receive(Resumed(epoch="e1", version=50))
    followed.receive(hello())
    assert followed.opening_to_send([SESSIONS])[0]["resume"]["version"] == 50


def test_a_snapshot_moves_only_its_own_scope() -> None:
    """A connection that breaks between two fresh snapshots resumes from the older of both."""
    followed = standing(hello(), initial("computers", 1, "*"), initial("sessions", 3), initial("todos", 3), changed(5))
    followed.receive(initial("sessions", 40))
    followed.receive(hello())
    assert followed.opening_to_send([SESSIONS, TODOS])[0]["resume"]["version"] == 5


def test_what_is_not_wanted_any_more_holds_nothing_back() -> None:
    """A scope that was dropped is forgotten, and is asked for afresh when it is wanted again."""
    followed = standing(hello(), initial("computers", 1, "*"), initial("sessions", 3), initial("todos", 3))
    followed.forget([TODOS])
    followed.receive(changed(9))
    followed.receive(hello())
    first, second = followed.opening_to_send([SESSIONS, TODOS])
    assert first["resume"]["version"] == 9
    assert second == {"subscribe": [{"computer": "here", "types": ["todos"]}]}


def test_nothing_is_passed_over_between_the_hello_and_the_resume() -> None:
    """What comes behind the hello tells nothing of what was missed before it."""
    followed = standing(hello(), initial("computers", 10, "*"), initial("sessions", 10))
    for message in (hello(version=12), initial("computers", 12, "*"), changed(13)):
        followed.receive(message)
    assert followed.opening_to_send([SESSIONS])[0]["resume"]["version"] == 10


def test_a_late_snapshot_of_a_subscription_that_ended_is_no_place_to_resume_from() -> None:
    """A scope that was given up and wanted again is unknown until a connection asks for it afresh."""
    followed = standing(hello(), initial("computers", 1, "*"), initial("sessions", 1))
    followed.forget([TODOS])
    followed.receive(initial("todos", 3))
    followed.receive(changed(9))
    followed.receive(hello(version=12))
    first, second = followed.opening_to_send([SESSIONS, TODOS])
    assert first["resume"]["version"] == 9
    assert second == {"subscribe": [{"computer": "here", "types": ["todos"]}]}
