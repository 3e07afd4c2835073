"""/ws: a state at a version, then every later change in order; what clients say; who leaves."""

from __future__ import annotations

import signal

import pytest
from websockets.exceptions import ConnectionClosed

from teleclaude.cache import wire
from teleclaude.core.records import EVERYWHERE, Computer, Project, Todo
from teleclaude.core.verbs import Refresh
from teleclaude.web.push.watches import WATCHES_LIMIT
from tests import make
from tests.wait import until
from tests.web.daemon import LOCAL, Daemon, session
from tests.web.raw_http import connected, raw, until_closed
from tests.web.ws import Peer


def test_everybody_is_greeted_with_hello_computers_and_health(web: Daemon) -> None:
    """In this order, at once, without a word from the client."""
    with Peer(web.api, greeted=False) as peer:
        hello, computers, health = peer.next(), peer.next(), peer.next()
    assert (hello["event"], computers["event"], health["event"]) == ("hello", "computers_initial", "health")
    assert set(hello["data"]) == {"epoch", "computer", "server"}
    assert hello["data"]["computer"] == LOCAL
    assert [record["name"] for record in computers["data"]["computers"]] == [LOCAL]
    assert health["data"] == {"stale": False, "reason": "", "workers": {}}


def test_every_kind_of_change_has_its_event(web: Daemon) -> None:
    """Whole records, pushed as they change, in order."""
    with Peer(web.api) as peer:
        peer.say(subscribe=["sessions", "preparation"])
        assert len(peer.until("sessions_initial")["data"]["sessions"]) == 3
        assert peer.until("preparation_initial")["data"] == {"computer": "*", "projects": [], "todos": []}
        web.put(Project(computer=LOCAL, path="/p", name="p"))
        assert peer.next()["data"]["projects"][0]["path"] == "/p"
        web.put(Todo(computer=LOCAL, project="/p", slug="t", title="T"))
        event = peer.next()
        assert (event["event"], event["data"]["project"], event["data"]["todos"][0]["slug"]) == (
            "todos_updated",
            "/p",
            "t",
        )
        web.sync.write([wire.ReplaceTodos(LOCAL, [])])
        assert peer.next()["data"] == {"todos": [], "computer": LOCAL, "project": "/p"}
        web.put(session(9))
        assert (peer.next()["event"], web.put(session(9, title="new"))[1]) == ("session_started", peer.versions[-1] + 1)
        assert peer.next()["data"]["title"] == "new"
        web.sync.write([wire.Remove("sessions", LOCAL, ["a00009"])])
        gone = peer.next()
        assert (gone["event"], gone["data"]) == (
            "session_removed",
            {"session_id": "a00009", "computer": LOCAL},
        )
        web.put(Computer(name="other"))
        assert peer.next()["event"] == "computer_updated"
        web.sync.write([wire.ForgetComputer("other")])
        assert peer.next()["data"] == {"name": "other"}
        assert peer.versions == sorted(peer.versions)


def test_a_client_gets_what_it_chose(web: Daemon) -> None:
    """One computer's kinds; a key is absent when its kind was not chosen; nothing after unsubscribing."""
    web.put(Computer(name="other"), session(7, computer="other", session_id="far"))
    web.seen()
    with Peer(web.api) as peer:
        peer.say(subscribe={"computer": "other", "types": ["todos"]})
        assert peer.next()["data"] == {"computer": "other", "todos": []}
        peer.say(subscribe=[{"computer": "other", "types": ["sessions"]}])
        initial = peer.next()["data"]
        assert (initial["computer"], [s["session_id"] for s in initial["sessions"]]) == ("other", ["far"])
        web.put(session(1, title="x"))
        web.put(session(7, computer="other", session_id="far", title="y"))
        assert peer.next()["data"]["title"] == "y"
        peer.say(unsubscribe={"computer": "other", "types": ["sessions"]})
        peer.say(subscribe={"computer": "other", "types": ["projects"]})
        assert peer.until("preparation_initial")
        web.put(session(7, computer="other", session_id="far", title="z"), Computer(name="other", role="r"))
        assert peer.next()["event"] == "computer_updated"


def test_a_returning_client_gets_what_changed_or_everything(web: Daemon) -> None:
    """`resume` answers with the changes while the log reaches back, else with the state; then says which."""
    with Peer(web.api) as peer:
        epoch, version = peer.hello["epoch"], peer.versions[-1]
    web.put(session(1, title="a"))
    _, at = web.put(session(1, title="b"), session(8))
    web.sync.write([wire.Remove("sessions", LOCAL, ["a00002"])], flush=True)
    web.seen()
    with Peer(web.api) as peer:
        peer.say(resume={"epoch": epoch, "version": version}, subscribe="sessions")
        events = [peer.next() for _ in range(4)]
        assert [event["event"] for event in events] == [
            "session_updated",
            "session_started",
            "session_removed",
            "resumed",
        ]
        assert events[0]["data"]["title"] == "b"
        assert {event["version"] for event in events} == {at + 1}
        assert events[3]["data"] == {"complete": True}
    for position in ({"epoch": "another", "version": version}, {"epoch": epoch, "version": version + 10_000}):
        with Peer(web.api) as peer:
            peer.say(resume=position, subscribe="sessions")
            assert (peer.next()["event"], peer.next()["data"]) == ("sessions_initial", {"complete": False})


def test_a_trimmed_log_is_noticed(web: Daemon) -> None:
    """Who was away for longer than the log reaches gets everything, not a hole."""
    with Peer(web.api) as peer:
        epoch, version = peer.hello["epoch"], peer.versions[-1]
    for start in range(0, 4200, 600):
        web.put(*(session(1000 + start + number) for number in range(600)))
    web.seen()
    with Peer(web.api) as peer:
        peer.say(resume={"epoch": epoch, "version": version}, subscribe="sessions")
        assert len(peer.until("sessions_initial")["data"]["sessions"]) == 4203
        assert peer.next()["data"] == {"complete": False}


def test_a_new_cache_is_a_new_hello(own: Daemon) -> None:
    """When the cache died: health says stale, then hello with another epoch, and all initial states again."""
    with Peer(own.api) as peer:
        peer.say(subscribe="sessions")
        peer.until("sessions_initial")
        own.kill("cache")
        assert peer.until("health")["data"]["stale"] is True
        own.start("cache")
        own.fill(session(5))
        hello = peer.until("hello")
        assert hello["data"]["epoch"] != peer.hello["epoch"]
        assert peer.until("health")["data"]["stale"] is False
        assert [s["session_id"] for s in peer.until("sessions_initial")["data"]["sessions"]] == ["a00005"]
        own.put(session(5, title="again"))
        assert peer.until("session_updated")["data"]["title"] == "again"


def test_a_client_before_the_first_look_gets_everything_when_it_is_done(idle: Daemon) -> None:
    """Who comes first is told how the daemon is, never that there is nothing, and misses nothing."""
    idle.start()
    with Peer(idle.api) as peer:
        peer.say(subscribe="sessions")
        peer.say(subscribe="nonsense")
        assert peer.next()["event"] == "error"  # the answer to the second: the first had none
        idle.fill(session(1))
        assert peer.until("hello")["data"]["epoch"]
        assert len(peer.until("sessions_initial")["data"]["sessions"]) == 1


def test_interest_follows_the_subscriptions(own: Daemon) -> None:
    """The sync process knows what is looked at, forgets it with the client, and is told anew when it comes back."""
    with Peer(own.api) as first, Peer(own.api) as second:
        first.say(subscribe="sessions")
        second.say(subscribe={"computer": "other", "types": ["todos", "projects"]})
        until(lambda: own.interest == {"*": ["sessions"], "other": ["projects", "todos"]})
        first.say(unsubscribe="sessions")
        until(lambda: own.interest == {"other": ["projects", "todos"]})
        own.drop_asker()
        own.run_commands()
        until(lambda: own.interest == {"other": ["projects", "todos"]})
    until(lambda: own.interest == {})


def test_interest_is_gone_with_the_web_process(own: Daemon) -> None:
    """The sync process notices its end, also when it is killed."""
    own.seen()
    peer = Peer(own.api)
    peer.say(subscribe="sessions")
    until(lambda: own.interest == {"*": ["sessions"]})
    own.kill("web")
    until(lambda: own.interest is None)
    own.start("web")
    with Peer(own.api) as again:
        again.say(resume={"epoch": peer.hello["epoch"], "version": peer.versions[-1]}, subscribe="sessions")
        assert again.until("resumed")["data"]["complete"] is True
    peer.connection.close()


def test_a_refresh_is_a_command_and_says_how_it_ended(web: Daemon) -> None:
    """For all that are looked at or for one; an unknown one is an error; nothing that is shown is cleared."""
    web.put(Computer(name="other"))
    web.seen()
    with Peer(web.api) as peer:
        peer.say(subscribe="sessions")
        peer.until("sessions_initial")
        peer.say(refresh=True)
        assert peer.next()["data"] == {"computer": None, "status": "ok", "message": ""}
        for name in ("other", LOCAL):
            peer.say(refresh={"computer": name})
            assert peer.next()["data"]["computer"] == name
        peer.say(refresh={"computer": "nowhere"})
        assert peer.next()["data"]["status"] == "error"
        assert [(request.computer, request.args) for request in web.requests] == [
            (EVERYWHERE, Refresh()),
            ("other", Refresh()),
            (LOCAL, Refresh()),
        ]
        assert len(web.get("/sessions").json) == 3


def test_output_of_a_watched_session_is_pushed(web: Daemon) -> None:
    """By a prefix of its id; to nobody else; the sync process is told who watches, and when the last one stops."""
    with Peer(web.api) as peer, Peer(web.api) as other:
        peer.say(watch={"session_id": "a00001"})
        until(lambda: web.watched == [(LOCAL, "a00001")])
        web.emit("a00002", "no")
        web.emit("a00001", "out\x1b[0m\nb")
        assert peer.next()["data"] == {
            "computer": LOCAL,
            "session_id": "a00001",
            "text": "out\x1b[0m\nb",
            "rows": 2,
            "columns": 80,
            "cursor": {"row": 0, "column": 1},
            "alternate": False,
        }
        peer.say(watch={"session_id": "a00002", "computer": LOCAL})
        until(lambda: len(web.watched) == 2)
        peer.say(unwatch={"session_id": "a00001"})
        until(lambda: web.watched == [(LOCAL, "a00002")])
        peer.say(watch={"session_id": "a0000"})
        assert peer.next()["data"]["code"] == "ambiguous"
        web.put(Computer(name=LOCAL, is_local=True, role="x"))
        assert other.next()["event"] == "computer_updated"


def test_a_second_watcher_gets_the_screen_at_once(web: Daemon) -> None:
    """Clients share one watch; who comes later sees what the others see."""
    with Peer(web.api) as peer, Peer(web.api) as other:
        peer.say(watch={"session_id": "a00001"})
        until(lambda: web.watched)
        web.emit("a00001", "as it is")
        assert peer.next()["data"]["text"] == "as it is"
        other.say(watch={"session_id": "a00001"})
        assert other.next()["data"]["text"] == "as it is"
    until(lambda: web.watched == [])


def test_who_leaves_watches_no_more(web: Daemon) -> None:
    """The last watcher's connection ends, and the output with it."""
    with Peer(web.api) as peer:
        peer.say(watch={"session_id": "a00001"})
        until(lambda: web.watched)
    until(lambda: web.watched == [])


def test_what_is_watched_is_told_to_another_run_of_sync(web: Daemon) -> None:
    """A sync process that starts anew watches at once what clients watch."""
    with Peer(web.api) as peer:
        peer.say(watch={"session_id": "a00001"})
        until(lambda: web.watched)
        web.drop_asker()
        web.run_commands()
        until(lambda: web.watched == [(LOCAL, "a00001")])


def test_the_end_of_a_watched_screen_is_told(web: Daemon) -> None:
    """Why nothing more comes, as an event, and it is watched no more."""
    with Peer(web.api) as peer:
        peer.say(watch={"session_id": "a00001"})
        until(lambda: web.watched)
        web.end_output("a00001")
        data = peer.next()["data"]
        assert data == {
            "code": "not_found",
            "message": "the session has ended",
            "field": "watch",
            "session_id": "a00001",
        }
        until(lambda: web.watched == [])


def test_watches_are_bounded(web: Daemon) -> None:
    """An unknown session, and more than a client may have."""
    web.put(*[make.session(f"b{number:05}", LOCAL) for number in range(WATCHES_LIMIT)])
    with Peer(web.api) as peer:
        peer.say(watch={"session_id": "nobody"})
        assert peer.next()["data"]["code"] == "not_found"
        for number in range(WATCHES_LIMIT):
            peer.say(watch={"session_id": f"b{number:05}"})
        peer.say(watch={"session_id": "a00001"})
        assert peer.next()["data"]["code"] == "too_large"


def test_a_wrong_message_is_answered_and_survived(web: Daemon) -> None:
    """The error names the field; the connection goes on."""
    with Peer(web.api) as peer:
        for said, code in (('{"subscribe": 5}', "invalid"), ("{", "bad_request"), (b"\x80\x04.", "bad_request")):
            peer.connection.send(said)
            event = peer.next()
            assert (event["event"], event["data"]["code"]) == ("error", code)
        peer.say(subscribe="sessions")
        assert peer.next()["event"] == "sessions_initial"


def test_a_goodbye_is_answered_at_once(web: Daemon) -> None:
    """A client that closes is not kept waiting, and the handshake is whole."""
    peer = Peer(web.api)
    peer.connection.close()
    assert peer.connection.close_code == 1000
    with pytest.raises(ConnectionClosed):
        peer.connection.send("x")


def test_the_server_ends_the_connection_after_a_goodbye(web: Daemon) -> None:
    """It does not wait for the client to do it, so its descriptor is free again."""
    handshake = (
        b"GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    with connected(web.api) as sock:
        sock.sendall(handshake + b"\x88\x82\0\0\0\0\x03\xe8")
        assert until_closed(sock).endswith(b"\x88\x02\x03\xe8")


def test_a_frame_in_the_packet_of_the_handshake_counts(web: Daemon) -> None:
    """A client need not wait for the 101."""
    handshake = (
        b"GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
        b"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
    )
    payload = b'{"subscribe":"sessions"}'
    close = b"\x88\x82\0\0\0\0\x03\xe8"
    answer = raw(web.api, handshake + b"\x81" + bytes([0x80 | len(payload)]) + b"\0\0\0\0" + payload + close)
    assert answer.startswith(b"HTTP/1.1 101")
    assert b"deflate" not in answer
    assert b'"sessions_initial"' in answer
    assert b"HTTP/1.1 500" not in answer


def test_on_a_stop_clients_are_told_1001(own: Daemon) -> None:
    """And the process ends soon, with nothing left at its place, also with the cache stopped."""
    peers = [Peer(own.api) for _ in range(20)]
    peers[0].say(subscribe="sessions")
    own.processes["cache"].send_signal(signal.SIGSTOP)
    assert own.kill("web", signal.SIGTERM) == 0
    assert {peer.close_code() for peer in peers} == {1001}
    assert not own.api.exists()
    for peer in peers:
        peer.connection.close()


def test_sigint_is_for_the_supervisor(own: Daemon) -> None:
    """A ^C in the terminal reaches all; only the supervisor acts on it."""
    own.processes["web"].send_signal(signal.SIGINT)
    assert own.get("/sessions").status == 200
    assert own.get("/agents").status == 200
