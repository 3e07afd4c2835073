"""Commands for other computers, over a real Redis: at most once, one outcome each."""

from __future__ import annotations

import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from teleclaude.core.errors import Conflict
from teleclaude.core.requests import Outcome, Request, failed, new_id
from teleclaude.core.settings import FleetSettings
from teleclaude.core.verbs import Args, End, Keys, Message, Output, Rename, Start, verb_name
from teleclaude.sync.fleet.owner.journal import Journal
from tests.redis_process import RedisProcess
from tests.sync.fleet.conftest import MakeNode
from tests.sync.fleet.keyhole import messages, put_message
from tests.sync.fleet.node import Node
from tests.wait import until


def command(computer: str, args: Args | None = None, *, seconds: float = 10.0) -> Request:
    """A command for a computer."""
    return Request(
        id=new_id(),
        computer=computer,
        args=args or Message(session_id="one", text="hello"),
        deadline=time.monotonic() + seconds,
    )


def two(node: MakeNode) -> tuple[Node, Node]:
    """Two computers that know each other."""
    near, far = node("near"), node("far")
    until(lambda: near.status("far") == far.status("near") == "online")
    first = command("far")
    near.half.submit(first)  # after its answer the other's clock is known
    near.ended(first)
    far.ran.clear()
    return near, far


def test_a_command_runs_there_and_its_answer_comes_back(node: MakeNode, server: RedisProcess) -> None:
    """The other computer runs it, knows from whom it is, and its outcome is told here; nothing is left in Redis."""
    near, far = two(node)
    far.answer = lambda request: Outcome(id=request.id, status="ok", data={"text": "screen \x1b[1m"})
    request = command("far", Output(session_id="one", lines=5))
    near.half.submit(request)
    assert near.ended(request) == Outcome(id=request.id, status="ok", data={"text": "screen \x1b[1m"})
    [ran] = far.ran
    assert (ran.origin, ran.args, ran.computer) == ("near", request.args, "far")
    until(lambda: server.run("XLEN", "teleclaude:messages:{far}") == 0)
    until(lambda: server.run("KEYS", "*output*") == [])


def test_an_error_there_is_the_error_here(node: MakeNode) -> None:
    """The other computer's refusal comes back with its code, words and field."""
    near, far = two(node)
    far.answer = lambda request: failed(request.id, Conflict("it waits for approval", field="session_id"))
    request = command("far")
    near.half.submit(request)
    outcome = near.ended(request)
    assert (outcome.status, outcome.code, outcome.message, outcome.field) == (
        "error",
        "conflict",
        "it waits for approval",
        "session_id",
    )


def test_a_runner_that_fails_is_an_error_and_not_the_end(node: MakeNode) -> None:
    """A fault in the command itself is told, and the next command runs."""
    near, far = two(node)

    def broken(request: Request) -> Outcome:
        raise RuntimeError(request.id)

    far.answer = broken
    first, second = command("far"), command("far")
    near.half.submit(first)
    assert near.ended(first).code == "internal"
    far.answer = lambda request: Outcome(id=request.id, status="ok")
    near.half.submit(second)
    assert near.ended(second).status == "ok"


@pytest.mark.parametrize(("name", "code"), [("nobody", "not_found"), ("far", "unavailable")])
def test_who_is_not_there_is_told_at_once(node: MakeNode, name: str, code: str) -> None:
    """An unknown computer and one that is offline are told in a sentence, without waiting for the deadline."""
    near, far = two(node)
    far.close(keep=True)
    until(lambda: near.status("far") == "offline")
    request = command(name, seconds=1000)
    near.half.submit(request)
    outcome = near.ended(request)
    assert (outcome.status, outcome.code) == ("error", code)
    assert name in outcome.message


def test_no_word_in_time_is_unknown(node: MakeNode) -> None:
    """A command that was handed over and is not answered ends as unknown at its deadline; it runs once all the same."""
    near, far = two(node)
    go_on = threading.Event()

    def slow(request: Request) -> Outcome:
        go_on.wait(10)
        return Outcome(id=request.id, status="ok")

    far.answer = slow
    request = command("far", seconds=0.5)
    near.half.submit(request)
    outcome = near.ended(request)
    assert (outcome.status, outcome.code) == ("unknown", "unknown")
    go_on.set()
    until(lambda: near.half.counters["dropped_unasked"] == 1)
    assert len(far.ran) == 1
    assert len(near.lane.outcomes[request.id]) == 1


def test_one_that_waits_too_long_does_not_run(node: MakeNode) -> None:
    """A command whose time is up while it waits behind another never runs."""
    near, far = two(node)
    go_on = threading.Event()

    def slow(request: Request) -> Outcome:
        go_on.wait(10)
        return Outcome(id=request.id, status="ok")

    far.answer = slow
    first, late = command("far"), command("far", seconds=0.5)
    near.half.submit(first)
    until(lambda: far.ran)
    near.half.submit(late)
    assert near.ended(late).status == "unknown"
    go_on.set()
    assert near.ended(first).status == "ok"
    last = command("far")
    near.half.submit(last)
    assert near.ended(last).status == "ok"
    assert [ran.id for ran in far.ran] == [first.id, last.id]


def test_messages_to_one_session_keep_their_order_and_a_slow_one_delays_few(node: MakeNode) -> None:
    """Commands for one session run in order; a session that hangs does not hold up the others."""
    near, far = two(node)
    go_on = threading.Event()

    def run(request: Request) -> Outcome:
        if isinstance(request.args, Message) and request.args.session_id == "slow":
            go_on.wait(10)
        return Outcome(id=request.id, status="ok")

    far.answer = run
    near.half.submit(command("far", Message(session_id="slow", text="x")))
    until(lambda: far.ran)
    others = [command("far", Message(session_id="fast", text=str(number))) for number in range(20)]
    for request in others:
        near.half.submit(request)
    assert [near.ended(request).status for request in others] == ["ok"] * 20
    go_on.set()
    ran = [request.args.text for request in far.ran if isinstance(request.args, Message)]
    assert ran[1:] == [str(number) for number in range(20)]


def test_many_at_once(node: MakeNode) -> None:
    """Commands from many threads each have their own one outcome."""
    near, far = two(node)
    requests = [command("far", Message(session_id=f"s{number % 9}", text="x")) for number in range(200)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(near.half.submit, requests))
    assert [near.ended(request).status for request in requests] == ["ok"] * 200
    assert sorted(ran.id for ran in far.ran) == sorted(request.id for request in requests)


def test_handed_over_twice_runs_once(node: MakeNode, server: RedisProcess) -> None:
    """A message that is in the stream twice (an XADD whose reply was lost, a replay) runs once."""
    near, far = two(node)
    far.loop._messages.want(False)
    request = command("far")
    near.half.submit(request)
    until(lambda: len(messages(server, "far")) == 1)
    [blob] = messages(server, "far")
    put_message(server, "far", blob)
    far.loop._messages.want(True)
    assert near.ended(request).status == "ok"
    until(lambda: far.half.counters["dropped_replayed"] == 1)
    assert len(far.ran) == 1


def test_the_allowed_alone_is_done(node: MakeNode, caplog: pytest.LogCaptureFixture) -> None:
    """What a sender may do is this computer's setting, by sender and verb, and each use is in the audit log."""
    near, far = two(node)
    far.change_settings(fleet=FleetSettings(allow={"*": ("view", "message", "start", "end"), "near": ("view",)}))
    with caplog.at_level(logging.INFO, logger="teleclaude.audit"):
        for args, is_allowed in (
            (Output(session_id="one"), True),
            (Message(session_id="one", text="secret words"), False),
            (Keys(session_id="one", keys=["Enter"]), False),
            (Rename(session_id="one", title="x"), False),
            (Start(project="/code/a", agent="claude"), False),
            (End(session_id="one"), False),
        ):
            request = command("far", args)
            near.half.submit(request)
            assert near.ended(request).code == ("" if is_allowed else "refused")
    assert [verb_name(ran.args) for ran in far.ran] == ["output"]
    lines = [record.getMessage() for record in caplog.records if record.name == "teleclaude.audit"]
    assert len(lines) == 6
    assert all(line.startswith("near ") for line in lines)
    assert "secret" not in "".join(lines)


def test_a_setting_changes_in_place(node: MakeNode) -> None:
    """After a reload the next command is judged by the new setting."""
    near, far = two(node)
    first, second = command("far"), command("far")
    near.half.submit(first)
    assert near.ended(first).status == "ok"
    far.change_settings(fleet=FleetSettings(allow={"*": ("view",)}))
    near.half.submit(second)
    assert near.ended(second).code == "refused"


def test_arguments_over_the_limits_do_not_run(node: MakeNode) -> None:
    """What another computer sends is checked here as well: it is dropped as what no computer makes."""
    near, far = two(node)
    over, good = command("far", Message(session_id="one", text="")), command("far", Message(session_id="one", text="x"))
    near.half.submit(over)
    near.half.submit(good)
    assert near.ended(good).status == "ok"
    assert [request.id for request in far.ran] == [good.id]


def test_a_command_that_ran_before_a_crash_does_not_run_again(node: MakeNode) -> None:
    """A command that began before a crash is not run by the next one; what never began is."""
    near, far = two(node)
    before, after = command("far"), command("far")
    far.loop._messages.want(False)
    near.half.submit(before)
    near.half.submit(after)
    until(lambda: all(sent.handed for sent in near.loop.node.commands._sent.values()))
    Journal(far.place.state / "journal.db").begin(before.id, "near", "message")
    far.loop.node.heartbeats.farewell = lambda **_: None  # type: ignore[method-assign]
    far.close(keep=True)
    again = node("far", folder=far.folder)
    outcomes = [near.ended(before).status, near.ended(after).status]
    assert outcomes == ["unknown", "ok"]
    assert [ran.id for ran in again.ran] == [after.id]


def test_the_journal_remembers(node: MakeNode) -> None:
    """Each command and its outcome is in the journal; the text of a screen is not."""
    near, far = two(node)
    far.answer = lambda request: Outcome(id=request.id, status="ok", data={"text": "private"})
    request = command("far", Output(session_id="one"))
    near.half.submit(request)
    near.ended(request)
    journal = Journal(far.place.state / "journal.db")
    assert journal.begin(request.id, "near", "output") == Outcome(id=request.id, status="ok")
    assert b"private" not in (far.place.state / "journal.db").read_bytes()
    journal.close()


def test_at_the_end_all_that_is_under_way_is_told(node: MakeNode) -> None:
    """Who stops tells its clients how their commands stand, at once."""
    near, far = two(node)
    far.loop._messages.want(False)
    request = command("far", seconds=1000)
    near.half.submit(request)
    until(lambda: any(sent.handed for sent in near.loop.node.commands._sent.values()))
    near.half.stop()
    assert near.ended(request).code == "unknown"


def test_without_a_fleet_it_says_so(node: MakeNode) -> None:
    """A command for another computer, with no fleet, is answered in a sentence."""
    alone = node("alone", url="")
    request = command("far")
    alone.half.submit(request)
    assert alone.ended(request).code == "not_found"
    assert alone.redis()[0] == "off"
