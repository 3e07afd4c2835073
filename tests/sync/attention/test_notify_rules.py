"""Rules by state, project, agent and time of day; who looks at a session is not told of it."""

from __future__ import annotations

import pytest

from teleclaude.core.client_places import TerminalClient
from teleclaude.core.notify_settings import NotifyRule
from teleclaude.core.session_notice import SessionNotice
from teleclaude.core.tmux_clients import AttachedClient
from teleclaude.sync.attention.lookers import LOOKS_FOR, is_on_screen, used_last
from teleclaude.sync.attention.notify_rules import is_quiet, matching

NOTICE = SessionNotice(
    computer="here", session_id="s1", state="waiting", agent="claude", project="/home/me/code/shop", pane="%3"
)


@pytest.mark.parametrize(
    ("rule", "matches"),
    [
        ({}, True),
        ({"states": ("error", "finished")}, False),
        ({"states": ()}, False),
        ({"agents": ("codex", "cl*")}, True),
        ({"agents": ("codex",)}, False),
        ({"computers": ("raspi",)}, False),
        ({"projects": ("~/code",)}, True),
        ({"projects": ("~/code/shop/",)}, True),
        ({"projects": ("/home/*/code/sh*",)}, True),
        ({"projects": ("~/code/sho",)}, False),
        ({"projects": ("~",)}, True),
        ({"projects": ("/",)}, True),
        ({"quiet": ("22:00-07:00",)}, True),
        ({"quiet": ("11:00-12:01",)}, False),
    ],
)
def test_a_rule_chooses(rule: dict[str, tuple[str, ...]], matches: bool) -> None:
    """By what it names; what it does not name is all the same to it."""
    found = NotifyRule(by="auto", **rule)  # type: ignore[arg-type]  # states are plain text here
    assert matching(found, [NOTICE], 12 * 60, "/home/me") == ([NOTICE] if matches else [])


def test_quiet_hours_go_over_midnight() -> None:
    """From the first minute, up to the last and not with it."""
    night = ["22:00-07:00"]
    assert [is_quiet(night, hour * 60) for hour in (21, 22, 0, 6, 7)] == [False, True, True, True, False]
    assert not is_quiet(["12:00-12:00"], 12 * 60)
    assert is_quiet(["08:00-09:00", "12:00-13:00"], 12 * 60 + 59)


def client(pane: str = "%3", last_key: int = 1000, shows: str = "") -> AttachedClient:
    """A client of tmux."""
    return AttachedClient("/dev/pts/1", "/dev/pts/1", last_key, "$1", pane, shows)


def test_a_session_on_somebodys_screen_is_seen() -> None:
    """In a tmux client with a recent key; not where nobody sits, and not another computer's pane of the same number."""
    assert is_on_screen(NOTICE, True, [client()], [], 1000.0 + LOOKS_FOR)
    assert not is_on_screen(NOTICE, True, [client()], [], 1001.0 + LOOKS_FOR)
    assert not is_on_screen(NOTICE, True, [client("%4")], [], 1000.0)
    assert not is_on_screen(NOTICE, False, [client()], [], 1000.0)
    assert is_on_screen(NOTICE, False, [client(shows="here/s1")], [], 1000.0)
    one = TerminalClient(tty="/dev/pts/2", last_key=1000.0, looks_at="here/s1")
    assert is_on_screen(NOTICE, True, [], [one], 1000.0)
    assert not is_on_screen(NOTICE, True, [], [TerminalClient(tty="/dev/pts/2", last_key=1000.0)], 1000.0)


def test_the_client_used_last_is_where_the_user_is() -> None:
    """Of tmux' clients and terminal clients together."""
    one = TerminalClient(tty="/dev/pts/2", last_key=1000.5)
    assert used_last([client()], [one]) == one
    assert used_last([client()], []) == client()
    assert used_last([], []) is None
