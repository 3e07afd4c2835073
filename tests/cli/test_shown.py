"""What is said of a session in words."""

from __future__ import annotations

from msgspec.structs import replace

from teleclaude.cli.shown import offline, status_and_reason, status_of
from tests.make import computer, session


def test_a_session_of_a_computer_that_is_gone_is_not_shown_as_live() -> None:
    """What its computer said last is not shown as if it were so."""
    gone = offline([computer("here"), computer("raspi", status="offline"), computer("server")])
    assert gone == {"raspi"}
    far, near = (
        replace(session("a", there, status="waiting"), status_reason="approval") for there in ("raspi", "here")
    )
    assert status_of(far, gone) == status_and_reason(far, gone) == "offline"
    assert (status_of(near, gone), status_and_reason(near, gone)) == ("waiting", "waiting (approval)")
    assert status_and_reason(session("a", "server"), gone) == "idle"
