"""POST, PATCH, DELETE: strict bodies, one command each, its outcome as the answer."""

from __future__ import annotations

import socket
import threading
from typing import Any

import msgspec
import pytest

from teleclaude.core.errors import Conflict, NotFound, OutcomeUnknown, Refused
from teleclaude.core.records import EVERYWHERE, Computer
from teleclaude.core.request_wire import AskerFrame, TakenFrame, to_bytes
from teleclaude.core.verbs import Args, End, Keys, Message, Output, Refresh, Rename, Start
from tests.wait import until
from tests.web.daemon import Daemon, session
from tests.web.raw_http import Connection, ask
from tests.web.ws import Peer


def test_each_route_is_its_command(web: Daemon) -> None:
    """With the whole id, whatever prefix was given, on the computer that owns the session."""
    web.put(Computer(name="other"), session(7, computer="other", session_id="fa4a4a"))
    web.answer = lambda args: (
        {"session": msgspec.to_builtins(session(9))}
        if isinstance(args, Start | Rename)
        else {"text": "out", "delivery": "submitted"}
    )
    start = {"computer": "other", "project": "/p", "agent": "claude", "title": "T", "message": "hi"}
    made = web.send("POST", "/sessions", start)
    assert (made.status, made.json["session_id"], made.headers["location"]) == (
        201,
        "a00009",
        "/sessions/a00009",
    )
    done = {"status": "ok", "delivery": "submitted"}
    assert web.send("POST", "/sessions/a00001/message", {"text": "a\nü"}).json == done
    assert web.send("POST", "/sessions/a00001/keys", {"keys": ["Up", "C-c"]}).json == {"status": "ok"}
    assert web.send("PATCH", "/sessions/a00001", {"title": "new"}).json["session_id"] == "a00009"
    page = {"session_id": "fa4a4a", "text": "out", "has_more": False}
    assert web.get("/sessions/fa/output?lines=5&before=7").json == page
    assert web.send("DELETE", "/sessions/fa").json == {"status": "ok"}
    assert web.send("POST", "/refresh").json == {"status": "ok"}
    for computer in ("here", "other"):
        assert web.send("POST", "/refresh", {"computer": computer}).json == {"status": "ok"}
    here: list[tuple[str, Args]] = [(request.computer, request.args) for request in web.requests]
    assert here == [
        ("other", Start(project="/p", agent="claude", title="T", message="hi")),
        ("here", Message(session_id="a00001", text="a\nü")),
        ("here", Keys(session_id="a00001", keys=["Up", "C-c"])),
        ("here", Rename(session_id="a00001", title="new")),
        ("other", Output(session_id="fa4a4a", lines=5, before=7)),
        ("other", End(session_id="fa4a4a")),
        (EVERYWHERE, Refresh()),
        ("here", Refresh()),
        ("other", Refresh()),
    ]


def test_what_was_just_started_elsewhere_can_be_acted_on_before_it_is_shown(web: Daemon) -> None:
    """A session on another computer gets the next message, though nobody looks there and it is not in the view."""
    web.put(Computer(name="other"))
    web.answer = lambda args: (
        {"session": msgspec.to_builtins(session(9, computer="other"))} if isinstance(args, Start) else {}
    )
    made = web.send("POST", "/sessions", {"computer": "other", "project": "/p", "agent": "claude"})
    assert made.json["session_id"] == "a00009"
    assert web.send("POST", "/sessions/a00009/message", {"text": "x"}).status == 200
    assert [request.computer for request in web.requests] == ["other", "other"]


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        ({"message_sent": False, "message_error": "it asks"}, (False, "it asks")),
        ({"message_sent": True}, (True, "")),
        ({}, (None, "")),
    ],
)
def test_what_became_of_a_first_message_is_told(web: Daemon, told: dict[str, Any], shown: tuple[Any, str]) -> None:
    """201 says that the session is there; whether its message was sent, and why not, stands beside it."""
    web.answer = lambda _: {"session": msgspec.to_builtins(session(9)), **told}
    made = web.send("POST", "/sessions", {"computer": "here", "project": "/p", "agent": "claude", "message": "hi"})
    assert made.status == 201
    assert (made.json["message_sent"], made.json["message_error"]) == shown


@pytest.mark.parametrize(
    ("error", "status"),
    [(Conflict("it waits"), 409), (Refused("not you"), 403), (OutcomeUnknown("silence"), 504)],
)
def test_the_outcome_is_the_answer(web: Daemon, error: Exception, status: int) -> None:
    """An error of the command comes with its own status and code."""

    def fail(_: Args) -> dict[str, Any]:
        raise error

    web.answer = fail
    answer = web.send("POST", "/sessions/a00001/message", {"text": "x"})
    assert (answer.status, answer.json["error"]["code"]) == (status, error.code)  # type: ignore[attr-defined]


def test_what_was_written_is_read_next_everywhere(web: Daemon) -> None:
    """A client that was told that its command is done reads the result by REST and finds it on /ws."""

    def start(args: Args) -> dict[str, Any]:
        assert isinstance(args, Start)
        made = session(int(args.title), title=args.title)
        web.put(*(session(number, title=args.title) for number in range(1000, 2000)), made)
        return {"session": msgspec.to_builtins(made)}

    web.answer = start
    for number in range(100, 110):
        body = {"computer": "here", "project": "/p", "agent": "x", "title": str(number)}
        made = web.send("POST", "/sessions", body).json["session_id"]
        with Peer(web.api) as peer:
            peer.say(subscribe="sessions")
            assert made in {record["session_id"] for record in peer.until("sessions_initial")["data"]["sessions"]}
        assert web.get(f"/sessions/{made}").status == 200


START = {"computer": "here", "project": "/p", "agent": "claude"}


@pytest.mark.parametrize(
    ("method", "path", "body", "field"),
    [
        ("POST", "/sessions", START | {"title": "x" * 129}, "title"),
        ("POST", "/sessions", START | {"title": 5}, "title"),
        ("POST", "/sessions", START | {"project": ""}, "project"),
        ("POST", "/sessions", START | {"project": "a\0b"}, "project"),
        ("POST", "/sessions", START | {"project": "x" * 10_000}, "project"),
        ("POST", "/sessions", START | {"agent": ""}, "agent"),
        ("POST", "/sessions", START | {"command": "rm"}, "command"),
        ("POST", "/sessions", {"computer": "here", "agent": "claude"}, "project"),
        ("POST", "/sessions", START | {"message": "ü" * 131_073}, "message"),
        ("POST", "/sessions/a00001/message", {"text": ""}, "text"),
        ("POST", "/sessions/a00001/message", {"text": "x" * (256 * 1024 + 1)}, "text"),
        ("POST", "/sessions/a00001/message", {"text": 2**70}, "text"),
        ("POST", "/sessions/a00001/keys", {"keys": []}, "keys"),
        ("POST", "/sessions/a00001/keys", {"keys": ["x"] * 65}, "keys"),
        ("POST", "/sessions/a00001/keys", {"keys": "Enter"}, "keys"),
        ("PATCH", "/sessions/a00001", {"title": ""}, "title"),
        ("PATCH", "/sessions/a00001", {"title": "a\0"}, "title"),
        ("PATCH", "/sessions/a00001", [], "body"),
        ("PATCH", "/sessions/a00001?x=1", {"title": "a"}, "x"),
        ("DELETE", "/sessions/a00001?force=1", None, "force"),
    ],
)
def test_a_wrong_body_is_400_and_names_the_field(web: Daemon, method: str, path: str, body: Any, field: str) -> None:
    """And no command is run."""
    answer = web.send(method, path, body)
    assert (answer.status, answer.json["error"]["field"]) == (400, field)
    assert web.requests == []


@pytest.mark.parametrize("content", ["text/plain", "application/x-www-form-urlencoded", "", "application/jsonp"])
def test_only_json_is_taken(web: Daemon, content: str) -> None:
    """What a foreign page's form could send is refused."""
    headers = {"Content-Type": content} if content else {}
    for path in ("/sessions/a00001/message", "/refresh"):
        answer = ask(web.api, "POST", path, b'{"text":"x"}', headers)
        assert (answer.status, answer.json["error"]["code"]) == (415, "unsupported_media_type")
    assert web.requests == []


def test_a_message_may_be_as_long_as_it_says(web: Daemon) -> None:
    """256 KiB of text, also when each character of it is escaped; other bodies end at 64 KiB."""
    escaped = b'{"text":"' + b"\\u0061" * (256 * 1024) + b'"}'
    headers = {"Content-Type": "application/json; charset=utf-8"}
    assert ask(web.api, "POST", "/sessions/a00001/message", escaped, headers).status == 200
    assert web.requests[-1].args == Message(session_id="a00001", text="a" * 256 * 1024)
    answer = web.send("PATCH", "/sessions/a00001", {"title": "x" * 70_000})
    assert (answer.status, answer.json["error"]["code"]) == (413, "too_large")
    assert web.get("/sessions").status == 200


def test_a_sync_process_that_just_started_is_waited_for(web: Daemon) -> None:
    """A command to a computer that the view shows is never answered with "there is no such computer"."""
    web.put(Computer(name="other"), session(7, computer="other", session_id="fa4a4a"))
    asked: list[Args] = []

    def answer(args: Args) -> dict[str, Any]:
        asked.append(args)
        if len(asked) < 4:
            raise NotFound("no computer of the fleet is called 'other'", field="computer")
        return {}

    web.answer = answer
    assert web.send("POST", "/sessions/fa4a4a/message", {"text": "x"}).status == 200
    assert asked == [Message(session_id="fa4a4a", text="x")] * 4


def test_an_id_that_another_computer_tells_never_catches_ours(web: Daemon) -> None:
    """A copied id, and one that begins as ours, leave ours as they are; (computer, id) names each of them."""
    web.put(
        Computer(name="other"),
        session(1, computer="other", title="a copy"),
        session(9, computer="other", session_id="a0000"),
    )
    text = {"text": "x"}
    for ident in ("a00001", "a0000", "a0000"):
        answer = web.send("POST", f"/sessions/{ident}/message", text)
        assert answer.status == (200 if ident == "a00001" else 409)
    assert web.get("/sessions/a00001").json["title"] == "session 1"
    assert web.get("/sessions/a00001?computer=other").json["title"] == "a copy"
    assert web.send("DELETE", "/sessions/a00001?computer=other").status == 200
    assert web.send("DELETE", "/sessions/a0000?computer=other").status == 200
    assert [(r.computer, r.args) for r in web.requests] == [
        ("here", Message(session_id="a00001", text="x")),
        ("other", End(session_id="a00001")),
        ("other", End(session_id="a0000")),
    ]


def test_this_computer_says_of_an_id_whether_it_has_ended(web: Daemon) -> None:
    """An id that is not in the view is asked about here, which knows what has ended."""

    def ended(_: Args) -> dict[str, Any]:
        raise NotFound("the session beef has ended", field="session_id")

    web.answer = ended
    answer = web.send("POST", "/sessions/beef/message", {"text": "x"})
    assert (answer.status, answer.json["error"]["message"]) == (404, "the session beef has ended")
    assert [(r.computer, r.args) for r in web.requests] == [("here", Message(session_id="beef", text="x"))]


@pytest.mark.parametrize("data", [{}, {"session": {}}, {"session": 5}, {"session": {"session_id": 1, "computer": "x"}}])
def test_an_answer_that_cannot_be_read_is_told_as_the_others_fault(web: Daemon, data: dict[str, Any]) -> None:
    """502 that names the computer, and no error of ours."""
    web.put(Computer(name="other"))
    web.answer = lambda _: data
    answer = web.send("POST", "/sessions", START | {"computer": "other"})
    assert (answer.status, answer.json["error"]["code"]) == (502, "peer")
    assert "other answered what cannot be read" in answer.json["error"]["message"]


def test_unknown_things_are_404(web: Daemon) -> None:
    """A session, a computer."""
    assert web.send("DELETE", "/sessions/zzz").json["error"]["field"] == "session_id"
    answer = web.send("POST", "/sessions", START | {"computer": "#(touch x)"})
    assert (answer.status, answer.json["error"]["field"]) == (404, "computer")
    assert web.send("POST", "/refresh", {"computer": "nowhere"}).status == 404
    assert web.requests == []


class Held:
    """An answer that is held back until it is let go."""

    def __init__(self) -> None:
        self.taken, self.go_on = threading.Event(), threading.Event()

    def __call__(self, _: Args) -> dict[str, Any]:
        self.taken.set()
        self.go_on.wait(10)
        return {}


def test_a_sync_process_that_dies_under_a_command_leaves_it_unknown(own: Daemon) -> None:
    """The client is told at once that nobody knows, not after ten seconds, and never that it failed."""
    own.answer = held = Held()
    connection = Connection(own.api)
    connection.request("DELETE", "/sessions/a00001")
    assert held.taken.wait(10)
    assert own.asker
    own.asker.connection.shutdown(socket.SHUT_RDWR)
    response = connection.getresponse()
    assert (response.status, msgspec.json.decode(response.read())["error"]["code"]) == (504, "unknown")
    held.go_on.set()
    connection.close()


def test_commands_wait_for_the_next_sync_process(own: Daemon) -> None:
    """What comes while there is none, or goes to one that is dead, is run once, by the next."""
    own.drop_asker()
    hung = socket.socket(socket.AF_UNIX)  # it says who it is, and never reads
    hung.connect(str(own.place.requests_socket))
    hung.sendall(to_bytes(AskerFrame("hung")))
    until(lambda: own.metric("sync_connected") == 1)
    connections = [Connection(own.api) for _ in range(3)]
    for connection in connections:
        connection.request("DELETE", "/sessions/a00001")
    until(lambda: own.metric("commands_under_way") == 3)
    own.run_commands()  # while the hung one is still connected
    assert [connection.getresponse().status for connection in connections] == [200] * 3
    for connection in connections:
        connection.close()
    with pytest.raises(BrokenPipeError):
        hung.sendall(to_bytes(TakenFrame("what it was sent")))
    hung.close()
    assert len({request.id for request in own.requests}) == len(own.requests) == 3


def test_commands_work_while_the_cache_is_away(own: Daemon) -> None:
    """They do not go through it."""
    own.kill("cache")
    assert own.send("DELETE", "/sessions/a00001").json == {"status": "ok"}
    assert own.requests[-1].args == End(session_id="a00001")


def test_commands_of_others_are_not_held_up(web: Daemon) -> None:
    """While one command hangs, reads and other connections go on."""
    web.answer = held = Held()
    connection = Connection(web.api)
    connection.request("DELETE", "/sessions/a00001")
    assert web.get("/sessions").status == 200
    assert web.get("/metrics").status == 200
    held.go_on.set()
    assert connection.getresponse().status == 200
    connection.close()
