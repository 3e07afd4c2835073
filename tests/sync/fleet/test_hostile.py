"""Somebody who can write to Redis, and a member who lies: nothing happens but that a counter goes up."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from nacl.secret import SecretBox

from teleclaude.core.records import Computer
from teleclaude.core.requests import Outcome, Request, new_id
from teleclaude.core.verbs import End, Message
from teleclaude.sync.fleet.wire.clock import now
from teleclaude.sync.fleet.wire.messages import (
    Body,
    ChangeEvent,
    Command,
    CommandAnswer,
    Fresh,
    Goodbye,
    Heartbeat,
    Hello,
    Pull,
    PullAnswer,
    PullPart,
    read_envelope,
    read_signed,
    rows_of,
)
from teleclaude.sync.fleet.wire.sealing import EVERYBODY, Seal
from tests import make
from tests.redis_process import RedisProcess
from tests.sync.fleet.conftest import MakeNode
from tests.sync.fleet.keyhole import entries, put_inbox, put_message, raw, sealed
from tests.sync.fleet.node import KEY, Node, identity_of
from tests.wait import until


def fresh(node: Node, *, issued: float = 0.0, life: float = 30.0, epoch: str = "") -> Fresh:
    """A mark that is right for a node now, but for what is said."""
    at = now() + issued
    return Fresh(epoch or node.own.epoch, at, at + life)


def command(node: Node, **marks: float | str) -> Command:
    """A command that would end a session of a node."""
    return Command(fresh=fresh(node, **marks), args=End(session_id="one"))  # type: ignore[arg-type]


def sent(recipient: str = "near", sender: str = "far", key: bytes = KEY) -> Callable[[Body], bytes]:
    """How a body is sealed."""
    return lambda body: sealed(body, sender=sender, recipient=recipient, key=key)


def changed(blob: bytes) -> bytes:
    """The message with one bit of it turned."""
    return blob[:40] + bytes([blob[40] ^ 1]) + blob[41:]


MESSAGES: dict[str, tuple[str, Callable[[Node], bytes]]] = {
    "unsealed": ("unsealed", lambda _: b'{"verb": "end", "session_id": "one"}'),
    "pickle": ("unsealed", lambda _: b"\x80\x04\x95\x1e\x00\x00\x00cos\nsystem\n(S'touch x'\ntR."),
    "empty": ("unsealed", lambda _: b""),
    "altered": ("altered", lambda near: changed(sent()(command(near)))),
    "another fleet's": ("altered", lambda near: sent(key=b"x" * 32)(command(near))),
    "misaddressed": ("misaddressed", lambda near: sent("third")(command(near))),
    "to everybody": ("misaddressed", lambda near: sent(EVERYBODY)(command(near))),
    "expired": ("expired", lambda near: sent()(command(near, issued=-31.0))),
    "future": ("future", lambda near: sent()(command(near, issued=3600.0))),
    "too long a life": ("future", lambda near: sent()(command(near, life=3600.0))),
    "an earlier run's": ("epoch", lambda near: sent()(command(near, epoch="before"))),
    "from itself": ("forged", lambda near: sent(sender="near")(command(near))),
    "an answer among requests": ("malformed", lambda _: sent()(CommandAnswer(outcome=Outcome(id="x", status="ok")))),
    "an event among requests": (
        "malformed",
        lambda _: sent()(ChangeEvent(kind="sessions", seq=1, after=0, rows=rows_of([]))),
    ),
    "an old goodbye": ("", lambda _: sent()(Goodbye())),
}


@pytest.mark.parametrize("case", MESSAGES)
def test_a_bad_request_only_raises_a_counter(node: MakeNode, server: RedisProcess, case: str) -> None:
    """Nothing runs, nothing is answered, nothing stays behind, and the next good message is served."""
    reason, made = MESSAGES[case]
    near, far = node("near"), node("far")
    until(lambda: near.status("far") == far.status("near") == "online")
    put_message(server, "near", made(near))
    if reason:
        until(lambda: near.half.counters[f"dropped_{reason}"] == 1)
    until(lambda: entries(server, "teleclaude:messages:{near}") == [])
    assert near.ran == []
    until(lambda: raw(server, "KEYS", "*output*") == [])  # but what the two asked each other at first
    assert near.status("far") == "online"
    dropped = {name: count for name, count in near.half.counters.items() if name.startswith("dropped_") and count}
    assert dropped == ({f"dropped_{reason}": 1} if reason else {})
    good = Request(
        id=new_id(), computer="near", args=Message(session_id="one", text="x"), deadline=time.monotonic() + 10
    )
    far.half.submit(good)
    assert far.ended(good).status == "ok"


def test_a_replayed_command_does_not_run_again(node: MakeNode, server: RedisProcess) -> None:
    """The very bytes of a command that ran, put back into the stream, do nothing."""
    near, far = node("near"), node("far")
    until(lambda: near.status("far") == far.status("near") == "online")
    blob = sent()(command(near))
    put_message(server, "near", blob)
    until(lambda: len(near.ran) == 1)
    put_message(server, "near", blob)
    until(lambda: near.half.counters["dropped_replayed"] == 1)
    assert len(near.ran) == 1


INBOX: dict[str, tuple[str, Callable[[], bytes]]] = {
    "unsealed": ("unsealed", lambda: b"junk"),
    "altered": ("altered", lambda: changed(sent()(Goodbye()))),
    "misaddressed": ("misaddressed", lambda: sent("third")(Goodbye())),
    "unasked snapshot": (
        "unasked",
        lambda: sent()(PullAnswer(request="x", parts=[PullPart("sessions", 1, False, rows_of([]))])),
    ),
    "unasked outcome": ("unasked", lambda: sent()(CommandAnswer(outcome=Outcome(id="x", status="ok")))),
    "a request among answers": ("malformed", lambda: sent()(Pull(fresh=Fresh("e", 0, 1), kinds=["sessions"]))),
    "foreign rows": (
        "forged",
        lambda: sent()(ChangeEvent(kind="sessions", seq=2, after=1, rows=rows_of([make.session("x", "third")]))),
    ),
    "rows of a wrong kind": (
        "forged",
        lambda: sent()(ChangeEvent(kind="sessions", seq=2, after=1, rows=rows_of([make.todo(owner="far")]))),
    ),
    "computers as rows": (
        "malformed",
        lambda: sent()(ChangeEvent(kind="computers", seq=2, after=1, rows=rows_of([make.computer("third")]))),
    ),
}


@pytest.mark.parametrize("case", INBOX)
def test_a_bad_message_in_the_inbox_only_raises_a_counter(node: MakeNode, server: RedisProcess, case: str) -> None:
    """Rows stay what they were, no outcome is told, and the next event is applied."""
    reason, made = INBOX[case]
    near, far = node("near"), node("far")
    near.look_at({"far": ["sessions", "todos"], "*": ["sessions"]})
    until(lambda: near.titles("far") == ["one"])
    blob = Seal("far", far.own.epoch, far.loop.node.context.seal.generation, [KEY], identity_of("far"))
    envelope_right = made() if reason in {"unsealed", "altered", "misaddressed"} else None
    put_inbox(server, "near", envelope_right or _as_far(blob, made()))
    until(lambda: near.half.counters[f"dropped_{reason}"] == 1)
    assert near.titles("far") == ["one"]
    assert near.lane.outcomes == {}
    assert near.status("third") == "absent"
    far.sessions("two")
    until(lambda: near.titles("far") == ["two"])


def _as_far(seal: Seal, blob: bytes) -> bytes:
    """The same body, sealed by the running far itself: a member who lies."""
    signed = read_signed(SecretBox(KEY).decrypt(blob[3:]))
    return seal.seal("near", read_envelope(signed.message).body)


def test_an_event_that_is_replayed_is_counted(node: MakeNode, server: RedisProcess) -> None:
    """An event that comes again changes nothing, also after what it told is gone."""
    near, far = node("near"), node("far")
    near.look("far")
    until(lambda: near.titles("far") == ["one"])
    far.sessions("ghost")
    until(lambda: near.titles("far") == ["ghost"])
    inbox = entries(server, "teleclaude:session_events:{near}")
    seal = near.loop.node.context.seal  # only the computer that it is for can open it
    [blob] = [blob for blob in inbox if isinstance(seal.open(blob)[1], ChangeEvent)]
    far.sessions("one")
    until(lambda: near.titles("far") == ["one"])
    put_inbox(server, "near", blob)
    until(lambda: near.half.counters["dropped_replayed"] == 1)
    assert near.titles("far") == ["one"]


def test_a_replayed_heartbeat_is_no_life(node: MakeNode, server: RedisProcess) -> None:
    """A heartbeat from before, put back under its key, neither revives a computer nor sets it back."""
    near, far = node("near"), node("far")
    near.look("far")
    until(lambda: near.status("far") == "online")
    old = raw(server, "GET", "teleclaude:computer:{far}:heartbeat")
    far.look("*", "todos")  # a new beat
    until(lambda: raw(server, "GET", "teleclaude:computer:{far}:heartbeat") != old)
    until(lambda: near.loop.node.peers.all["far"].interested_in)
    far.close(keep=True)
    until(lambda: near.status("far") == "offline")
    raw(server, "ZADD", "teleclaude:computers", int(time.time()), "far")
    raw(server, "SET", "teleclaude:computer:{far}:heartbeat", old)
    until(lambda: near.half.counters["dropped_replayed"] == 1, 20)
    assert near.status("far") == "offline"


def test_names_and_heartbeats_by_strangers_are_not_shown(node: MakeNode, server: RedisProcess) -> None:
    """The list of names is not sealed: what stands in it counts only with a heartbeat of that very computer."""
    beat = Heartbeat(beat=1, home="h", heads={}, info=Computer(name="far"))
    cases = {
        "stranger": b"junk",
        "forged": sealed(beat, sender="far"),
        "goodbye": sealed(Goodbye(), sender="goodbye"),
        "addressed": sealed(beat, sender="addressed", recipient="near"),
        "x{a}y": b"junk",
        "../../etc": b"junk",
        "\x1b[31m": b"junk",
    }
    for name, blob in cases.items():
        raw(server, "ZADD", "teleclaude:computers", int(time.time()), name)
        raw(server, "SET", f"teleclaude:computer:{{{name}}}:heartbeat", blob)
    raw(server, "RPUSH", "teleclaude:computer:{list}:heartbeat", "x")
    raw(server, "ZADD", "teleclaude:computers", int(time.time()), "list")
    near = node("near")
    node("real")
    near.look("*")
    until(lambda: near.titles("real") == ["one"])
    until(lambda: near.half.counters["dropped_forged"] == 3)
    assert near.half.counters["dropped_unsealed"] == 1
    assert set(near.loop.node.peers.all) == {"real"}
    assert near.is_ok()


def test_a_hello_in_another_name_is_dropped(node: MakeNode, server: RedisProcess) -> None:
    """A computer cannot be made to appear by a message that another one's messages were copied from."""
    near = node("near")
    beat = Heartbeat(beat=1, home="h", heads={}, info=Computer(name="ghost"))
    put_message(server, "near", sealed(Hello(heartbeat=beat), sender="ghost", recipient="third"))
    until(lambda: near.half.counters["dropped_misaddressed"] == 1)
    assert near.status("ghost") == "absent"
