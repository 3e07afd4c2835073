"""What a member may send: rows, bytes, lengths, times and ids are bounded at receipt, and the offender is shown."""

from __future__ import annotations

import math

import msgspec
import pytest

from teleclaude.cache.core import CacheCore
from teleclaude.cache.daemon_cache import DaemonCache
from teleclaude.core.live_screen import COLUMNS, ROW_CHARS
from teleclaude.core.records import Computer, Project, Record, Service, Session, Todo, utc_text
from teleclaude.core.requests import Outcome
from teleclaude.core.verbs import Args, End, Message, Output, Start
from teleclaude.replication.version import Verdict
from teleclaude.sync.fleet.replication.replicas import Replicas
from teleclaude.sync.fleet.wire import limits
from teleclaude.sync.fleet.wire.limits import Holdings, OverLimit
from teleclaude.sync.fleet.wire.messages import (
    Body,
    ChangeEvent,
    Clash,
    Command,
    Fresh,
    Heads,
    Heartbeat,
    Pull,
    PullAnswer,
    PullPart,
    ScreenEnd,
    ScreenUpdate,
    WatchScreens,
    rows_of,
)
from teleclaude.sync.fleet.wire.outcome_check import checked
from teleclaude.sync.fleet.wire.sealing import Dropped, Seal
from tests import make
from tests.sync.fleet.conftest import MakeNode
from tests.wait import until

KEY = b"k" * 32
WALL = 1_800_000_000.0
ID = make.session_id("one")


def session(**fields: object) -> Session:
    """A session of `far`, with other fields than usual."""
    return msgspec.structs.replace(make.session(ID, "far"), **fields)


def pulled(replicas: Replicas, rows: msgspec.Raw, seq: int = 1) -> None:
    """Have the sessions of `far` asked for, and answered with these rows."""
    replicas.want("far", ["sessions"])
    replicas.refresh("far", ["sessions"])
    [needed] = replicas.due(["far"], 1000.0)
    replicas.land("far", "e", needed.request, [PullPart("sessions", seq, False, rows)], 1000.0, WALL)


def many(count: int, encoded: bytes = b"\xc0") -> msgspec.Raw:
    """As many rows as that, each the same bytes."""
    return msgspec.Raw(b"\xdd" + count.to_bytes(4, "big") + encoded * count)


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        (many(1_000_000), "it sends 1000000 sessions; 10000 are allowed"),
        (many(10_001, msgspec.msgpack.encode(make.session(ID, "far"))), "it sends 10001 sessions"),
        (many(1, b"\xc6" + (13 << 20).to_bytes(4, "big") + b"x" * (13 << 20)), "it sends 13 MiB of sessions"),
    ],
)
def test_too_many_rows_are_dropped_unread_and_what_is_there_stays(rows: msgspec.Raw, reason: str) -> None:
    """A snapshot over the limits changes nothing here, its owner is not asked again soon, and its record says why."""
    replicas = Replicas()
    pulled(replicas, rows_of([session()]))
    replicas.ops.clear()
    with pytest.raises(OverLimit, match=reason):
        pulled(replicas, rows, 2)
    assert list(replicas.rows("far", "sessions")) == [ID]
    assert replicas.ops == []
    assert reason in replicas.trouble("far")
    assert replicas.due(["far"], 1030.0) == []
    pulled(replicas, rows_of([session(title="right")]), 3)
    assert replicas.trouble("far") == ""


def test_events_cannot_grow_what_a_snapshot_may_not_be() -> None:
    """However many small events a member sends, it has no more rows and characters here than it may."""
    replicas = Replicas()
    pulled(replicas, rows_of([]))
    long = "p" * 4096

    def grow() -> None:
        for number in range(2000):
            rows = [session(session_id=f"{number:012x}{i:04x}", cwd=long, project=long) for i in range(4)]
            event = ChangeEvent(kind="sessions", seq=number + 2, after=number + 1, rows=rows_of(rows))
            assert replicas.apply("far", "e", event, WALL) is Verdict.APPLIED

    with pytest.raises(OverLimit, match="more than 12 MiB of sessions"):
        grow()
    assert sum(map(limits.size_of, replicas.rows("far", "sessions").values())) <= limits.BYTES


def test_all_computers_together_are_bounded() -> None:
    """Members with ever more names cannot fill this computer either; who leaves makes room."""
    holdings, todos = Holdings(), [make.todo(f"t{n}", "x") for n in range(20_000)]
    for number in range(5):
        holdings.replace(f"far{number}", "todos", todos)
    with pytest.raises(OverLimit, match="all computers together"):
        holdings.replace("far5", "todos", todos[:1])
    holdings.replace("far4", "todos", todos[:10])  # less is taken at any time
    holdings.forget("far3")
    holdings.replace("far5", "todos", todos)


def test_what_changes_is_counted_once() -> None:
    """Rows put again, removed twice or never there leave the count as it should be."""
    holdings = Holdings()
    one, two = make.todo("1", "far"), make.todo("2", "far")
    key = "/code/a\0"
    holdings.replace("far", "todos", [one])
    holdings.change("far", "todos", {key + "1": one}, [one, two, two], [key + "1", key + "3", key + "3"])
    assert holdings._held["far", "todos"] == (2, limits.size_of(one) + limits.size_of(two))
    holdings.change("far", "todos", {key + "1": one, key + "2": two}, [], [key + "1", key + "1", key + "2"])
    assert holdings._held["far", "todos"] == (0, 0)


FUTURE, NOW = "9999-12-31T23:59:59Z", utc_text(WALL)


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        (session(), session()),
        (
            session(last_activity=FUTURE, created_at=FUTURE),
            session(last_activity=utc_text(WALL), created_at=utc_text(WALL)),
        ),
        (session(status_since="\x1b]52;c;x"), session(status_since="")),
        (session(status_since="2026-01-01T00:00:00.000Z"), session(status_since="2026-01-01T00:00:00.000Z")),
        (session(title="t" * 5000, command="c" * 5000), session(title="t" * 1024, command="c" * 1024)),
        (session(attached=2**63), session(attached=limits.NUMBER)),
        (session(agent="a" * 500), session(agent="a" * 128)),
        (make.todo("s", title="t" * 2000), make.todo("s", title="t" * 1024)),
        (make.project(name="n" * 2000), make.project(name="n" * 1024)),
    ],
)
def test_what_is_too_long_or_too_late_is_cut(told: Record, kept: Record) -> None:
    """Times in the future are now, times that are none are empty, texts are cut; what is right stays as it is."""
    assert limits.bounded([told], WALL) == limits.Received([kept])


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        (session(session_id="f"), "16 hex digits"),
        (session(session_id=""), "16 hex digits"),
        (session(session_id="0123456789ABCDEF"), "16 hex digits"),
        (session(session_id=ID + "\n"), "16 hex digits"),
        (session(cwd="/" * 12_000_000), "paths of 12000000 characters"),
        (Project(computer="far", path="/" * 5000, name="x"), "paths of 5000"),
        (Todo(computer="far", project="/", slug="s" * 300, title="x"), "names of 300"),
    ],
)
def test_a_row_that_cannot_be_right_is_left_out(told: Record, reason: str) -> None:
    """It is not shown, the rows beside it are, and the reason is told."""
    good = make.todo("good") if isinstance(told, Todo) else session()
    found = limits.bounded([told, good], WALL)
    assert found.rows == [good]
    assert reason in found.trouble


NONE = rows_of([])


@pytest.mark.parametrize(
    "body",
    [
        Heads(heads={"sessions": -1}),
        Heads(heads={"sessions": 2**63}),
        Heartbeat(beat=-1, home="h", heads={}, info=Computer(name="far")),
        Heartbeat(beat=1, home="h" * 100, heads={}, info=Computer(name="far")),
        Clash(fresh=Fresh("e", math.nan, 1.0), host="h"),
        Pull(fresh=Fresh("e", 0.0, math.nan), kinds=["sessions"]),
        Pull(fresh=Fresh("e", 0.0, math.inf), kinds=["sessions"]),
        Command(fresh=Fresh("e", math.nan, math.nan), args=End(session_id="x")),
        ChangeEvent(kind="sessions", seq=2**60, after=1, rows=rows_of([])),
        PullAnswer(request="r" * 65),
        PullAnswer(
            request="r", parts=[PullPart("todos", 1, False, rows_of([])), PullPart("todos", 2, False, rows_of([]))]
        ),
        ScreenUpdate(session_id="f", number=1, rows={}, height=0),
        ScreenUpdate(session_id=ID, number=2**60, rows={}, height=0),
        ScreenUpdate(session_id=ID, number=1, rows={5: "x"}, height=1, after=1),
        ScreenUpdate(session_id=ID, number=1, rows={-1: "x"}, height=1, after=1),
        ScreenUpdate(session_id=ID, number=1, rows={}, height=2),
        ScreenUpdate(session_id=ID, number=1, rows={}, height=100_000, after=1),
        ScreenEnd(session_id="../x", code="c", message="m"),
        WatchScreens(fresh=Fresh("e", 0.0, 1.0), sessions={"x": 1}),
        WatchScreens(fresh=Fresh("e", 0.0, math.nan), sessions={}),
        WatchScreens(fresh=Fresh("e", 0.0, 1.0), sessions={ID: -1}),
    ],
)
def test_numbers_and_ids_that_cannot_be_meant_are_malformed(body: Body) -> None:
    """NaN, endless, negative and huge numbers, ids that are none: dropped when the message is opened."""
    with pytest.raises(Dropped) as caught:
        Seal("near", "e", 1, [KEY]).open(Seal("far", "e", 1, [KEY]).seal("near", body))
    assert caught.value.reason == "malformed"


@pytest.mark.parametrize(
    ("sender", "message_id", "generation"),
    [
        ("", "i", 1),
        ("*", "i", 1),
        ("far\n", "i", 1),
        ("f" * 12_000_000, "i", 1),
        ("far", "i" * 65, 1),
        ("far", "i", 2**62),
    ],
)
def test_an_envelope_that_no_computer_makes_is_malformed(sender: str, message_id: str, generation: int) -> None:
    """Senders that are no names, long ids and generations of no time are dropped before anything is kept of them."""
    with pytest.raises(Dropped) as caught:
        Seal("near", "e", 1, [KEY]).open(Seal(sender, "e", generation, [KEY]).seal("near", Heads(heads={}), message_id))
    assert caught.value.reason == "malformed"


def test_a_heartbeat_is_bounded() -> None:
    """Texts, counts and services of a computer are few and short."""
    info = Computer(
        name="far",
        counts={f"{n}": 2**60 for n in range(100)},
        services=tuple(Service(name="s" * 500, state="down", reason="r\x1b" * 9000, since=FUTURE) for _ in range(100)),
    )
    beat = Heartbeat(beat=1, home="h", heads={}, info=info, interested_in={"x" * 500: ["sessions"], "near": ["todos"]})
    _, body = Seal("near", "e", 1, [KEY]).open(Seal("far", "e", 1, [KEY]).seal("near", beat))
    assert isinstance(body, Heartbeat)
    assert len(body.info.counts) == 32
    assert max(body.info.counts.values()) <= limits.NUMBER
    assert len(body.info.services) == 32
    assert len(body.info.services[0].reason) <= limits.TITLE
    assert "\x1b" not in body.info.services[0].reason
    assert body.interested_in == {"near": ["todos"]}


def test_kinds_of_another_version_are_left_out() -> None:
    """A heartbeat, an interest and an answer that name a kind unknown here are read without it (C17)."""
    told = {
        "type": "heartbeat",
        "beat": 1,
        "home": "h",
        "heads": {"sessions": 1, "worktrees": 1},
        "interested_in": {"near": ["worktrees", "todos"]},
        "info": {"name": "far"},
    }
    blob = Seal("far", "e", 1, [KEY]).seal("near", msgspec.Raw(msgspec.msgpack.encode(told)))
    _, body = Seal("near", "e", 1, [KEY]).open(blob)
    assert isinstance(body, Heartbeat)
    assert (body.heads, body.interested_in) == ({"sessions": 1}, {"near": ["todos"]})


def test_a_screen_is_cleaned_on_receipt() -> None:
    """Colours of a screen from elsewhere are shown, and nothing else that a terminal would act on; it is bounded."""
    rows = {0: "\x1b]52;c;eA==\x07a\x1b[31mb\x1bc\x9b2J\n\tc", 1: "x" * 1_000_000}
    update = ScreenUpdate(session_id=ID, number=1, rows=rows, height=2, columns=2**40, cursor=(7, 1))
    _, body = Seal("near", "e", 1, [KEY]).open(Seal("far", "e", 1, [KEY]).seal("near", update))
    assert isinstance(body, ScreenUpdate)
    assert body.rows[0] == "a\x1b[31mb2J  c"
    assert len(body.rows[1]) == ROW_CHARS
    assert (body.columns, body.cursor) == (COLUMNS, None)


def test_who_watches_too_much_is_told_so() -> None:
    """A computer that watches more sessions than a computer may is shown with the reason."""
    told = {make.session_id(str(number)): 0 for number in range(limits.WATCHED + 1)}
    blob = Seal("far", "e", 1, [KEY]).seal("near", WatchScreens(fresh=Fresh("e", 0.0, 1.0), sessions=told))
    with pytest.raises(Dropped) as caught:
        Seal("near", "e", 1, [KEY]).open(blob)
    assert (caught.value.reason, "watches 65 sessions" in caught.value.detail) == ("limits", True)


START = Start(project="/p", agent="claude")
OUTPUT = Output(session_id=ID)


@pytest.mark.parametrize(
    ("args", "data"),
    [
        (START, {}),
        (START, {"session": "x"}),
        (START, {"session": {"session_id": ID}}),
        (START, {"session": msgspec.to_builtins(make.session(ID, "third"))}),
        (START, {"session": msgspec.to_builtins(make.session("bad", "far"))}),
        (OUTPUT, {}),
        (OUTPUT, {"text": 5}),
    ],
)
def test_an_answer_without_its_fields_is_an_error(args: Args, data: dict[str, object]) -> None:
    """Who asked is told that the other computer answers nonsense, and nothing fails further on."""
    outcome = checked(args, Outcome(id="i", status="ok", data=data), "far", WALL)
    assert outcome.status == "error"
    assert outcome.message.startswith("far says that it did")


def test_an_answer_is_bounded() -> None:
    """Screens are cleaned, small facts of a newer version are kept, long and nested ones are not."""
    found = checked(OUTPUT, Outcome(id="i", status="ok", data={"text": "a\x1bc", "is_x": True, "y": [1]}), "far", WALL)
    assert found.data == {"text": "a", "is_x": True}
    told = Outcome(id="i", status="error", code="c" * 999, message="m" * 99_999, field="f" * 999, data={"x": [1] * 999})
    found = checked(OUTPUT, told, "far", WALL)
    assert len(found.code) + len(found.message) + len(found.field or "") < 5000
    assert found.data == {}
    row = msgspec.to_builtins(make.session(ID, "far"))
    found = checked(START, Outcome(id="i", status="ok", data={"session": row, "message_sent": False}), "far", WALL)
    assert found.data["message_sent"] is False
    assert found.data["session"]["session_id"] == ID
    message = Message(session_id=ID, text="x")
    for told_of_it, shown in (("submitted", "submitted"), ("perhaps", ""), (["typed"], "")):
        found = checked(message, Outcome(id="i", status="ok", data={"delivery": told_of_it}), "far", WALL)
        assert found.data["delivery"] == shown


# With real computers around a real Redis.


def test_an_offender_is_shown_and_nothing_else_suffers(node: MakeNode) -> None:
    """Its record says what is wrong with its rows; those that are right are shown, and so is everybody else (§9.11)."""
    near, far, third = node("near"), node("far"), node("third")
    near.look_at({"*": ["sessions", "todos"]})
    until(lambda: near.titles("far") == near.titles("third") == ["one"])
    bad = make.session("no id", "far", title="bad")
    far.own.update("sessions", [bad, make.session(ID, "far", title="good")])
    until(lambda: near.titles("far") == ["good"])
    until(lambda: "16 hex digits" in reason_of(near.computer("far")))
    far.own.update("todos", [make.todo(f"t{n}", "far") for n in range(limits.ROWS["todos"] + 1)])
    until(lambda: "20001 todos" in reason_of(near.computer("far")))
    assert near.records("todos", "far") == {}
    third.sessions("still")
    until(lambda: near.titles("third") == ["still"])
    assert reason_of(near.computer("third")) == ""
    near.sessions("mine")
    until(lambda: near.titles("near") == ["mine"])


def reason_of(computer: Computer | None) -> str:
    """What this computer says is wrong with the messages of another."""
    services = computer.services if computer else ()
    return next((service.reason for service in services if service.name == "messages"), "")


def test_an_answer_of_another_computer_never_fails_the_asker(node: MakeNode) -> None:
    """A member that says "ok" to a start, and nothing else, is told as an error of that computer."""
    near, far = node("near"), node("far")
    until(lambda: near.status("far") == far.status("near") == "online")
    far.answer = lambda request: Outcome(id=request.id, status="ok")
    request = make.request("far", START)
    near.half.submit(request)
    outcome = near.ended(request)
    assert (outcome.status, outcome.code) == ("error", "internal")
    near.half.submit(message := make.request("far", Message(session_id=ID, text="x")))
    assert near.ended(message).status == "ok"


def test_the_cache_takes_all_that_a_member_may_send() -> None:
    """The most rows that a computer may have are taken by the cache in one write, far below its time for a beat."""
    core = CacheCore(DaemonCache("near"))
    replicas = Replicas()
    pulled(replicas, rows_of([session(session_id=f"{n:016x}") for n in range(limits.ROWS["sessions"])]))
    core.write(replicas.ops)
    assert len(core.cache._partitions["sessions", "far"].records) == limits.ROWS["sessions"]
