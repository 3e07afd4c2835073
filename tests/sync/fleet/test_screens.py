"""Live output between computers: however bad the way is, the watcher ends with the screen that the owner has."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from teleclaude.core.live_screen import CHARS, LiveScreen
from teleclaude.core.request_wire import OutputEndFrame
from teleclaude.replication.version import Verdict
from teleclaude.sync.fleet.owner.screen_server import LEASE, ScreenSource
from teleclaude.sync.fleet.redis.redis_keys import SCREENS_LENGTH
from teleclaude.sync.fleet.replication.screen_watches import RENEW_EVERY, ScreenReplica
from teleclaude.sync.fleet.wire.messages import ScreenUpdate
from tests import make
from tests.sync.fleet.pretend_redis import Stream
from tests.sync.fleet.story import KEYS, Story, losing

SOON = 1.0  # seconds
HEALED = 5.0
ONE = make.session_id("one")


def watching(*more: str, seed: int = 0) -> Story:
    """A story in which near watches a screen of far, and sees it."""
    story = Story("near", "far", *more, seed=seed)
    story["near"].watches(("far", "one"))
    screen = story["far"].show("one", "a", "b", "c")
    story.until(lambda: story["near"].screen("far", "one") == screen, SOON)
    return story


def updates(story: Story) -> int:
    """How many updates far has sent."""
    return story["far"].node.context.numbers["screens_sent"]


def test_a_watched_screen_comes_and_goes_on() -> None:
    """With its rows, its size and its cursor; and nothing of it to anybody else."""
    story = watching("third")
    near, far, third = story["near"], story["far"], story["third"]
    screen = far.show("one", "a", "\x1b[0;31mB", "c", cursor=(1, 1), alternate=True)
    story.until(lambda: near.screen("far", "one") == screen, SOON)
    far.show("two", "unwatched")
    story.run(SOON)
    assert third.screens == []
    assert {one.session_id for one in near.screens} == {ONE}
    near.watches()
    story.until(lambda: far.watched_here == frozenset(), SOON)
    before = updates(story)
    far.show("one", "nobody watches")
    story.run(SOON)
    assert updates(story) == before


def test_what_did_not_change_is_not_sent_again() -> None:
    """Of a large screen one row goes, once: the rows that are the same cost nothing."""
    story = watching()
    near, far = story["near"], story["far"]
    rows = [f"row {number} " * 20 for number in range(60)]
    screen = far.show("one", *rows)
    story.until(lambda: near.screen("far", "one") == screen, SOON)
    stream = story.redis.values[KEYS.screens("near", "far", ONE)]
    keyframe = max(len(value) for _, value in stream.entries.values())
    screen = far.show("one", *rows[:-1], "another")
    story.until(lambda: near.screen("far", "one") == screen, SOON)
    assert len(list(stream.entries.values())[-1][1]) < keyframe / 10


def test_no_screen_is_in_the_inbox() -> None:
    """Busy screens drive out and delay no event: they have streams of their own, which are short."""
    story = watching()
    near, far = story["near"], story["far"]
    near.looks_at("far")
    story.until(lambda: near.sees("far") == ["one"], SOON)
    inbox = story.redis.values[KEYS.inbox("near")]
    before = inbox.last
    for number in range(200):
        far.show("one", str(number))
        story.run(0.05)
    assert inbox.last - before <= 2
    assert len(story.redis.values[KEYS.screens("near", "far", ONE)].entries) <= SCREENS_LENGTH
    far.has("one", "two")
    story.until(lambda: near.sees("far") == ["one", "two"], SOON)


def test_at_most_ten_times_a_second() -> None:
    """However often a screen changes, and to each watcher; the last one comes."""
    story = watching("third")
    story["third"].watches(("far", "one"))
    story.run(SOON)
    before, shown = updates(story), len(story["near"].screens)
    screen = story["far"].show("one", "first")
    for number in range(400):
        screen = story["far"].show("one", str(number))
        story.run(0.01, step=0.01)
    assert updates(story) - before <= 2 * 41
    assert len(story["near"].screens) - shown <= 41
    story.until(lambda: story["near"].screen("far", "one") == story["third"].screen("far", "one") == screen, SOON)


def test_who_forgets_to_end_costs_nothing_for_long() -> None:
    """A watcher that is gone without a word is told nothing once its lease is over; one that lives keeps it."""
    story = watching("third")
    near, far, third = story["near"], story["far"], story["third"]
    third.watches(("far", "one"))
    story.run(SOON)
    near.crash()
    far.show("one", "x")
    story.run(LEASE + 1.0)
    assert far.watched_here == {ONE}
    before = updates(story)
    screen = far.show("one", "y")
    story.until(lambda: third.screen("far", "one") == screen, SOON)
    assert updates(story) == before + 1
    third.crash()
    story.run(LEASE + 1.0)
    assert far.watched_here == frozenset()


def test_a_quiet_screen_costs_a_renewal_now_and_then() -> None:
    """While nothing changes, nothing is sent but the watcher's word that it still watches."""
    story = watching()
    story.run(SOON)
    before, at = updates(story), len(story.transcript)
    story.run(60.0)
    assert updates(story) == before
    told = [line for line in story.transcript[at:] if KEYS.messages("far") in line and "XADD" in line]
    assert len(told) <= 60 / RENEW_EVERY + 1


def test_a_watcher_of_one_costs_the_others_nothing() -> None:
    """What near watches is not looked at, sent or told for third, and nothing else is looked at."""
    story = watching("third")
    far = story["far"]
    story["third"].watches(("far", "two"))
    screen = far.show("two", "second")
    story.until(lambda: story["third"].screen("far", "two") == screen, SOON)
    two = make.session_id("two")
    keys = sorted(key for key in story.redis.values if "screens:" in key)
    assert keys == [KEYS.screens("near", "far", ONE), KEYS.screens("third", "far", two)]
    before = story.redis.values[keys[0]].last + story.redis.values[keys[1]].last
    for number in range(10):
        far.show("three", str(number))
        story.run(0.2)
    assert far.watched_here == {ONE, two}
    assert story.redis.values[keys[0]].last + story.redis.values[keys[1]].last == before


# Faults.


def crash_owner(story: Story) -> None:
    """Have the owner's sync process start anew."""
    story["far"].crash()
    story.run(0.5)
    story["far"].begin()


def crash_watcher(story: Story) -> None:
    """Have the watcher's sync process start anew, and its web process tell it what clients watch."""
    story["near"].crash()
    story.run(0.5)
    story["near"].begin()
    story["near"].watches(("far", "one"))


def cut_both(story: Story) -> None:
    """Have no Redis for a while."""
    for one in story.all.values():
        one.is_cut = True
    story.run(4.0)
    for one in story.all.values():
        one.is_cut = False


def cut_watcher(story: Story) -> None:
    """Have the watcher without a network for longer than its lease."""
    story["near"].is_cut = True
    story.run(LEASE + 5.0)
    story["near"].is_cut = False


def lose_updates(story: Story) -> None:
    """Have the stream vanish while a screen changes."""
    story.redis.call("DEL", KEYS.screens("near", "far", ONE))
    story["near"].reads_screens[("far", ONE)] = 0


@pytest.mark.parametrize("fault", [crash_owner, crash_watcher, cut_both, cut_watcher, lose_updates])
def test_watches_are_kept_over_faults(fault: Callable[[Story], None]) -> None:
    """After any fault the screen comes again, and goes on, though nobody says again that he watches."""
    story = watching()
    far = story["far"]
    fault(story)
    screen = far.show("one", "after", "the fault")
    story.until(lambda: story["near"].screen("far", "one") == screen, HEALED)
    screen = far.show("one", "after", "all")
    story.until(lambda: story["near"].screen("far", "one") == screen, SOON)


def test_what_is_lost_with_the_connection_comes_after_it() -> None:
    """The last update, and the word that somebody watches: neither waits for the next renewal."""
    story = watching()
    near, far = story["near"], story["far"]
    story.way = losing("screens:")
    screen = far.show("one", "lost")
    story.run(0.2)
    far.is_cut = True
    story.run(0.2)
    story.way, far.is_cut = lambda _who, _what: 1, False
    story.until(lambda: near.screen("far", "one") == screen, HEALED)
    second = far.show("two", "second")
    story.way = losing(KEYS.messages("far"))
    near.watches(("far", "one"), ("far", "two"))
    story.run(0.2)
    near.is_cut = True
    story.run(0.2)
    story.way, near.is_cut = lambda _who, _what: 1, False
    story.until(lambda: near.screen("far", "two") == second, HEALED)


def test_a_gap_is_asked_for_at_once() -> None:
    """Who lacks the keyframe says so with the next update, and does not wait for a renewal."""
    story = watching()
    near, far = story["near"], story["far"]
    story.screens_way = lambda _: []
    far.show("one", *"abcdefgh")  # a keyframe
    story.run(0.2)
    story.screens_way = lambda blobs: blobs
    screen = far.show("one", *"abcdefgx")
    story.until(lambda: near.screen("far", "one") == screen, SOON)


def test_an_owner_that_sends_too_much_is_shown_ten_times_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it sends, clients here are told at most that, and the last one."""
    story = watching()
    near, far = story["near"], story["far"]
    monkeypatch.setattr("teleclaude.sync.fleet.owner.screen_server.EVERY", 0.0)
    sent, shown = updates(story), len(near.screens)
    for number in range(200):
        far.show("one", str(number))
        story.run(0.01, step=0.01)
    assert updates(story) - sent >= 190
    assert len(near.screens) - shown <= 21
    story.until(lambda: near.screen("far", "one") == far.shows[ONE], SOON)


def test_a_stream_that_is_something_else_is_survived() -> None:
    """An update that Redis refuses is sent again, whole, once the key is free; everything else goes on."""
    story = watching()
    near, far = story["near"], story["far"]
    key = KEYS.screens("near", "far", ONE)
    story.redis.values[key] = b"in the way"
    screen = far.show("one", "new")
    near.looks_at("far")
    story.until(lambda: near.sees("far") == ["one"], SOON)
    assert near.screen("far", "one") != screen
    del story.redis.values[key]
    near.reads_screens[("far", ONE)] = 0
    story.until(lambda: near.screen("far", "one") == screen, HEALED)


@given(st.integers(0, 2**32), st.floats(0.1, 0.9))
@settings(max_examples=15, deadline=None)
def test_a_lossy_way_ends_with_the_same_screen(seed: int, loss: float) -> None:
    """Updates are lost, repeated and handed over in another order; what the watcher ends with is what is there."""
    story = watching(seed=seed)
    draw = random.Random(seed)
    kept: list[bytes] = []

    def way(blobs: list[bytes]) -> list[bytes]:
        kept.extend(blobs)
        found = [blob for blob in blobs if draw.random() > loss] + draw.sample(kept, min(2, len(kept)))
        draw.shuffle(found)
        return found

    story.screens_way = way
    rows = ["a", "b", "c", "d"]
    for number in range(30):
        rows[draw.randrange(4)] = str(number)
        height = draw.choice([4, 4, 4, 2])
        story["far"].show("one", *rows[:height])
        story.run(draw.choice([0.05, 0.2, 1.0]))
    story.screens_way = lambda blobs: blobs
    story.until(lambda: story["near"].screen("far", "one") == story["far"].shows[ONE], RENEW_EVERY + SOON)


SCREENS = st.lists(st.lists(st.sampled_from("abc"), max_size=5).map(tuple), min_size=1, max_size=12)


@given(SCREENS, st.randoms(use_true_random=False))
@settings(deadline=None)
def test_no_screen_is_shown_that_there_never_was(screens: list[tuple[str, ...]], draw: random.Random) -> None:
    """Each screen that a replica has is one that the owner had, and never an older one than before."""
    source, replica = ScreenSource(), ScreenReplica()
    sent: list[tuple[int, ScreenUpdate]] = []
    base = 0
    for number, rows in enumerate(screens, 1):
        source.take(LiveScreen(rows=rows), number)
        update = source.update(ONE, base)
        base = number if update.after is None else base
        sent.append((number, update))
    way = draw.sample(sent * 2, len(sent) * 2)
    last = 0
    for number, update in way:
        if replica.take("epoch", update) is Verdict.APPLIED:
            assert replica.screen is not None
            assert replica.screen.rows == screens[number - 1]
            assert number > last
            last = number
    replica.take("epoch", source.update(ONE, 0))
    assert replica.screen is not None
    assert replica.screen.rows == screens[-1]


def test_rows_that_add_up_are_bounded() -> None:
    """Many updates, each within the limits, make no screen that is over them."""
    replica = ScreenReplica()
    height = 400
    replica.take("e", ScreenUpdate(session_id=ONE, number=1, rows=dict.fromkeys(range(height), ""), height=height))
    for number in range(2, 30):
        rows = dict.fromkeys(range((number - 2) * 10, (number - 1) * 10), "x" * 8000)
        replica.take("e", ScreenUpdate(session_id=ONE, number=number, after=1, rows=rows, height=height))
    assert replica.screen is not None
    assert len(replica.screen.text) <= CHARS + height


# Rights, ends, and what nobody asked for.


def test_who_may_not_view_is_told_so() -> None:
    """The right is `view`; without it nothing is looked at, and the watcher's clients are told why."""
    story = Story("near", "far")
    near, far = story["near"], story["far"]
    far.allows(near=("message",))
    near.watches(("far", "one"))
    far.show("one", "secret")
    story.until(lambda: near.screen_end("far", "one") == "refused", SOON)
    assert far.watched_here == frozenset()
    [end] = [one for one in near.screens if isinstance(one, OutputEndFrame)]
    assert "view" in end.message


def test_a_right_that_is_taken_away_ends_the_watch() -> None:
    """At once, and not only with the next word of the watcher; another's watch goes on."""
    story = watching("third")
    near, far, third = story["near"], story["far"], story["third"]
    third.watches(("far", "one"))
    story.run(SOON)
    far.allows(**{"near": (), "*": ("view",)})
    screen = far.show("one", "for third alone")
    story.until(lambda: third.screen("far", "one") == screen, SOON)
    assert near.screen_end("far", "one") == "refused"


def test_the_end_of_a_session_is_told() -> None:
    """A screen that can be shown no more is told as that, and watched no more."""
    story = watching()
    story["far"].end_screen("one")
    story.until(lambda: story["near"].screen_end("far", "one") == "not_found", SOON)
    assert story["far"].watched_here == frozenset()


def test_a_screen_that_nobody_watches_is_not_shown() -> None:
    """What comes of a session that is watched no more, or never was, is dropped."""
    story = watching()
    near = story["near"]
    stream: Stream = story.redis.values[KEYS.screens("near", "far", ONE)]
    blobs = [value for _, value in stream.entries.values()]
    near.watches()
    near.reads_screens = {("far", ONE): 0}
    stream = Stream()
    for blob in blobs:
        stream.add("m", blob)
    story.redis.values[KEYS.screens("near", "far", ONE)] = stream
    shown = len(near.screens)
    story.run(SOON)
    assert len(near.screens) == shown
    assert near.node.context.drops.counts()["unasked"] == len(blobs)


def test_a_screen_lies_in_its_own_place() -> None:
    """One of another session, or of another computer, is not taken for the one that is watched."""
    story = watching("third")
    near, far, third = story["near"], story["far"], story["third"]
    for one in (near, third):
        one.watches(("far", "one"), ("far", "two"))
    far.show("two", "second")
    story.run(SOON)
    drops = near.node.context.drops.counts()
    assert drops["forged"] == 0
    two = make.session_id("two")
    for foreign in (KEYS.screens("near", "far", two), KEYS.screens("third", "far", ONE)):
        blob = list(story.redis.values[foreign].entries.values())[-1][1]
        story.redis.values[KEYS.screens("near", "far", ONE)].add("m", blob)
    story.run(SOON)
    assert near.node.context.drops.counts()["forged"] == 2
    assert near.screen("far", "one") == far.shows[ONE]


def test_an_old_screen_is_not_shown_again() -> None:
    """One that was kept is taken neither in the run of its owner nor in the next, nor by a watcher that is new."""
    story = watching()
    near, far = story["near"], story["far"]
    key = KEYS.screens("near", "far", ONE)
    kept = [value for _, value in story.redis.values[key].entries.values()]

    def replay() -> None:
        shown = len(near.screens)
        for blob in kept:
            story.redis.values.setdefault(key, Stream()).add("m", blob)
        story.run(SOON)
        assert near.screen("far", "one") == far.shows[ONE]
        assert all(one.screen == far.shows[ONE] for one in near.screens[shown:])  # type: ignore[union-attr]

    far.show("one", "new")
    story.run(SOON)
    replay()
    crash_owner(story)
    story.run(HEALED)
    replay()
    kept = [value for _, value in story.redis.values[key].entries.values()]
    far.show("one", "newer")
    near.crash()
    story.run(70.0)
    near.begin()
    story.until(lambda: near.status("far") == "online", HEALED)
    story.way = losing(KEYS.messages("far"))  # what is true comes only after what is old
    near.watches(("far", "one"))
    story.redis.values[key] = Stream()
    for blob in kept:
        story.redis.values[key].add("m", blob)
    story.run(SOON)
    assert near.screens == []
