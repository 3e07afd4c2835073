"""The life of one worker."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from teleclaude.core.backoff import Backoff
from teleclaude.daemon.life import (
    GIVE_UP_AFTER,
    GOOD_AFTER,
    HUNG_AFTER,
    KILLED_MOST,
    NEVER,
    QUICK,
    READY_WITHIN,
    TABLE,
    Action,
    Event,
    Life,
    LifeState,
)


def a_life() -> Life:
    """A life whose delays are as long as they can be."""
    return Life(Backoff(0.5, 30.0, draw=lambda: 1.0))


def running(life: Life, now: float = 0.0) -> Life:
    """Bring a worker up at `now`."""
    if life.state is LifeState.STOPPED:
        assert life.start(now) == [Action.START]
    else:
        assert life.step(max(now, life.deadline)) == [Action.START]
    life.ready(now)
    return life


def test_first_restart_is_at_once() -> None:
    """A worker that dies after good work is started again without a wait."""
    life = running(a_life())
    life.died(10.0, "ended")
    assert (life.state, life.deadline) == (LifeState.BACKOFF, 10.0)
    assert life.step(10.0) == [Action.START]


def test_delays_grow_and_start_over() -> None:
    """Each further death doubles the delay up to 30 s; a minute of running makes the next restart immediate again."""
    life = a_life()
    now, delays = 0.0, []
    for _ in range(9):
        running(life, now)
        now += QUICK + 1  # not quick, so never given up
        life.died(now, "ended")
        delays.append(life.deadline - now)
        now = life.deadline
    assert delays == [0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
    running(life, now)
    life.died(now + GOOD_AFTER, "ended")
    assert life.deadline == now + GOOD_AFTER


def test_given_up_after_quick_deaths() -> None:
    """Five quick deaths in a row are the last; the reason of the last is kept; nothing is due any more."""
    life = a_life()
    now = 0.0
    for number in range(GIVE_UP_AFTER):
        assert life.state is not LifeState.FATAL
        running(life, now)
        life.died(now + 1, f"death {number}")
        now = life.deadline
    assert (life.state, life.reason, life.deadline) == (LifeState.FATAL, "death 4", NEVER)
    assert life.step(1e9) == []


def test_one_longer_life_is_no_quick_death_in_a_row() -> None:
    """A worker is given up for deaths in a row only."""
    life = a_life()
    now = 0.0
    for number in range(GIVE_UP_AFTER * 3):
        running(life, now)
        lived = QUICK if number % GIVE_UP_AFTER == GIVE_UP_AFTER - 1 else 0.1
        life.died(now + lived, "ended")
        now = life.deadline
        assert life.state is LifeState.BACKOFF


def test_revived() -> None:
    """A worker that was given up gets a new try at once, and five more."""
    life = a_life()
    for _ in range(GIVE_UP_AFTER):
        running(life, life.deadline if life.deadline != NEVER else 0.0)
        life.died(life.since, "ended")
    assert life.state is LifeState.FATAL
    life.revive(100.0)
    assert life.step(100.0) == [Action.START]
    life.died(100.0, "ended")
    assert (life.state, life.deadline) == (LifeState.BACKOFF, 100.0)


def hung(life: Life) -> tuple[float, list[Action]]:
    """Wait until something is done about a worker that does not beat: when, and what."""
    now, orders = life.deadline, life.step(life.deadline)
    while not orders:
        now, orders = life.deadline, life.step(life.deadline)
    return now, orders


def test_a_beat_counts_from_when_it_was_given() -> None:
    """Who hears of it late gives nobody more time, and an older one takes none away."""
    life = running(a_life())
    life.beat(5.0)
    life.beat(4.0)
    assert hung(life) == (5.0 + HUNG_AFTER, [Action.KILL])


def test_hung_worker_is_killed_and_comes_back() -> None:
    """No beat for three seconds: SIGKILL, once; then a restart, with the reason kept."""
    life = running(a_life())
    life.beat(5.0)
    assert hung(life) == (5.0 + HUNG_AFTER, [Action.KILL])
    assert life.step(100.0) == []
    life.died(5.1 + HUNG_AFTER, "was ended by SIGKILL", killed=True)
    assert life.reason == "gave no sign of life for 3 s"
    assert life.step(5.1 + HUNG_AFTER) == [Action.START]


def test_hung_long_after_its_start_counts_as_good() -> None:
    """A hang after an hour is no quick death."""
    life = running(a_life())
    now = 0.0
    for _ in range(GIVE_UP_AFTER * 2):
        life.beat(now + 3600)
        assert hung(life) == (now + 3600 + HUNG_AFTER, [Action.KILL])
        now += 3600 + HUNG_AFTER
        life.died(now, "")
        assert (life.state, life.deadline) == (LifeState.BACKOFF, now)
        running(life, now)


def test_never_ready_is_killed() -> None:
    """A worker that is not ready in time is killed, and that counts as a quick death."""
    life = a_life()
    now = 0.0
    for _ in range(GIVE_UP_AFTER):
        assert life.start(now) if life.state is LifeState.STOPPED else life.step(now) == [Action.START]
        assert life.step(now + READY_WITHIN - 0.1) == []
        assert life.step(now + READY_WITHIN) == [Action.KILL]
        life.died(now + READY_WITHIN, "")
        now = life.deadline
    assert life.state is LifeState.FATAL
    assert life.reason == "was not ready after 30 s"


def test_killed_by_others_is_never_given_up() -> None:
    """SIGKILL from outside, after it worked, is no fault of the worker: back within a second, however often."""
    life = a_life()
    now = 0.0
    for _ in range(GIVE_UP_AFTER * 4):
        running(life, now)
        life.died(now + 0.1, "was ended by SIGKILL", killed=True)
        assert life.state is LifeState.BACKOFF
        assert life.deadline - (now + 0.1) <= KILLED_MOST
        now = life.deadline


def test_killed_before_it_worked_counts() -> None:
    """A worker that the kernel kills each time before it is ready is given up like any other."""
    life = a_life()
    for _ in range(GIVE_UP_AFTER):
        if life.state is LifeState.STOPPED:
            life.start(0.0)
        else:
            life.step(life.deadline)
        life.died(life.since, "was ended by SIGKILL", killed=True)
    assert life.state is LifeState.FATAL


def test_forgiven() -> None:
    """When the judge was away, the waiting starts anew."""
    life = running(a_life())
    life.forgive(100.0)
    assert life.step(100.0) == []
    assert hung(life) == (100.0 + HUNG_AFTER, [Action.KILL])


def test_stopped_worker_stays_stopped() -> None:
    """A stop ends a life in each state, and what dies then is not started again."""
    life = running(a_life())
    assert life.stop(1.0, 2.0) == [Action.TERMINATE]
    assert life.stop(1.5, 2.0) == []
    assert life.step(3.0) == [Action.KILL]
    life.died(3.0, "")
    assert (life.state, life.deadline) == (LifeState.STOPPED, NEVER)


def test_what_the_table_lacks_is_a_bug() -> None:
    """An event that cannot happen in a state raises."""
    with pytest.raises(KeyError):
        a_life().ready(0.0)
    with pytest.raises(KeyError):
        running(a_life()).start(1.0)


def test_every_state_can_be_stopped_and_no_state_is_a_trap() -> None:
    """From each state there is a way to STOPPED by events that the shell can bring about."""
    for state in LifeState:
        reached, todo = {state}, [state]
        while todo:
            here = todo.pop()
            for (before, _), after in TABLE.items():
                if before is here and after not in reached:
                    reached.add(after)
                    todo.append(after)
        assert LifeState.STOPPED in reached
        assert (state, Event.STOP) in TABLE


class AnyLife(RuleBasedStateMachine):
    """Any order of events, with a clock that only goes forward."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.life = a_life()
        self.process = False  # what the shell would see
        self.told_to_die = False
        self.stopped = False
        self.obey(self.life.start(0.0))

    def obey(self, actions: list[Action]) -> None:
        for action in actions:
            if action is Action.START:
                assert not self.process, "started twice"
                assert not self.stopped, "started after a stop"
                self.process, self.told_to_die = True, False
            else:
                assert self.process, "signalled nobody"
                self.told_to_die = True

    @rule(seconds=st.floats(0, 100))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.obey(self.life.step(self.now))

    @rule()
    def wait_until_due(self) -> None:
        if self.life.deadline != NEVER:
            self.now = max(self.now, self.life.deadline)
            self.obey(self.life.step(self.now))
            assert self.life.deadline > self.now or self.life.state is LifeState.BACKOFF, "would spin"

    @precondition(lambda self: self.process)
    @rule()
    def ready(self) -> None:
        self.life.ready(self.now)

    @rule()
    def beat(self) -> None:
        self.life.beat(self.now)

    @rule()
    def forgive(self) -> None:
        self.life.forgive(self.now)

    @precondition(lambda self: self.process)
    @rule(killed=st.booleans())
    def die(self, killed: bool) -> None:
        self.process = False
        self.life.died(self.now, "ended", killed=killed)

    @rule()
    def revive(self) -> None:
        self.life.revive(self.now)

    @rule(patience=st.floats(0, 5))
    def stop(self, patience: float) -> None:
        self.obey(self.life.stop(self.now, patience))
        self.stopped = True

    @invariant()
    def the_life_knows_whether_there_is_a_process(self) -> None:
        assert self.life.alive == self.process

    @invariant()
    def something_is_always_due_but_in_the_end_states_and_after_a_kill(self) -> None:
        if self.life.deadline == NEVER:
            assert self.life.state in {LifeState.STOPPED, LifeState.FATAL} or self.told_to_die

    @invariant()
    def a_stop_is_final(self) -> None:
        if self.stopped:
            assert self.life.state in {LifeState.STOPPING, LifeState.STOPPED}


AnyLife.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestAnyLife = AnyLife.TestCase
