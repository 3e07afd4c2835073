"""Commands and outcomes: limits, and errors that survive the way."""

from __future__ import annotations

import msgspec
import pytest

from teleclaude.core import errors, requests
from teleclaude.core.requests import End, Keys, Message, Outcome, Output, Refresh, Rename, Request, Start


@pytest.mark.parametrize(
    ("args", "field"),
    [
        (Start(project="", agent="claude"), "project"),
        (Start(project="/a\0b", agent="claude"), "project"),
        (Start(project="/a", agent=""), "agent"),
        (Start(project="/a", agent="claude", title="x" * 129), "title"),
        (Start(project="/a", agent="claude", message="x" * (requests.MESSAGE_LIMIT + 1)), "message"),
        (Message(session_id="", text="x"), "session_id"),
        (Message(session_id="s", text=""), "text"),
        (Message(session_id="s", text="\ud800"), "text"),
        (Message(session_id="s", text="é" * (requests.MESSAGE_LIMIT // 2 + 1)), "text"),
        (Rename(session_id="s", title=""), "title"),
        (Keys(session_id="s", keys=[]), "keys"),
        (Keys(session_id="s", keys=["x"] * 65), "keys"),
        (Keys(session_id="s", keys=["x" * 33]), "keys"),
        (Output(session_id="s", lines=0), "lines"),
        (Output(session_id="s", lines=2**70), "lines"),
        (End(session_id="x" * 129), "session_id"),
    ],
)
def test_what_is_over_a_limit_is_refused_by_field(args: requests.Args, field: str) -> None:
    """The error names the field that is wrong."""
    with pytest.raises(errors.InvalidField) as caught:
        requests.check(args)
    assert caught.value.field == field


def test_the_largest_message_is_taken() -> None:
    """256 KiB of any text is within the limit."""
    requests.check(Message(session_id="s", text="é" * (requests.MESSAGE_LIMIT // 2)))


def test_requests_survive_the_wire() -> None:
    """A request is read as it was made, with its verb."""
    request = Request(id="r", computer="raspi", args=Rename(session_id="s", title="t"), deadline=1.0, origin="laptop")
    found = msgspec.msgpack.decode(msgspec.msgpack.encode(request), type=Request)
    assert found == request
    assert requests.verb_of(found.args) == "rename"
    assert requests.verb_of(Refresh()) == "refresh"


@pytest.mark.parametrize(
    "error",
    [
        errors.NotFound("no session `ab`"),
        errors.InvalidField("title", "must not be empty"),
        errors.WaitingForApproval("the agent waits for an approval"),
        errors.Unavailable("gone"),
        errors.OutcomeUnknown("nobody said"),
    ],
)
def test_an_error_survives_as_an_outcome(error: errors.TeleclaudeError) -> None:
    """Kind, text and field of an error are the same on the other side."""
    outcome = requests.failed("r", error)
    found = requests.error_of(outcome)
    assert found is not None
    assert (found.code, found.status, found.message, found.field) == (
        error.code,
        error.status,
        error.message,
        error.field,
    )
    assert isinstance(found, errors.TeleclaudeError)
    assert (outcome.status == "unknown") == isinstance(error, errors.OutcomeUnknown)


def test_a_good_outcome_is_no_error() -> None:
    """ok tells no error; an unknown code is still an error."""
    assert requests.error_of(Outcome(id="r", status="ok")) is None
    assert requests.error_of(Outcome(id="r", status="error", code="from the future", message="m")) is not None
