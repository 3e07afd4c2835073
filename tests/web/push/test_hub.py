"""The mirror and the hub: what each client is told, folded as a client would, is what the cache has."""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from teleclaude.cache.daemon_cache import DaemonCache
from teleclaude.cache.wire import SnapshotFrame
from teleclaude.core.live_screen import LiveScreen
from teleclaude.core.records import Computer, Kind, Project, Record, Scope, Session, Tmux, Todo
from teleclaude.core.request_wire import OutputFrame
from teleclaude.replication.version import Version
from teleclaude.web.push.hub import Client, Hub
from teleclaude.web.push.mirror import ChangesMissingError, Mirror
from teleclaude.web.push.subscriptions import Selection

TMUX = Tmux(name="t", session="$1", window="@1", pane="%1")
ALL: frozenset[Scope] = frozenset({("*", "sessions"), ("*", "projects"), ("*", "todos")})


class Box:
    """Takes frames, and decodes them as a client does."""

    def __init__(self) -> None:
        self.data = b""
        self.pushes = 0
        self.restarts = 0
        self.sending: list[Callable[[bytes], int]] = [self.send]

    def send(self, data: bytes) -> int:
        self.push(data)
        return len(data)

    def not_sent(self, data: bytes, error: OSError) -> None:
        raise error

    def sent_partly(self, data: bytes, size: int) -> None:
        raise AssertionError(f"{size} of {data!r}")

    def push(self, data: bytes) -> None:
        self.pushes += 1
        self.data += data

    push_state = push

    def push_newest(self, place: Hashable, make: Callable[[], bytes]) -> None:
        """Take a screen."""
        self.push(make())

    def forget_newest(self, place: Hashable) -> None:
        """Nothing waits."""

    def restart(self) -> None:
        self.restarts += 1

    def events(self) -> list[dict[str, Any]]:
        """Take what came, decoded."""
        found = []
        while self.data:
            assert self.data[0] == 0x81  # FIN, text
            size, start = self.data[1], 2
            if size >= 126:
                start = 4 if size == 126 else 10
                size = int.from_bytes(self.data[2:start], "big")
            found.append(json.loads(self.data[start : start + size]))
            self.data = self.data[start + size :]
        return found


class View:
    """Folds events as a client does; notes that versions never go backwards."""

    def __init__(self) -> None:
        self.epoch = ""
        self.version = 0
        self.computers: dict[str, Any] = {}
        self.sessions: dict[str, Any] = {}
        self.projects: dict[str, list[Any]] = {}
        self.todos: dict[tuple[str, str], list[Any]] = {}

    def fold(self, events: list[dict[str, Any]]) -> None:
        for event in events:
            if event["event"] == "hello":
                self.__init__()  # type: ignore[misc]
                self.epoch = event["data"]["epoch"]
            assert event["version"] >= self.version
            self.version = event["version"]
            getattr(self, event["event"], lambda _: None)(event["data"])

    def computers_initial(self, data: Any) -> None:
        self.computers = {record["name"]: record for record in data["computers"]}

    def sessions_initial(self, data: Any) -> None:
        self.sessions = {record["session_id"]: record for record in data["sessions"]}

    def preparation_initial(self, data: Any) -> None:
        self.projects, self.todos = {}, {}
        for record in data["projects"]:
            self.projects.setdefault(record["computer"], []).append(record)
        for record in data["todos"]:
            self.todos.setdefault((record["computer"], record["project"]), []).append(record)

    def computer_updated(self, data: Any) -> None:
        self.computers[data["name"]] = data

    def computer_removed(self, data: Any) -> None:
        self.computers.pop(data["name"], None)

    def session_updated(self, data: Any) -> None:
        self.sessions[data["session_id"]] = data

    session_started = session_updated

    def session_removed(self, data: Any) -> None:
        self.sessions.pop(data["session_id"], None)

    def projects_updated(self, data: Any) -> None:
        self.projects[data["computer"]] = data["projects"]

    def todos_updated(self, data: Any) -> None:
        self.todos[data["computer"], data["project"]] = data["todos"]

    def state(self) -> Any:
        """All of it, in a fixed order."""
        plans = [record for found in (self.projects, self.todos) for records in found.values() for record in records]
        records = [*self.computers.values(), *self.sessions.values(), *plans]
        return sorted(json.dumps(record, sort_keys=True) for record in records)


def state_of(cache: DaemonCache) -> Any:
    """What a client that looks at everything must have."""
    bodies = [body for section in cache.sections() for _, body in section.items]
    return sorted(json.dumps(json.loads(body), sort_keys=True) for body in bodies)


def snapshot(cache: DaemonCache) -> SnapshotFrame:
    return SnapshotFrame(cache.version, list(cache.sections()))


def make(kind: Kind, computer: str, key: int, text: str) -> Record:
    match kind:
        case "computers":
            return Computer(name=computer, role=text)
        case "projects":
            return Project(computer=computer, path=f"/p{key}", name=text)
        case "sessions":
            return Session(session_id=f"{computer}-{key}", computer=computer, title=text, tmux=TMUX)
        case "todos":
            return Todo(computer=computer, project=f"/p{key % 2}", slug=f"t{key}", title=text)


KINDS: st.SearchStrategy[Kind] = st.sampled_from(["computers", "projects", "sessions", "todos"])
WRITE = st.tuples(
    st.sampled_from(["put", "put", "put", "remove", "replace", "forget"]),
    KINDS,
    st.sampled_from(["a", "b"]),
    st.integers(0, 3),
    st.sampled_from(["x", "y", "ü\n"]),
)


def write(cache: DaemonCache, how: str, kind: Kind, computer: str, key: int, text: str) -> None:
    record = make(kind, computer, key, text)
    if how == "put" or kind == "computers":
        cache.put([record])
    elif how == "remove":
        cache.remove(kind, computer, [f"/p{key}" if kind == "projects" else f"{computer}-{key}"])
    elif how == "replace":
        cache.replace(kind, computer, [record])
    else:
        cache.forget(computer)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.lists(WRITE, max_size=6), max_size=6),
    st.integers(0, 5),
    st.sampled_from([2, 4096]),
    st.sampled_from([3, 4096]),
)
def test_a_folded_client_has_what_the_cache_has(
    turns: list[list[Any]], leaves_at: int, web_log: int, cache_log: int
) -> None:
    """One stays, one comes back with `resume`; batches, gaps and trimmed logs make no difference."""
    cache = DaemonCache("a", log_size=cache_log)
    hub = Hub("1")
    hub.mirror = Mirror(web_log)
    stays, returns = View(), View()
    boxes = [Box(), Box()]
    hub.receive_snapshot(snapshot(cache))
    for box, name in zip(boxes, "ab", strict=True):
        client = Client(name, box)
        hub.join(client)
        hub.choose(client, ALL)
        hub.show(client, [Selection("*", ["projects", "sessions", "todos"])])
    for number, turn in enumerate(turns):
        before = cache.version
        for one in turn:
            write(cache, *one)
        changes = cache.since(before)
        if changes is None:
            hub.receive_snapshot(snapshot(cache))
            assert not hub.bring_in_step()
        else:
            hub.receive_changes(cache.version.epoch, changes)
        stays.fold(boxes[0].events())
        if number < leaves_at:
            returns.fold(boxes[1].events())
    returns.fold([] if leaves_at else boxes[1].events()[:6])
    returns.version = min(returns.version, cache.version.number)
    again = Client("c", Box())
    hub.join(again)
    hub.choose(again, ALL)
    position = Version(returns.epoch, returns.version)
    hub.resume(again, position)
    events = again.box.events()  # type: ignore[attr-defined]
    returns.fold([event for event in events if event["event"] != "hello"])
    assert events[-1]["event"] == "resumed"
    stays.fold(boxes[0].events())
    assert stays.state() == state_of(cache)
    if leaves_at:
        assert returns.state() == state_of(cache)


def a_hub(*records: Record) -> tuple[Hub, DaemonCache]:
    cache = DaemonCache("a")
    cache.put([Computer(name="a", is_local=True), *records])
    hub = Hub("1")
    hub.receive_snapshot(snapshot(cache))
    return hub, cache


def joined(hub: Hub, name: str, *wants: Scope) -> tuple[Client, Box]:
    box = Box()
    client = Client(name, box)
    hub.join(client)
    hub.choose(client, frozenset(wants))
    box.events()
    return client, box


def told(hub: Hub, cache: DaemonCache, *records: Record) -> None:
    before = cache.version
    cache.put(records)
    hub.receive_changes(cache.version.epoch, cache.since(before) or [])


def test_a_client_is_told_only_what_it_looks_at() -> None:
    """By computer and kind; computers are for everybody; nothing comes twice."""
    hub, cache = a_hub()
    _, nothing = joined(hub, "1")
    _, one = joined(hub, "2", ("b", "sessions"))
    _, both = joined(hub, "3", ("b", "sessions"), ("*", "sessions"), ("a", "todos"))
    told(hub, cache, *(make("sessions", computer, 1, "x") for computer in "ab"), make("todos", "b", 1, "x"))
    told(hub, cache, Computer(name="b"))
    assert [e["event"] for e in nothing.events()] == ["computer_updated"]
    assert [e["data"].get("session_id") for e in one.events()] == ["b-1", None]
    assert [e["data"].get("session_id") for e in both.events()] == ["a-1", "b-1", None]


def test_many_changes_are_one_write_and_the_same_bytes_for_all() -> None:
    """An event is encoded once, and a turn costs one push a client."""
    hub, cache = a_hub()
    boxes = [joined(hub, str(number), ("*", "sessions"))[1] for number in range(5)]
    before = [box.pushes for box in boxes]
    told(hub, cache, *(make("sessions", "a", number, "x") for number in range(30)))
    assert [box.pushes - earlier for box, earlier in zip(boxes, before, strict=True)] == [1] * 5
    assert len({box.data for box in boxes}) == 1
    assert len(boxes[0].events()) == 30


def test_a_session_that_came_and_went_unseen_is_not_told() -> None:
    """Nobody is told of the end of what never began for them."""
    hub, cache = a_hub()
    _, box = joined(hub, "1", ("*", "sessions"))
    before = cache.version
    cache.put([make("sessions", "a", 1, "x")])
    cache.remove("sessions", "a", ["a-1"])
    hub.receive_changes(cache.version.epoch, cache.since(before) or [])
    assert box.events() == []


def test_a_new_epoch_begins_with_hello_and_everything_anew() -> None:
    """Between the new snapshot and its own new state a client is told nothing at all."""
    hub, _ = a_hub(make("sessions", "a", 1, "x"))
    (client, box), (late, late_box) = joined(hub, "1", ("*", "sessions")), joined(hub, "2", ("*", "sessions"))
    fresh = DaemonCache("a")
    fresh.put([Computer(name="a")])
    hub.receive_snapshot(snapshot(fresh))
    told(hub, fresh, make("sessions", "a", 2, "x"))
    hub.set_health({"stale": False})
    assert (box.events(), late_box.events()) == ([], [])
    hub.show(late, [])  # it speaks before its turn: its state comes first
    assert next(iter(late_box.events()))["event"] == "hello"
    assert not hub.bring_in_step(1)
    events = box.events()
    assert [e["event"] for e in events] == ["hello", "computers_initial", "health", "sessions_initial"]
    assert [s["session_id"] for s in events[3]["data"]["sessions"]] == ["a-2"]
    assert client.box.restarts == 2  # type: ignore[attr-defined]
    told(hub, fresh, make("sessions", "a", 3, "x"))
    assert [e["event"] for e in box.events()] == ["session_started"]


def test_before_the_first_snapshot_nobody_is_told_that_there_is_nothing() -> None:
    """A web process that just started keeps no client from showing what it had; with the snapshot comes everything."""
    hub, cache, box = Hub("1"), DaemonCache("a"), Box()
    client = Client("1", box)
    hub.join(client)
    hub.choose(client, frozenset({("*", "sessions")}))
    hub.show(client, [Selection("*", ["sessions"])])
    hub.resume(client, Version("before", 7))
    assert [e["event"] for e in box.events()] == ["hello", "health", "resumed"]
    cache.put([make("computers", "a", 1, "x"), make("sessions", "a", 1, "x")])
    hub.receive_snapshot(snapshot(cache))
    assert not hub.bring_in_step()
    events = box.events()
    assert [e["event"] for e in events] == ["hello", "computers_initial", "health", "sessions_initial"]
    assert len(events[3]["data"]["sessions"]) == 1
    told(hub, cache, make("sessions", "a", 2, "x"))
    assert [e["event"] for e in box.events()] == ["session_started"]


def test_who_left_leaves_nothing_behind() -> None:
    """Clients, audiences and interest go with the client."""
    hub, _ = a_hub()
    wants = []
    hub.on_interest = lambda client: wants.append((client.name, client.interest))
    for number in range(100):
        client, _ = joined(hub, str(number), (f"c{number}", "sessions"))
        hub.leave(client)
    assert hub.clients == {}
    assert hub._audiences == {}
    assert wants[-1] == ("99", frozenset())


def test_remembered_states_are_bounded() -> None:
    """Clients that name any number of computers do not fill the memory."""
    hub, _ = a_hub()
    client, _ = joined(hub, "1")
    for number in range(1000):
        hub.show(client, [Selection(f"c{number}", ["sessions"])])
    assert len(hub._initials) <= 64


def test_a_gap_is_an_error_and_a_repetition_nothing() -> None:
    """Changes that do not follow are refused as a whole; those that are here already change nothing again."""
    hub, cache = a_hub()
    _, box = joined(hub, "1", ("*", "sessions"))
    before = cache.version
    cache.put([make("sessions", "a", key, "x") for key in range(4)])
    epoch, changes = cache.version.epoch, cache.since(before) or []
    with pytest.raises(ChangesMissingError):
        hub.receive_changes(epoch, changes[1:])
    with pytest.raises(ChangesMissingError):
        hub.receive_changes("another", changes)
    assert (box.events(), hub.mirror.version) == ([], before)
    hub.receive_changes(epoch, changes[:2])
    hub.receive_changes(epoch, changes)
    hub.receive_changes(epoch, changes[1:3])
    assert [e["data"]["session_id"] for e in box.events()] == ["a-0", "a-1", "a-2", "a-3"]
    assert hub.mirror.version == cache.version


def test_who_fell_behind_gets_its_screens_again() -> None:
    """With its fresh state, behind it: what waited was dropped with all the rest."""
    hub, _ = a_hub()
    client, box = joined(hub, "1", ("*", "sessions"))
    hub.watches.start(client.name, client.box, ("far", "s"))
    hub.watches.receive(OutputFrame("far", "s", LiveScreen(rows=("x",))))
    assert [event["event"] for event in box.events()] == ["session_output"]
    hub.start_over(client)
    assert [event["event"] for event in box.events()][-2:] == ["sessions_initial", "session_output"]
    hub.leave(client)
    assert hub.watches.total() == []
