"""REST over the socket: typed answers, errors as they were told, a deadline for each call."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from teleclaude.client.api import Api
from teleclaude.core.errors import (
    Ambiguous,
    InvalidField,
    NotFound,
    OutcomeUnknown,
    PeerError,
    TooLarge,
    Unavailable,
    UserError,
    WaitingForApproval,
)
from tests.client.served import answering, socket_folder
from tests.machine import Machine
from tests.wait import until


@pytest.fixture
def folder() -> Iterator[Path]:
    """Make a folder for a socket."""
    with socket_folder() as found:
        yield found


def wait_for(event: threading.Event) -> None:
    """Reply nothing until the test says so."""
    event.wait(20)


def says(status: str, body: bytes, head: str = "") -> bytes:
    """An answer."""
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{head}\r\n".encode() + body


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        ("404 Not Found", "not_found", NotFound),
        ("409 Conflict", "ambiguous", Ambiguous),
        ("409 Conflict", "waiting_for_approval", WaitingForApproval),
        ("413 Too Large", "too_large", TooLarge),
        ("503 Unavailable", "unavailable", Unavailable),
        ("504 Gateway Timeout", "unknown", OutcomeUnknown),
    ],
)
def test_an_error_comes_back_as_what_it_was(folder: Path, status: str, code: str, kind: type[Exception]) -> None:
    """The error that the daemon told is raised, with its words and field."""
    body = b'{"error":{"code":"%s","message":"no such luck","field":"title"}}' % code.encode()
    with answering(folder / "s", lambda c: c.sendall(says(status, body))), pytest.raises(kind, match="luck") as caught:
        Api(folder / "s").message("s1", "hi")
    assert getattr(caught.value, "field", None) == "title"


def test_nobody_there_is_told_as_such(folder: Path) -> None:
    """No socket, and a socket that nobody serves, are two sentences of their own."""
    with pytest.raises(Unavailable, match="not running"):
        Api(folder / "s").sessions()
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(folder / "s"))
    with pytest.raises(Unavailable, match="has gone"):
        Api(folder / "s").sessions()


def test_a_daemon_that_hangs_costs_a_read_no_more_than_its_deadline(folder: Path) -> None:
    """A read ends at its deadline; a command that was sent and not answered may have run, and says so."""
    hang = threading.Event()
    with answering(folder / "s", lambda _: wait_for(hang)):
        api = Api(folder / "s", timeout=0.2, command_timeout=0.2)
        before = time.monotonic()
        with pytest.raises(Unavailable, match="in time"):
            api.sessions()
        hang.set()
        assert time.monotonic() - before < 15
    hang.clear()
    with answering(folder / "t", lambda _: wait_for(hang)):
        with pytest.raises(OutcomeUnknown):
            Api(folder / "t", command_timeout=0.2).end("s1")
        hang.set()


def test_a_trickle_does_not_stretch_the_deadline(folder: Path) -> None:
    """One deadline is spread over all steps: a byte now and then does not begin it anew."""
    stop = threading.Event()

    def trickle(connection: socket.socket) -> None:
        while not stop.wait(0.05):
            connection.sendall(b"x")

    with answering(folder / "s", trickle):
        with pytest.raises(Unavailable):
            Api(folder / "s", timeout=0.4).sessions()
        stop.set()


def test_a_command_whose_answer_breaks_off_may_have_run(folder: Path) -> None:
    """A connection that closes before the answer leaves the outcome unknown, not "failed"."""
    with answering(folder / "s", lambda c: None), pytest.raises(OutcomeUnknown):
        Api(folder / "s").end("s1")


def test_an_answer_before_the_whole_request_was_read_is_heard(folder: Path) -> None:
    """A refusal of a large body is told, though the server closed while it was being sent."""
    body = b'{"error":{"code":"too_large","message":"at most 256 KiB"}}'
    with (
        answering(folder / "s", lambda c: c.sendall(says("413 Too Large", body))),
        pytest.raises(TooLarge),
    ):
        Api(folder / "s").call("POST", "/sessions/s1/message", {"text": "x" * 3_000_000})


@pytest.mark.parametrize("body", [b"", b"[", b"{}", b'[{"session_id":1}]', b"\xff"])
def test_an_answer_that_cannot_be_read_is_an_error_of_the_peer(folder: Path, body: bytes) -> None:
    """What is no list of sessions is told, not returned."""
    with answering(folder / "s", lambda c: c.sendall(says("200 OK", body))), pytest.raises(PeerError):
        Api(folder / "s").sessions()


def test_names_cannot_leave_their_place_in_the_request(folder: Path) -> None:
    """Ids and filters are quoted: no slash, line end or question mark gets through."""
    answer = says("200 OK", b"[]")
    with answering(folder / "s", lambda c: c.sendall(answer)) as asked:
        Api(folder / "s").sessions(computer="a&b=c\r\nX: y", project="/p ?#")
        for ident in ("../x?\r\n", "", "\udcff"):
            with pytest.raises(InvalidField, match="session_id"):
                Api(folder / "s").session(ident)
        for call in (Api(folder / "s").refresh, lambda name: Api(folder / "s").end("s1", computer=name)):
            with pytest.raises(InvalidField, match="computer"):
                call("\udcff")
    assert asked[0].startswith(b"GET /sessions?computer=a%26b%3Dc%0D%0AX%3A+y&project=%2Fp+%3F%23 HTTP/1.1\r\n")
    assert len(asked) == 1


def test_every_call_against_a_real_daemon() -> None:
    """Each method speaks with the daemon as it is, on a real tmux."""
    machine = Machine("solo")
    try:
        (machine.code / "alpha" / ".git").mkdir(parents=True)
        machine.start()
        api = Api(machine.place.api_socket)
        assert [c.name for c in api.computers()] == ["solo"]
        assert api.health().computer == "solo"
        assert {"claude", "shell"} <= {agent.name for agent in api.agents()}
        started = api.start("solo", str(machine.code / "alpha"), "shell", title="mine")
        assert [s.session_id for s in api.sessions(computer="solo")] == [started.session_id]
        assert api.session(started.session_id[:6]).title == "mine"
        api.message(started.session_id, "echo one-$((1+1))-three")
        until(lambda: "one-2-three" in api.output(started.session_id))
        api.keys(started.session_id, ["C-l"])
        assert api.rename(started.session_id, "yours").title == "yours"
        api.refresh()
        assert api.projects()
        assert api.todos() == []
        assert api.projects_with_todos(computer="solo")
        api.end(started.session_id)
        assert api.sessions() == []
        with pytest.raises(NotFound):
            api.session(started.session_id)
        with pytest.raises(UserError) as caught:
            api.start("solo", "relative", "shell")
        assert caught.value.field == "project"
    finally:
        machine.close()
