"""What other computers get of a session is what `[privacy] share` says."""

from __future__ import annotations

import msgspec
import pytest

from teleclaude.core.records import Ask, Project, Session, Tmux
from teleclaude.core.requests import Outcome
from teleclaude.core.settings import parse
from teleclaude.core.verbs import Output
from teleclaude.replication.change import Change
from teleclaude.replication.version import Version
from teleclaude.sync.fleet.owner.permissions import hides_screens, why_refused
from teleclaude.sync.fleet.sharing import Sharing

ASK = Ask(kind="approval", tool="Bash", text="SECRET command", choices=("SECRET",), id="pipe", answered="sent")
ROW = Session(
    session_id="a" * 16, computer="here", title="SECRET title", agent="claude", status="waiting", asks=ASK,
    last_prompt="SECRET prompt", last_answer="SECRET answer",
    tmux=Tmux(name="n", session="$1", window="@1", pane="%1"),
)  # fmt: skip


def shared(share: str, more: str = "") -> Session:
    """The row as others get it."""
    found = Sharing(parse(f'[privacy]\nshare = "{share}"\n{more}')).record(ROW)
    assert isinstance(found, Session)
    return found


@pytest.mark.parametrize(
    ("share", "title", "prompt", "ask"),
    [
        ("state", "claude", "", Ask(kind="approval", tool="Bash", answered="sent")),
        ("titles", "SECRET title", "", Ask(kind="approval", tool="Bash", answered="sent")),
        ("all", "SECRET title", "SECRET prompt", ASK),
    ],
)
def test_what_a_row_holds(share: str, title: str, prompt: str, ask: Ask) -> None:
    """No more than it says; the status, and of what kind a question is, always."""
    row = shared(share)
    assert (row.title, row.last_prompt, row.asks, row.status) == (title, prompt, ask, "waiting")
    assert ("SECRET answer" in repr(row)) == (share == "all")


def test_the_default_is_titles() -> None:
    """Who sets nothing shares titles, and no word of what is said."""
    assert Sharing(parse("")).record(ROW) == shared("titles")
    assert Sharing(parse("")) == Sharing(parse('[privacy]\nshare = "titles"\n'))
    assert Sharing(parse("")) != Sharing(parse('[privacy]\nshare = "all"\n'))


def test_changes_and_answers_pass_too() -> None:
    """A row leaves in a change, and in the answer of a request: neither tells more than a record does."""
    sharing = Sharing(parse('[privacy]\nshare = "state"\n'))
    project = Project(computer="here", path="/p", name="SECRET")
    change = sharing.change(Change(Version("e", 2), 1, {"a": ROW, "b": None, "p": project}))
    assert change.rows == {"a": sharing.record(ROW), "b": None, "p": project}
    outcome = Outcome(id="x", status="ok", data={"session": msgspec.to_builtins(ROW), "delivery": "typed"})
    told = sharing.outcome(outcome).data
    assert "SECRET" not in repr(told)
    assert (told["session"]["session_id"], told["delivery"]) == (ROW.session_id, "typed")
    assert sharing.outcome(Outcome(id="x", status="error")).data == {}


def test_no_screens_where_only_the_state_is_shared() -> None:
    """A screen shows all that a title does, and more."""
    args = Output(session_id="a")
    assert why_refused(parse(""), "here", "beta", args) == ""
    settings = parse('[privacy]\nshare = "state"\n')
    assert hides_screens(settings)
    assert "privacy.share" in why_refused(settings, "here", "beta", args)
