"""The three workers together."""

from __future__ import annotations

from teleclaude.core.backoff import Backoff
from teleclaude.daemon.crew import AWAY, STOP_ORDER, Crew
from teleclaude.daemon.life import HUNG_AFTER, NEVER, READY_WITHIN, Action, Life, LifeState

NAMES = ("cache", "sync", "web")


def a_crew(*, running: bool = True) -> Crew:
    """A crew that was started at 0."""
    crew = Crew({name: Life(Backoff(0.5, 30.0, draw=lambda: 1.0)) for name in NAMES})
    assert crew.start(0.0) == [(name, Action.START) for name in NAMES]
    for life in crew.lives.values():
        if running:
            life.ready(0.0)
    crew.step(0.0)
    return crew


def states(crew: Crew) -> dict[str, LifeState]:
    """Where each is now."""
    return {name: life.state for name, life in crew.lives.items()}


def test_all_start_at_once() -> None:
    """Nobody waits for anybody; the crew works once each said so."""
    crew = a_crew(running=False)
    assert crew.summary() == "cache is starting, sync is starting, web is starting"
    for life in crew.lives.values():
        life.ready(1.0)
    assert crew.working
    assert crew.summary() == "cache, sync, web are running"


def test_stop_goes_against_the_flow_of_data() -> None:
    """Each is told to end when the one before it is gone."""
    crew = a_crew()
    orders = crew.stop(10.0)
    for name in STOP_ORDER:
        assert orders == [(name, Action.TERMINATE)]
        assert crew.step(10.0) == []
        crew.lives[name].died(10.1, "")
        assert crew.over == (name == STOP_ORDER[-1])
        orders = crew.step(10.1)
    assert orders == []


def test_stop_of_deaf_workers_ends_within_five_seconds() -> None:
    """One deadline is spread over the three: who works on and does not end is killed."""
    crew = a_crew()
    now, killed = 10.0, []
    crew.stop(now)
    while not crew.over:
        now = crew.deadline
        assert now <= 15.0
        for life in crew.lives.values():
            life.beat(now)
        for name, action in crew.step(now):
            if action is Action.KILL:
                killed.append(name)
                crew.lives[name].died(now, "")
        crew.step(now)
    assert killed == list(STOP_ORDER)


def test_nobody_starts_while_stopping() -> None:
    """A worker that dies of itself during the stop stays down, as does one that waited for its restart."""
    crew = a_crew()
    crew.lives["cache"].died(9.0, "")
    crew.lives["cache"].step(9.0)
    crew.lives["cache"].died(9.1, "")
    assert states(crew)["cache"] is LifeState.BACKOFF
    crew.stop(10.0)
    assert states(crew)["cache"] is LifeState.STOPPED
    crew.lives["sync"].died(10.1, "")
    assert crew.step(10.2) == []
    assert states(crew)["sync"] is LifeState.STOPPED
    crew.lives["web"].died(10.3, "")
    assert crew.step(10.3) == []
    assert crew.over


def test_a_judge_who_was_away_judges_nobody() -> None:
    """After a jump of the clock (a stopped supervisor, a loaded machine) the beats are counted anew."""
    crew = a_crew()
    assert crew.step(60.0) == []
    now, orders = 60.0, []
    while crew.working:
        now = crew.deadline
        orders = crew.step(now)
    assert [action for _, action in orders] == [Action.KILL] * 3
    assert now >= 60.0 + HUNG_AFTER


def test_who_slept_along_with_the_judge_has_time_to_beat() -> None:
    """All stop for three seconds: the judge wakes a moment before those whom he judges, and kills nobody."""
    crew = a_crew()
    now = max(crew.deadline, HUNG_AFTER + AWAY * 0.1)
    assert crew.step(now) == []
    for life in crew.lives.values():
        life.beat(now + 0.2)
    now = crew.deadline
    assert crew.step(now) == []
    assert crew.working


def test_a_judge_who_is_in_time_judges() -> None:
    """A little lateness excuses nobody, or a hung worker would stay for ever on a busy machine."""
    crew = a_crew()
    now = 0.0
    while crew.working and now < 60:
        now = crew.deadline + AWAY * 0.9
        crew.step(now)
    assert now < HUNG_AFTER + 2


def test_sleeps_until_something_is_due() -> None:
    """With nobody running there is nothing to look at before the next deadline."""
    crew = a_crew(running=False)
    assert crew.deadline == READY_WITHIN
    for life in crew.lives.values():
        life.stop(0.0, 1.0)
        life.died(0.5, "")
    assert crew.deadline == NEVER


def test_settled_when_nobody_can_be_waited_for() -> None:
    """Running or given up: settled, and the summary names who is not running."""
    crew = a_crew()
    web = crew.lives["web"]
    while web.state is not LifeState.FATAL:
        if web.state is LifeState.BACKOFF:
            web.step(web.deadline)
        web.died(web.since, "boom")
    assert crew.settled
    assert not crew.working
    assert crew.summary() == "web is fatal"
