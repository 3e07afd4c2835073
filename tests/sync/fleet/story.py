"""A whole fleet in one thread: pure nodes, a pretend Redis between them, and a clock that the test moves.

A `Story` is told in steps: what computers and their clients do, what becomes of the network, how time passes. Each
computer has a clock of its own. Its connection can be cut, its commands can be lost or doubled on the way, Redis can
be emptied, hand over in another order, or old again; a computer can crash and come back.
"""

from __future__ import annotations

import random
import secrets
from collections.abc import Callable
from typing import Any

import msgspec

from teleclaude.cache.core import CacheCore
from teleclaude.cache.daemon_cache import DaemonCache
from teleclaude.core.errors import NotFound
from teleclaude.core.live_screen import LiveScreen
from teleclaude.core.records import Computer, Kind, Session
from teleclaude.core.request_wire import OutputEndFrame, OutputFrame, WatchedFrame
from teleclaude.core.requests import Outcome, Request, new_id
from teleclaude.core.session_notice import SessionNotice
from teleclaude.core.settings import FleetSettings, Settings, parse
from teleclaude.core.verbs import Args, Message
from teleclaude.replication.version import NOTHING, Version
from teleclaude.sync.fleet import node_effects as effects
from teleclaude.sync.fleet import node_events as events
from teleclaude.sync.fleet.node import Node
from teleclaude.sync.fleet.own_view import OwnView
from teleclaude.sync.fleet.redis.redis_keys import KeyNames
from teleclaude.sync.fleet.wire.identity import SEED_SIZE, KnownComputers, SigningKey
from teleclaude.sync.fleet.wire.sealing import Seal
from teleclaude.sync.own_records import OwnRecords
from tests import make
from tests.sync.fleet.pretend_redis import PretendRedis

KEY = b"k" * 32
KEYS = KeyNames("t:")
WALL = 1_700_000_000.0
RETRY_EVERY = 1.0  # seconds between tries to connect


class Played:
    """One computer: a node, and what a loop would do for it. What is on its disk outlives a crash."""

    def __init__(self, story: Story, name: str, ahead: float) -> None:
        self.story, self.name, self.ahead = story, name, ahead
        self.generation = 0
        self.identity, self.known = SigningKey(secrets.token_bytes(SEED_SIZE)), KnownComputers()
        self.journal: dict[str, Outcome | None] = {}
        self.ran: list[Request] = []
        self.outcomes: dict[str, list[Outcome]] = {}
        self.screens: list[WatchedFrame] = []
        self.shows: dict[str, LiveScreen] = {}  # what its sessions show
        self.watched_here: frozenset[str] = frozenset()
        self.reads_screens: dict[tuple[str, str], int] = {}  # with the place in the stream
        self.services: dict[str, str] = {}
        self.told: list[SessionNotice] = []  # what its user was told
        self.titles: tuple[str, ...] = ("one",)
        self.settings: Settings = parse(f'[computer]\nname = "{name}"\n')
        self.answer: Callable[[Request], Outcome] = lambda request: Outcome(id=request.id, status="ok")
        self.works_for = 0.0  # seconds that a request takes
        self.is_cut = False
        self.is_running = False
        self.begin()

    # Life.

    def begin(self) -> None:
        """Start, with nothing remembered but the journal."""
        self.generation += 1
        self.core = CacheCore(DaemonCache(self.name))
        self.own = OwnRecords(self.name, lambda _ops: None)
        seal = Seal(self.name, self.own.epoch, self.generation, [KEY], self.identity, self.known)
        view = OwnView(self.name, self.own.epoch, Computer(name=self.name))
        self.node = Node(view, KEYS, seal, self.settings, home=f"home of {self.name}")
        self.is_up = self.reads_inbox = False
        self.is_running = True
        self.wake_at = self.retry_at = 0.0
        self.position: int | None = None
        self.version: dict[Kind, Version] = {}
        self.at_work: list[tuple[float, events.RequestRan]] = []
        self.at_work_on_screens: list[str] = []
        self.watched_here, self.reads_screens, self.screens = frozenset(), {}, []
        self.own.update_computer(Computer(name=self.name, host=f"{self.name}.lan", is_local=True))
        self.has(*self.titles)

    def crash(self) -> None:
        """Be gone, without a goodbye."""
        self.is_running = self.is_up = False

    def leave(self, *, left: bool = False) -> None:
        """End in order."""
        self.tell(events.Stopping(left))
        self.crash()

    @property
    def now(self) -> float:
        """Its own clock."""
        return self.story.now + self.ahead

    # What its clients and its user do.

    def has(self, *titles: str) -> None:
        """Have sessions of these titles, and no others."""
        self.titles = titles
        rows = [make.session(make.session_id(title), self.name, title=title) for title in titles]
        self.own.update("sessions", rows)

    def _watch_here(self, session_ids: frozenset[str]) -> None:
        """Look at these sessions: those that come newly are told, also when they did not change."""
        came, self.watched_here = session_ids - self.watched_here, session_ids
        for session_id in came & self.shows.keys():
            self.at_work_on_screens.append(session_id)

    def show(self, title: str, *rows: str, **more: Any) -> LiveScreen:
        """Have a session's screen show that."""
        session_id = make.session_id(title)
        screen = self.shows[session_id] = LiveScreen(rows=rows, columns=80, **more)
        if session_id in self.watched_here:
            self.tell(events.ScreenChanged(session_id, screen))
        return screen

    def end_screen(self, title: str) -> None:
        """Have a session end while it is watched."""
        self.tell(events.ScreenChanged(make.session_id(title), NotFound("the session has ended")))

    def watches(self, *watched: tuple[str, str]) -> None:
        """Have clients that watch these sessions, as (computer, title), and no others."""
        places = frozenset((computer, make.session_id(title)) for computer, title in watched)
        self.tell(events.WatchChanged(places))

    def screen(self, computer: str, title: str) -> LiveScreen | None:
        """The screen of a session elsewhere that was shown last to clients here."""
        found = [one for one in self.screens if (one.computer, one.session_id) == (computer, make.session_id(title))]
        return found[-1].screen if found and isinstance(found[-1], OutputFrame) else None

    def screen_end(self, computer: str, title: str) -> str:
        """Why nothing more comes of a screen; empty when it does."""
        found = [one for one in self.screens if (one.computer, one.session_id) == (computer, make.session_id(title))]
        return found[-1].code if found and isinstance(found[-1], OutputEndFrame) else ""

    def presses_key(self) -> None:
        """Have its user press a key."""
        self.tell(events.KeyPressed(self.now))

    def notices(self, *titles: str, **more: Any) -> None:
        """Have sessions of these titles wait for somebody."""
        made = [
            SessionNotice(computer=self.name, session_id=make.session_id(title), state="waiting", title=title, **more)
            for title in titles
        ]
        self.tell(events.NoticesGiven(made))

    def looks_at(self, interest: dict[str, list[Kind]] | str) -> None:
        """Have clients that look at that; a name means the sessions of that computer."""
        wanted: dict[str, list[Kind]] = {interest: ["sessions"]} if isinstance(interest, str) else interest
        self.tell(events.InterestChanged(wanted))

    def commands(self, computer: str, args: Args | None = None, *, within: float = 10.0) -> Request:
        """Have a client that gives a command."""
        args = args or Message(session_id=make.session_id("one"), text="x")
        request = Request(id=new_id(), computer=computer, args=args, deadline=0.0)
        self.tell(events.CommandGiven(request, self.now + within))
        return request

    def allows(self, **allow: tuple[str, ...]) -> None:
        """Allow others that."""
        self.settings = msgspec.structs.replace(self.settings, fleet=FleetSettings(allow=allow))  # type: ignore[arg-type]
        self.tell(events.SettingsChanged(self.settings))

    # What its clients see.

    def sees(self, computer: str) -> list[str]:
        """Titles of a computer's sessions, as the cache here has them."""
        rows = self.core.cache.records("sessions", computer)
        return sorted(row.title for row in rows if isinstance(row, Session))

    def status(self, computer: str) -> str:
        """Status of a computer, as the cache here has it; "absent" when there is none."""
        found = self.core.cache.get("computers", computer, computer)
        return found.status if isinstance(found, Computer) else "absent"

    def ended(self, request: Request) -> str:
        """How a command of a client here ended, once; empty while it did not."""
        outcomes = self.outcomes.get(request.id, [])
        assert len(outcomes) <= 1, "one outcome"
        return (outcomes[0].code or outcomes[0].status) if outcomes else ""

    # What a loop does.

    def tell(self, *told: events.Event) -> None:
        """Tell the node what happened, and carry out what it wants."""
        for event in told:
            self._carry_out(self.node.receive(event, self.now, WALL + self.story.now))
        self._carry_out(self.node.receive(events.Woken(), self.now, WALL + self.story.now))

    def turn(self) -> None:
        """Do what a loop does in a turn."""
        for kind, number in self.own.heads().items():
            if self.version.get(kind) != Version(self.own.epoch, number):
                self._tell_own(kind)
        for session_id in self.at_work_on_screens:
            self.tell(events.ScreenChanged(session_id, self.shows[session_id]))
        self.at_work_on_screens.clear()
        if not self.node.context.own.is_filled:
            self.tell(events.SelfDescribed(self.own.me, True))
        for at, ran in [each for each in self.at_work if each[0] <= self.now]:
            self.at_work.remove((at, ran))
            if ran.outcome.id in self.journal:
                self.journal[ran.outcome.id] = ran.outcome
            self.tell(ran)
        if not self.is_up and not self.is_cut and self.now >= self.retry_at:
            self.tell(events.RedisReached(self.story.redis.get(KEYS.heartbeat(self.name))))
        if self.is_up and self.is_cut:
            self._lose("the network is cut")
        if self.is_up:
            self._read()
        if self.now >= self.wake_at:
            self.tell()

    def _tell_own(self, kind: Kind) -> None:
        change = self.own.since(kind, self.version.get(kind, NOTHING))
        if change is None:
            version, records = self.own.snapshot(kind)
            self.tell(events.OwnFound(kind, version, records))
        else:
            version = change.version
            self.tell(events.OwnChanged(kind, change))
        self.version[kind] = version

    def _read(self) -> None:
        redis = self.story.redis
        if requests := redis.requests(KEYS.messages(self.name)):
            self.story.note(self.name, f"reads {len(requests)} of its messages")
            self.tell(events.RequestsCame(requests))
        if self.reads_inbox and self.is_up:
            blobs, position = redis.inbox(KEYS, self.name, self.position or 0)
            if position < (self.position or 0):
                self.position = 0
                self.tell(events.InboxRemade())
            elif blobs or position != self.position:
                self.position = position
                self.story.note(self.name, f"reads {len(blobs)} of its inbox")
                self.tell(events.InboxCame(blobs))
        for place, position in list(self.reads_screens.items() if self.is_up else ()):
            blobs, self.reads_screens[place] = redis.entries(KEYS.screens(self.name, *place), position)
            if blobs:
                self.tell(events.ScreensCame(*place, self.story.spoilt(blobs)))

    def _carry_out(self, wanted: list[effects.Effect]) -> None:
        for effect in wanted:
            self._carry_out_one(effect)
        self._send([effect for effect in wanted if isinstance(effect, effects.ToRedis)])
        for effect in wanted:
            self._connection(effect)

    def _carry_out_one(self, effect: effects.Effect) -> None:
        match effect:
            case effects.ToCache(ops):
                self.core.write(ops)
            case effects.TellOutcome(outcome):
                self.outcomes.setdefault(outcome.id, []).append(outcome)
            case effects.TellPerson(notices):
                self.told += notices
            case effects.ShowScreen(screen):
                self.screens.append(screen)
            case effects.WatchHere(session_ids):
                self._watch_here(session_ids)
            case effects.ReadScreens(watched):
                self.reads_screens = {place: self.reads_screens.get(place, 0) for place in watched}
            case effects.RunHere():
                self._run(effect)
            case effects.ReadInbox(wanted):
                self.reads_inbox = wanted
            case effects.ShowService(name, state, reason):
                self.services[name] = reason if state else ""
            case effects.WakeAt(at):
                self.wake_at = at
            case _:
                pass

    def _connection(self, effect: effects.Effect) -> None:
        match effect:
            case effects.TakeName():
                self.is_up = True
                self.reads_screens = dict.fromkeys(self.reads_screens, 0)  # as the reader does on a new connection
                self.story.redis.make_group(KEYS.messages(self.name))
                self.position = self.position or self.story.redis.last_id(KEYS.inbox(self.name))
                self.tell(events.Joined())
                self.tell(events.RequestsCame(self.story.redis.pending(KEYS.messages(self.name)), again=True))
            case effects.KeepSilent(until=until):
                self.is_up, self.retry_at = False, until
            case effects.ConnectAnew(reason):
                self._lose(reason)
            case _:
                pass

    def _send(self, sent: list[effects.ToRedis]) -> None:
        if sent and self.is_cut:
            self._lose("the network is cut", tuple(sent))
            return
        answers: list[events.Event] = []
        for effect in sent:
            self.story.note(self.name, PretendRedis.words(effect.command))
            answer = self.story.deliver(self, effect.command)
            if effect.about is not None:
                answers.append(events.RedisAnswered(effect.about, answer))
        if answers and self.is_running:
            self.tell(*answers)

    def _lose(self, reason: str, unsent: tuple[effects.ToRedis, ...] = ()) -> None:
        self.is_up, self.retry_at = False, self.now + RETRY_EVERY
        self.tell(events.ConnectionLost(reason, unsent))

    def _run(self, work: effects.RunHere) -> None:
        request, done_at = work.request, self.now + self.works_for
        if work.journaled and request.id in self.journal:
            known = self.journal[request.id] or Outcome(id=request.id, status="unknown", code="unknown")
            self.at_work.append((self.now, events.RequestRan(known, has_run=False)))
        elif self.now >= work.expires:
            late = Outcome(id=request.id, status="error", code="unavailable")
            self.at_work.append((self.now, events.RequestRan(late, has_run=False)))
        else:
            if work.journaled:
                self.journal[request.id] = None
            self.ran.append(request)
            self.at_work.append((done_at, events.RequestRan(self.answer(request), has_run=True)))


class Story:
    """A fleet of computers of these names, which all have started. Their clocks are far apart."""

    def __init__(self, *names: str, seed: int = 0) -> None:
        self.now = 1000.0
        self.draw = random.Random(seed)
        self.redis = PretendRedis(lambda: self.now)
        self.transcript: list[str] = []
        self.screens_way: Callable[[list[bytes]], list[bytes]] = lambda blobs: blobs
        self.way: Callable[[Played, tuple[effects.Value, ...]], int] = lambda _computer, _command: 1
        self.all = {name: Played(self, name, ahead=1_000.0 * number) for number, name in enumerate(names)}
        self.run(1.0)

    def __getitem__(self, name: str) -> Played:
        """A computer."""
        return self.all[name]

    def run(self, seconds: float, *, step: float = 0.05) -> None:
        """Let time pass."""
        until = self.now + seconds
        while self.now < until:
            for computer in self.all.values():
                if computer.is_running:
                    computer.turn()
            self.now += step

    def until(self, condition: Callable[[], bool], within: float) -> float:
        """Let time pass until something is so; give the seconds that it took."""
        began = self.now
        while not condition():
            assert self.now - began < within, f"not within {within} s"
            self.run(0.05)
        return self.now - began

    def deliver(self, computer: Played, command: tuple[effects.Value, ...]) -> events.Answer:
        """Have Redis carry out a command as often as the way has it: lost on the way, it seems to have been done."""
        times = self.way(computer, command)
        answer: events.Answer = b"0-1"
        for _ in range(times):
            answer = self.redis.call(*command)
        return answer

    def spoilt(self, blobs: list[bytes]) -> list[bytes]:
        """Give updates of a screen as a bad way would hand them over."""
        return self.screens_way(blobs)

    def note(self, name: str, words: str) -> None:
        """Write a line of the transcript."""
        self.transcript.append(f"{name}: {words}")

    def all_see_all(self) -> bool:
        """Tell whether each computer that runs sees of each other that runs what that has."""
        running = [one for one in self.all.values() if one.is_running]
        return all(
            here.status(there.name) == "online" and here.sees(there.name) == sorted(there.titles)
            for here in running
            for there in running
            if here is not there
        )


def losing(part: str, *, of: str = "") -> Callable[[Played, tuple[effects.Value, ...]], int]:
    """A way that loses each command under a key with `part` in its name; `of`: only those of one computer."""
    return lambda who, what: 0 if what[0] == "XADD" and part in str(what[1]) and of in {"", who.name} else 1


def doubling(part: str) -> Callable[[Played, tuple[effects.Value, ...]], int]:
    """A way that carries each message under a key with `part` in its name twice."""
    return lambda _who, what: 2 if what[0] == "XADD" and part in str(what[1]) else 1
