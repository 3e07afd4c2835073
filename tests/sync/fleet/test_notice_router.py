"""Notices go to the one computer where the user is, and to no other; stories with pure nodes."""

from __future__ import annotations

import msgspec

from teleclaude.core.requests import Outcome, Request
from teleclaude.core.settings import parse
from teleclaude.core.verbs import Notify
from teleclaude.sync.fleet.membership.heartbeat import BEAT_EVERY, LOOK_EVERY
from teleclaude.sync.fleet.node_events import SettingsChanged
from teleclaude.sync.fleet.notice_router import ANSWER_WITHIN, CAME_AFTER
from tests.sync.fleet.story import Played, Story

SOON = 2.0


def fleet() -> Story:
    """A server, and two computers at which people sit; each tells its user what it is asked to."""
    story = Story("server", "laptop", "desktop")
    for name in ("server", "laptop", "desktop"):
        one = story[name]
        one.answer = lambda request, one=one: tells(one, request)  # type: ignore[misc]  # it binds the loop's name
    story.run(LOOK_EVERY + 5.0)
    return story


def tells(one: Played, request: Request) -> Outcome:
    """Do what the verb does."""
    if isinstance(request.args, Notify):
        one.told += request.args.notices
    return Outcome(id=request.id, status="ok")


def told(story: Story) -> dict[str, list[str]]:
    """Titles of what each computer's user was told."""
    return {name: [notice.title for notice in story[name].told] for name in ("server", "laptop", "desktop")}


def test_it_is_told_where_the_last_key_came() -> None:
    """On another computer, by one message; nowhere else, and nobody's command ends by it."""
    story = fleet()
    story["laptop"].presses_key()
    story.run(3.0)
    story["server"].notices("one", "two")
    story.until(lambda: bool(story["laptop"].told), SOON)
    story.run(30.0)
    assert told(story) == {"server": [], "laptop": ["one", "two"], "desktop": []}
    assert story["server"].outcomes == {}


def test_the_user_goes_from_one_computer_to_another() -> None:
    """Who comes to a computer is known to all at once; who goes on typing, with each heartbeat."""
    story = fleet()
    story["laptop"].presses_key()
    story.run(CAME_AFTER)
    story["desktop"].presses_key()
    story.run(0.5)
    story["server"].notices("one")
    story.until(lambda: bool(story["desktop"].told), SOON)
    for _ in range(10):
        story["laptop"].presses_key()
        story.run(BEAT_EVERY / 4)
    story["server"].notices("two")
    story.until(lambda: bool(story["laptop"].told), SOON)
    assert told(story) == {"server": [], "laptop": ["two"], "desktop": ["one"]}


def test_who_sits_at_the_session_s_own_computer_is_told_there() -> None:
    """At once, and nothing is sent for it."""
    story = fleet()
    story["laptop"].presses_key()
    story.run(60.0)
    story["server"].presses_key()
    story.transcript.clear()
    story["server"].notices("one")
    assert told(story)["server"] == ["one"]
    assert not [line for line in story.transcript if "messages" in line]


def test_where_nobody_pressed_a_key_yet_it_is_told_at_home() -> None:
    """A command or a webhook of its own may reach the user."""
    story = fleet()
    story["server"].notices("one")
    story.run(SOON)
    assert told(story) == {"server": ["one"], "laptop": [], "desktop": []}


def test_a_computer_that_is_gone_is_not_where_the_user_is() -> None:
    """The next one is, whose key came before; and with no connection at all, the session's own, at once."""
    story = fleet()
    story["desktop"].presses_key()
    story.run(60.0)
    story["laptop"].presses_key()
    story.run(LOOK_EVERY + 1.0)  # all know it
    story["laptop"].leave()
    story.run(1.0)
    story["server"].notices("one")
    story.until(lambda: bool(story["desktop"].told), SOON)
    story.run(1.0)
    story["server"].is_cut = True
    story.run(5.0)
    story["server"].notices("two")
    assert told(story) == {"server": ["two"], "laptop": [], "desktop": ["one"]}


def test_what_does_not_arrive_is_told_at_home() -> None:
    """A computer that fell asleep a moment ago, and one that does not let others tell it anything."""
    story = fleet()
    story["laptop"].presses_key()
    story.run(1.0)
    story["laptop"].crash()
    story["server"].notices("one")
    story.until(lambda: bool(story["server"].told), ANSWER_WITHIN + SOON)
    story["desktop"].allows(server=())
    story["desktop"].presses_key()
    story.run(70.0)
    story["server"].notices("two")
    story.run(SOON)
    assert told(story) == {"server": ["one", "two"], "laptop": [], "desktop": []}


def test_what_leaves_is_what_is_shared() -> None:
    """By `[privacy] share`; at home all of it is told."""
    for share, title, text in (("state", "claude", ""), ("titles", "one", ""), ("all", "one", "Bash: ls")):
        story = fleet()
        server, laptop = story["server"], story["laptop"]
        settings = parse(f'[privacy]\nshare = "{share}"\n[fleet.allow]\n"*" = ["view"]\n')
        server.settings = msgspec.structs.replace(settings, computer=server.settings.computer)
        server.tell(_changed(server))
        laptop.presses_key()
        story.run(1.0)
        server.notices("one", text="Bash: ls", agent="claude")
        story.until(lambda laptop=laptop: bool(laptop.told), SOON)  # type: ignore[misc]  # as above
        assert [(notice.title, notice.text) for notice in laptop.told] == [(title, text)]


def _changed(one: Played) -> SettingsChanged:
    return SettingsChanged(one.settings)


def test_typing_costs_no_commands() -> None:
    """Beyond the one beat by which somebody comes, keys are told with the heartbeats that go anyway."""
    story = fleet()
    story["laptop"].presses_key()
    story.run(1.0)

    def beats() -> int:
        return sum("laptop: SET t:computer:{laptop}:heartbeat" in line for line in story.transcript)

    story.transcript.clear()
    for _ in range(60):
        story["laptop"].presses_key()
        story.run(1.0)
    assert beats() <= 60 / BEAT_EVERY + 1
