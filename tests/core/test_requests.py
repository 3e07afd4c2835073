"""Requests and outcomes survive the way, errors too."""

from __future__ import annotations

import msgspec
import pytest

from teleclaude.core import errors, requests
from teleclaude.core.requests import Outcome, Request
from teleclaude.core.verbs import Rename


def test_requests_survive_the_wire() -> None:
    """A request is read as it was made, with its verb's arguments."""
    request = Request(id="r", computer="raspi", args=Rename(session_id="ab", title="t"), deadline=1.0, origin="laptop")
    found = msgspec.msgpack.decode(msgspec.msgpack.encode(request), type=Request)
    assert found == request


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
