"""When panes that write are asked about."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from teleclaude.sync.tmux.pace import FORGET, PAUSE, RESTS, SETTLE, STEPS, PanePaces

TICK = 0.002  # seconds


class Played:
    """Terminals that write at given times, played to the pace as inotify and tmux would; and when it asked."""

    def __init__(self, writes: dict[str, list[float]], is_new: Callable[[float], bool] = lambda _: False) -> None:
        self.asked: dict[str, list[float]] = {tty: [] for tty in writes}
        self.questions: list[float] = []
        paces = PanePaces()
        paces.keep(writes)
        resting: dict[str, float] = {}
        left = {tty: list(times) for tty, times in writes.items()}
        for tty in writes:
            paces.armed(tty, 0.0)
        for turn in range(int((max(max(times) for times in writes.values()) + FORGET) / TICK)):
            now = turn * TICK
            for tty in [tty for tty, end in resting.items() if end <= now]:
                del resting[tty]
                paces.armed(tty, now)
            for tty, times in left.items():
                has_written = False
                while times and times[0] <= now:
                    times.pop(0)
                    has_written = True
                if has_written and tty not in resting:
                    resting[tty] = now + paces.heard(tty, now)
            due = paces.next_due()
            if due is not None and due <= now:
                self.questions.append(now)
                for tty in paces.begin(now):
                    self.asked[tty].append(now)
                    paces.answered(tty, is_new=is_new(now))


def every(seconds: float, until: float, begin: float = 10.0) -> list[float]:
    """Times from `begin` on."""
    return [begin + number * seconds for number in range(int((until - begin) / seconds))]


def test_first_output_is_asked_about_at_once() -> None:
    """A burst after a rest leads to a question once it has settled, and to a few more if that found nothing new."""
    for is_new, times in ((True, 1), (False, 4)):
        played = Played({"a": [10.0, 10.004, 10.008]}, is_new=lambda _, is_new=is_new: is_new)  # type: ignore[misc]
        assert len(played.asked["a"]) == times
        assert 10.0 + SETTLE <= played.asked["a"][0] <= 10.0 + SETTLE + 2 * TICK


def test_what_comes_after_questions_that_found_nothing_waits_for_none() -> None:
    """A shell draws its prompt, and nothing is new; what it writes half a second later is asked about at once."""
    asked = Played({"a": [10.0, 10.5]}).asked["a"]
    assert any(10.5 + SETTLE <= at <= 10.5 + SETTLE + 2 * TICK for at in asked)
    assert len([at for at in asked if at > 10.5]) <= 4


def test_what_comes_later_is_asked_about_too() -> None:
    """Output after the question is answered by another; the last question is after the last output."""
    for later in (0.02, 0.05, 0.12, 0.3, 1.0, 3.0):
        asked = Played({"a": [10.0, 10.0 + later]}).asked["a"]
        assert 10.0 + later < asked[-1] <= 10.0 + later + max(RESTS) + PAUSE + 2 * STEPS[0], later


def test_output_alone_is_asked_about_more_and_more_seldom() -> None:
    """A pane that redraws all the time with nothing new costs a question in `STEPS[-1]` seconds."""
    asked = Played({"a": every(0.1, 70.0)}).asked["a"]
    assert len(asked) <= 60 / STEPS[-1] + len(STEPS) + 4  # the first are asked about again
    assert max(b - a for a, b in pairwise(asked)) <= STEPS[-1] + max(RESTS) + PAUSE


def test_what_is_new_is_followed_closely() -> None:
    """After an answer with something new the next question comes soon."""
    asked = Played({"a": every(0.1, 30.0)}, is_new=lambda now: now > 20.0).asked["a"]
    late = [at for at in asked if at > 22.0]
    assert max(b - a for a, b in pairwise(late)) <= STEPS[0] + max(RESTS)


def test_the_last_word_is_soon_known() -> None:
    """When a pane that wrote all the time pauses, it is asked once more, soon."""
    times = every(0.1, 40.0)
    asked = Played({"a": times}).asked["a"]
    assert times[-1] < asked[-1] <= times[-1] + max(RESTS) + PAUSE + 0.2


def test_a_pause_that_is_usual_is_none() -> None:
    """A pane that writes every half a second is not asked about twice for each time."""
    asked = Played({"a": every(0.5, 70.0)}).asked["a"]
    assert len(asked) <= 60 / STEPS[-1] * 1.5 + 5


def test_many_are_asked_about_together() -> None:
    """Twenty panes that redraw all the time are asked about in few questions, each of them as often as one alone."""
    played = Played({f"p{n}": every(0.1, 70.0, 10.0 + n / 200) for n in range(20)})
    assert len(played.questions) <= 2 * 60 / STEPS[-1] + 20
    assert all(len(asked) >= 60 / STEPS[-1] / 2 for asked in played.asked.values())


def test_asked_for() -> None:
    """A pane is asked about when something else than output asks for it; a look at all answers that as well."""
    paces = PanePaces()
    paces.keep(["a", "b"])
    paces.ask("a", 5.0)
    paces.ask("gone", 5.0)
    assert paces.next_due() == 5.0
    assert paces.begin(4.0) == []
    assert paces.begin(5.0) == ["a"]
    assert paces.next_due() is None
    paces.armed("b", 6.0)
    paces.heard("b", 6.0)
    paces.armed("b", 6.01)
    paces.asked(["a", "b"], 6.2)
    assert paces.next_due() is None
    paces.ask("a", 7.0)
    paces.keep(["b"])
    assert paces.next_due() is None
