"""Stories of a fleet: the promises of DESIGN.md, section 9, with pure nodes, a pretend Redis and a clock of the test's.

Each is told by what happens to computers, and what their clients see. Nothing here waits.
"""

from __future__ import annotations

import pytest
from freezegun import freeze_time

from teleclaude.cache.core import CacheCore
from teleclaude.cache.daemon_cache import DaemonCache
from teleclaude.core.records import EVERYWHERE, Kind
from teleclaude.core.verbs import Message, Refresh
from teleclaude.sync.fleet.membership.peers import LEASE
from teleclaude.sync.fleet.node import BLIP
from teleclaude.sync.fleet.node_events import RedisEmptied
from tests import make
from tests.sync.fleet.story import KEYS, Played, Story, doubling, losing

SOON = 5.0  # seconds; promise 2
AT_ONCE = 0.3


def test_what_one_has_the_other_sees() -> None:
    """A client looks at a computer and sees its rows, then each change; nobody who does not look sees any."""
    story = Story("near", "far", "third")
    near, far = story["near"], story["far"]
    near.looks_at("far")
    story.until(lambda: near.sees("far") == ["one"], AT_ONCE)
    far.has("one", "two")
    story.until(lambda: near.sees("far") == ["one", "two"], AT_ONCE)
    far.has("two")
    story.until(lambda: near.sees("far") == ["two"], AT_ONCE)
    assert story["third"].sees("far") == []


def test_a_look_and_a_change_take_this_way() -> None:
    """A client looks: one question, one answer. A change: one message. The transcript has nothing else."""
    story = Story("near", "far")
    near, far = story["near"], story["far"]
    story.run(3.0)
    story.transcript.clear()
    near.looks_at("far")
    story.until(lambda: near.sees("far") == ["one"], AT_ONCE)
    mine = [line for line in story.transcript if "heartbeat" not in line and "computers" not in line]
    assert mine == [
        "near: XADD t:messages:{far}",
        "far: reads 1 of its messages",
        f"far: SET t:output:{{near}}:{_only_answer(mine)}",
        "far: XADD t:session_events:{near}",
        "far: XACK t:messages:{far}",
        "far: XDEL t:messages:{far}",
        "far: EXPIRE t:session_events:{near}",
        "near: reads 1 of its inbox",
    ]
    story.run(3.0)
    story.transcript.clear()
    far.has("two")
    story.until(lambda: near.sees("far") == ["two"], AT_ONCE)
    mine = [line for line in story.transcript if "heartbeat" not in line and "EXPIRE" not in line]
    assert mine == ["far: XADD t:session_events:{near}", "near: reads 1 of its inbox"]


def _only_answer(lines: list[str]) -> str:
    [found] = [line.rpartition(":")[2] for line in lines if "SET t:output" in line]
    return found


@pytest.mark.parametrize("in_between", [{}, {"far": ["projects"]}])
def test_who_looks_away_and_back_while_its_question_waits_misses_nothing(in_between: dict[str, list[Kind]]) -> None:
    """A client reconnects while another computer is cut off: what that one has later comes at once all the same."""
    story = Story("near", "far")
    near, far = story["near"], story["far"]
    story.run(3.0)
    far.is_cut = True
    far.turn()
    both: dict[str, list[Kind]] = {"far": ["projects", "sessions"]}
    for interest in (both, in_between, both):
        near.looks_at(interest)
    far.is_cut = False
    story.until(lambda: near.sees("far") == ["one"], SOON)
    far.has("one", "two")
    story.until(lambda: near.sees("far") == ["one", "two"], AT_ONCE)


def test_a_new_cache_shows_nobody_for_longer_than_his_lease() -> None:
    """Redis is gone, the cache starts anew, then the sync process dies: no lease begins anew by that (promise 4)."""
    story = Story("near", "far")
    near = story["near"]
    story.run(3.0)
    story["far"].crash()
    near.is_cut = True
    story.run(40.0)
    with freeze_time() as clock:  # moves the cache's own clock
        near.core = CacheCore(DaemonCache("near"))
        near.core.write(near.node.everything())
        assert near.status("far") == "online"
        near.crash()
        clock.tick(LEASE - 36.0)
        near.core.expire()
        assert near.status("far") == "offline"


def test_a_message_to_a_session_elsewhere_is_one_round_trip() -> None:
    """The command goes at once: its deadline is told in the other's clock, which its heartbeat told."""
    story = Story("near", "far")
    near, far = story["near"], story["far"]
    near.looks_at("far")
    story.run(3.0)
    story.transcript.clear()
    request = near.commands("far")
    assert [line for line in story.transcript if line.startswith("near: XADD")] == ["near: XADD t:messages:{far}"]
    story.until(lambda: near.ended(request) == "ok", AT_ONCE)
    assert len([line for line in story.transcript if "XADD t:messages" in line]) == 1
    assert [ran.origin for ran in far.ran] == ["near"]


def test_a_clock_that_is_not_known_costs_no_round_trip() -> None:
    """Who was never asked anything gets the command with the question for its clock, and not behind it."""
    story = Story("near", "far")
    near = story["near"]
    story.transcript.clear()
    request = near.commands("far")
    assert [line for line in story.transcript if line.startswith("near: XADD")] == ["near: XADD t:messages:{far}"] * 2
    story.until(lambda: near.ended(request) == "ok", AT_ONCE)
    assert len(story["far"].ran) == 1


def test_a_deadline_that_came_too_early_is_told_anew() -> None:
    """When the other's clock was known so badly that the command ran out on its way, it is handed over again."""
    story = Story("near", "far")
    near, far = story["near"], story["far"]
    far.ahead += 30.0  # its clock is 30 s further than its heartbeats so far told
    request = near.commands("far", within=10.0)
    story.until(lambda: near.ended(request) == "ok", AT_ONCE)
    assert len(far.ran) == 1
    assert near.node.context.numbers["commands_sent"] == 2


# 1: only what follows is applied, each once; a gap leads to a snapshot.


def test_an_event_that_is_lost_is_noticed_by_the_next() -> None:
    """A gap leads to a snapshot, at once."""
    story = Story("near", "far")
    near, far = story["near"], story["far"]
    near.looks_at("far")
    story.run(1.0)
    story.way = losing("session_events:{near}")
    far.has("lost")
    story.run(0.1)
    story.way = losing("nothing")
    far.has("found")
    story.until(lambda: near.sees("far") == ["found"], AT_ONCE)
    assert near.node.context.numbers["events_need_snapshot"] == 1


def test_a_last_event_that_is_lost_is_noticed_soon() -> None:
    """Also when nothing comes after it: its owner says soon how far it is."""
    story = Story("near", "far")
    near, far = story["near"], story["far"]
    near.looks_at("far")
    story.run(20.0)
    story.way = losing("session_events:{near}")
    far.has("lost")
    story.run(0.1)
    story.way = losing("nothing")
    assert story.until(lambda: near.sees("far") == ["lost"], SOON) > AT_ONCE


def test_events_that_come_twice_are_applied_once() -> None:
    """A repetition changes nothing, and needs no snapshot."""
    story = Story("near", "far")
    near, far = story["near"], story["far"]
    near.looks_at("far")
    story.run(1.0)
    pulls = near.node.context.numbers["pulls"]
    story.way = doubling("session_events")
    for number in range(5):
        far.has(f"round {number}")
        story.run(0.1)
        assert near.sees("far") == [f"round {number}"]
    numbers = near.node.context.numbers
    assert (numbers["events_applied"], numbers["pulls"]) == (5, pulls)
    assert near.node.context.drops.counts()["replayed"] >= 5


def test_events_in_another_order_end_right() -> None:
    """What was put in another order on the way is never applied over something newer."""
    story = Story("near", "far")
    near, far = story["near"], story["far"]
    near.looks_at("far")
    story.run(1.0)
    near.is_cut = True
    for title in ("first", "second", "third"):
        far.has(title)
        story.run(0.1)
    stream = story.redis.values[KEYS.inbox("near")]
    numbers = sorted(stream.entries)
    stream.entries = dict(zip(numbers, [stream.entries[number] for number in reversed(numbers)], strict=True))
    near.is_cut = False
    story.until(lambda: near.sees("far") == ["third"], SOON)


# 2: after any fault, all are equal within 5 s.


@pytest.mark.parametrize("who", ["near", "far"])
@pytest.mark.parametrize("seconds", [0.2, 5.0, 200.0])
def test_after_a_cut_all_is_equal(who: str, seconds: float) -> None:
    """Reader or owner, for a moment or past every lease: five seconds after the network is back, rows are equal."""
    story = Story("near", "far")
    near, far = story["near"], story["far"]
    near.looks_at("far")
    story.run(1.0)
    story[who].is_cut = True
    far.has("meanwhile")
    story.run(seconds)
    story[who].is_cut = False
    story.until(lambda: near.sees("far") == ["meanwhile"] and near.status("far") == "online", SOON)


def test_after_redis_was_emptied_all_is_equal() -> None:
    """Names, heartbeats and streams are there again, and so are all rows, whatever was in them."""
    story = Story("near", "far", "third")
    for computer in story.all.values():
        computer.looks_at("*")
    story.run(1.0)
    assert story.all_see_all()
    story.redis.values.clear()
    for name, computer in story.all.items():  # each is told by its blocked read
        story.redis.make_group(KEYS.messages(name))
        computer.position = 0
        computer.has("after")
    for computer in story.all.values():
        computer.tell(RedisEmptied())
    story.until(story.all_see_all, SOON)


def test_who_starts_after_the_names_were_lost_is_seen() -> None:
    """Somebody removes the set of names: who starts afterwards is seen by all, and sees them, within a round (F8)."""
    story = Story("near", "far")
    story.run(20.0)
    del story.redis.values[KEYS.computers]
    third = story.all["third"] = Played(story, "third", ahead=77.0)
    others = [story["near"], story["far"]]
    story.until(lambda: all(one.status("third") == third.status(one.name) == "online" for one in others), 140.0)


def test_a_refresh_enters_the_name_and_looks_who_there_is() -> None:
    """Whoever asks for it sees at once what there is, though the set of names was lost (F8)."""
    story = Story("near", "far")
    story.run(20.0)
    del story.redis.values[KEYS.computers]
    request = story["near"].commands(EVERYWHERE, Refresh())
    story.until(lambda: story["near"].ended(request) == "ok", AT_ONCE)
    assert "near" in story.redis.values[KEYS.computers]


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_refresh_ends_when_redis_goes(moment: str) -> None:
    """Redis goes as a refresh comes: one of all is done with what there is here, one of another computer is refused."""
    story = Story("near", "far")
    near = story["near"]
    near.looks_at("far")
    story.until(lambda: near.sees("far") == ["one"], AT_ONCE)
    if moment == "after":
        story.way = losing("messages")
    else:
        near.is_cut = True
        near.turn()
    requests = [near.commands(EVERYWHERE, Refresh()), near.commands("far", Refresh())]
    near.is_cut = True
    story.until(lambda: [near.ended(each) for each in requests] == ["ok", "unavailable"], BLIP + 0.3)
    requests = [near.commands(EVERYWHERE, Refresh()), near.commands("far", Refresh())]
    assert [near.ended(each) for each in requests] == ["ok", "unavailable"]


def test_a_refresh_that_redis_came_back_for_brings_the_rows() -> None:
    """Redis is away for less than a moment: a refresh that came then has the others look again, and ends."""
    story = Story("near", "far")
    near = story["near"]
    near.looks_at("far")
    story.until(lambda: near.sees("far") == ["one"], AT_ONCE)
    near.is_cut = True
    near.turn()
    request = near.commands(EVERYWHERE, Refresh())
    near.is_cut = False
    story.until(lambda: near.ended(request) == "ok", BLIP)
    assert [type(ran.args) for ran in story["far"].ran] == [Refresh]


@pytest.mark.parametrize("key", [KEYS.computers, KEYS.heartbeat("near")])
def test_something_else_under_a_key_is_no_good_connection(key: str) -> None:
    """A key of ours that Redis refuses has the connection looked at anew, where what is wrong is told (F9)."""
    story = Story("near", "far")
    story.run(1.0)
    story.redis.values[key] = object()
    story.until(lambda: not story["near"].is_up, 140.0)


def test_a_client_that_looks_costs_redis_little() -> None:
    """Nothing changes while a client looks at another computer: ten commands a minute and computer, reads left out."""
    story = Story("near", "far")
    story["near"].looks_at("far")
    story.run(60.0)
    story.redis.calls.clear()
    story.run(120.0)
    assert len(story.redis.calls) / 2 / 2 <= 10
    assert story["near"].status("far") == story["far"].status("near") == "online"


# 3: absent from a snapshot means gone.


def test_what_is_gone_is_not_brought_back_by_a_late_event() -> None:
    """Each message that ever lay in the inbox is handed over again: no row comes back."""
    story = Story("near", "far")
    near, far = story["near"], story["far"]
    near.looks_at("far")
    story.run(1.0)
    for titles in (["ghost"], ["ghost", "two"], ["two"]):
        far.has(*titles)
        story.run(0.1)
    near.position = 0
    story.run(1.0)
    assert near.sees("far") == ["two"]


# 4: nobody is shown as live after his lease.


def test_who_is_gone_is_offline_when_its_lease_is_over() -> None:
    """A computer that crashed is online until its lease ran out, and not longer; its rows stay."""
    story = Story("near", "far")
    near, far = story["near"], story["far"]
    near.looks_at("far")
    story.run(1.0)
    far.crash()
    story.until(lambda: near.status("far") == "offline", LEASE + 1.0)
    assert near.sees("far") == ["one"]


def test_old_heartbeats_keep_nobody_alive() -> None:
    """Beats of a dead computer, put back one by one at their old pace, do not make it live (F25)."""
    story = Story("near", "far")
    near, far = story["near"], story["far"]
    beats = []
    for _ in range(20):
        story.run(20.0)
        beats.append(story.redis.get(KEYS.heartbeat("far")))
    far.crash()
    near.crash()
    story.run(100.0)
    near.begin()
    alive_for = 0.0
    for beat in beats:
        story.redis.call("ZADD", KEYS.computers, 1, "far")
        story.redis.call("SET", KEYS.heartbeat("far"), beat, "EX", 60)
        story.run(20.0)
        alive_for += 20.0 if near.status("far") == "online" else 0.0
    assert alive_for <= LEASE + 20.0


def test_a_goodbye_is_told_at_once() -> None:
    """Who stops is offline at once; who leaves the fleet is not there any more, nor are its rows (F14)."""
    story = Story("near", "far", "third")
    near = story["near"]
    near.looks_at("*")
    story.run(1.0)
    story["far"].leave()
    story["third"].leave(left=True)
    story.run(AT_ONCE)
    assert (near.status("far"), near.status("third")) == ("offline", "absent")
    assert (near.sees("far"), near.sees("third")) == (["one"], [])
    assert [key for key in story.redis.values if "{far}" in key or "{third}" in key] == []


# 7: who is slow delays nobody, and costs a bounded amount.


def test_a_reader_that_is_away_costs_its_owner_nothing_that_grows() -> None:
    """An owner without a connection keeps one row a record, however many changes there are."""
    story = Story("near", "far")
    near, far = story["near"], story["far"]
    near.looks_at("far")
    story.run(1.0)
    far.is_cut = True
    for number in range(500):
        far.has(f"round {number}")
        far.turn()
    assert sum(len(change.rows) for change in far.node.server._pending.values()) <= 501
    assert len(far.node.context._kept) == 0
    far.is_cut = False
    story.until(lambda: near.sees("far") == ["round 499"], SOON)


def test_a_slow_computer_delays_no_other() -> None:
    """While one does not answer, the rows of another come as ever."""
    story = Story("near", "far", "third")
    near = story["near"]
    story["far"].is_cut = True
    near.looks_at("*")
    story.until(lambda: near.sees("third") == ["one"], AT_ONCE)
    assert near.sees("far") == []


# 8: a request runs at most once and ends in one outcome; an expired one never runs.


def test_a_command_that_comes_again_and_again_runs_once() -> None:
    """Doubled on the way, handed over again after a crash, put back from before: it runs once."""
    story = Story("near", "far")
    near, far = story["near"], story["far"]
    story.way = doubling("messages:{far}")
    request = near.commands("far")
    story.until(lambda: near.ended(request) == "ok", AT_ONCE)
    far.crash()
    story.redis.values[KEYS.messages("far")].handed = 0
    far.begin()
    story.run(5.0)
    assert [ran.id for ran in far.ran] == [request.id]


def test_a_command_whose_time_is_up_does_not_run() -> None:
    """A command that Redis held back until its time was up is not run, and its giver does not know."""
    story = Story("near", "far")
    near, far = story["near"], story["far"]
    near.looks_at("far")
    story.run(1.0)
    key = KEYS.messages("far")
    request = near.commands("far", within=2.0)
    held, story.redis.values[key].entries = story.redis.values[key].entries, {}
    story.run(3.0)
    assert near.ended(request) == "unknown"
    story.redis.values[key].entries |= {number + 100: entry for number, entry in held.items()}
    story.run(3.0)
    assert far.ran == []


def test_a_command_for_who_crashed_runs_once_it_is_back() -> None:
    """It is sealed anew for the new run, and has one outcome."""
    story = Story("near", "far")
    near, far = story["near"], story["far"]
    near.looks_at("far")
    story.run(1.0)
    far.crash()
    request = near.commands("far", within=30.0)
    story.run(1.0)
    far.begin()
    story.until(lambda: near.ended(request) == "ok", SOON)
    assert len(far.ran) == 1


def test_a_command_without_a_connection_is_refused_soon() -> None:
    """A blip costs no command; without a connection for longer it is refused, with the reason (F2)."""
    story = Story("near", "far")
    near = story["near"]
    near.is_cut = True
    story.run(0.5)
    first = near.commands("far")
    near.is_cut = False
    story.until(lambda: near.ended(first) == "ok", SOON)
    near.is_cut = True
    story.run(3.0)
    second = near.commands("far")
    assert near.ended(second) == "unavailable"
    assert "the network is cut" in near.outcomes[second.id][0].message


def test_a_message_that_no_rule_foresaw_takes_no_other_along(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever fails over one message, the others of the same read are dealt with, and it is acknowledged (F6)."""
    story = Story("near", "far")
    near, far = story["near"], story["far"]
    plain = far.node.server.command
    poison = near.commands("far", Message(session_id=make.session_id("one"), text="poison"))

    def command(entry: bytes, envelope: object, body: object) -> None:
        if envelope.id == poison.id:  # type: ignore[attr-defined]
            raise RuntimeError("nobody foresaw this")
        plain(entry, envelope, body)  # type: ignore[arg-type]

    monkeypatch.setattr(far.node.server, "command", command)
    others = [near.commands("far") for _ in range(3)]
    story.run(1.0)
    assert [near.ended(request) for request in others] == ["ok"] * 3
    assert far.node.context.numbers["stumbles"] == 1
    assert story.redis.values[KEYS.messages("far")].entries == {}


def test_what_a_sender_may_not_do_is_not_done() -> None:
    """Rights are by sender and verb, and change in place."""
    story = Story("near", "far")
    near, far = story["near"], story["far"]
    far.allows(near=("view",))
    request = near.commands("far")
    story.until(lambda: near.ended(request) == "refused", AT_ONCE)
    far.allows(near=("view", "message"))
    request = near.commands("far")
    story.until(lambda: near.ended(request) == "ok", AT_ONCE)


# All of it, at random.


HAPPENINGS = ["change", "change", "change", "cut", "crash", "lose", "double", "command", "command", "wait"]


@pytest.mark.parametrize("seed", range(12))
def test_whatever_happens_all_is_right_in_the_end(seed: int) -> None:
    """Cuts, crashes, losses, doubles, an emptied Redis, commands and changes at random: promises 1, 2, 3, 4 and 8."""
    story = Story("near", "far", "third", seed=seed)
    draw, given = story.draw, []
    for computer in story.all.values():
        computer.looks_at("*")
    for number in range(60):
        one, other = draw.sample(list(story.all.values()), 2)
        match draw.choice(
            ["change", "change", "change", "cut", "crash", "lose", "double", "command", "command", "wait"]
        ):
            case "change":
                one.has(*(f"{title}{number}" for title in draw.sample("abcde", draw.randint(0, 4))))
            case "cut":
                one.is_cut = not one.is_cut
            case "crash":
                one.crash()
                one.begin()
                one.looks_at("*")
            case "lose":
                story.way = losing(draw.choice(["session_events", "messages", "x"]), of=one.name)
            case "double":
                story.way = doubling(draw.choice(["session_events", "messages"]))
            case "command":
                other.works_for = draw.choice([0.0, 0.5, 3.0])
                given.append((one, one.generation, one.commands(other.name, within=draw.choice([1.0, 5.0, 20.0]))))
            case _:
                story.run(draw.choice([0.1, 3.0, 30.0]))
        story.run(0.1)
    story.way = losing("nothing")
    for computer in story.all.values():
        computer.is_cut = False
    story.until(story.all_see_all, SOON)
    story.run(25.0)
    _assert_each_command_ran_at_most_once_and_ended(story, given)


def _assert_each_command_ran_at_most_once_and_ended(story: Story, given: list[tuple]) -> None:  # type: ignore[type-arg]
    ran = [request.id for computer in story.all.values() for request in computer.ran]
    assert len(ran) == len(set(ran))
    for giver, generation, request in given:
        if giver.generation == generation:
            assert giver.ended(request), "one outcome"
        if giver.ended(request) == "ok":
            assert request.id in ran
        if giver.ended(request) == "unavailable":
            assert request.id not in ran
