"""What is looked for among sessions: words in, those that fit out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from teleclaude.core.errors import InvalidField
from teleclaude.core.records import Ask, Project, Session
from teleclaude.core.session_query import LIMIT, read_query, search_text
from tests.make import session

SHOP = Project(computer="raspi", path="/home/me/shop", name="Shop", branch="feature/Login")
FOUND = replace(
    session("a", "raspi", status="waiting"),
    title="Mend the log-in form",
    agent="codex",
    project=SHOP.path,
    cwd="/home/me/shop/web",
    last_prompt="why does 12:30 fail? see http://x/y",
    asks=Ask(kind="approval", tool="Bash", text="rm -r build"),
)


def fits(query: str, of: Session = FOUND) -> bool:
    return read_query(query).fits(search_text(of, SHOP))


@pytest.mark.parametrize(
    "query",
    [
        "", " ", "mend", "Mend", "log-in form", '"log-in form"', "feature/login", "raspi", "shop web",
        "rm",
        "@waiting", "@wait", "@WAIT", "@error,waiting", "agent:codex", "agent:claude,codex", "on:rasp", "in:shop",
        "in:Shop",
        "branch:login", 'title:"the log"', "dir:web", "-idle", "-@idle", "-on:laptop", "@waiting -agent:claude",
        "12:30", "http://x/y", "@", "agent:", "-", "-@", "-agent:", '"log-in fo', "bash",
    ],
)  # fmt: skip
def test_fits(query: str) -> None:
    """Each word is found where it may be; one that is just begun excludes nothing."""
    assert fits(query)


@pytest.mark.parametrize(
    "query",
    [
        "mendx", "MEND", "Raspi", "mend @idle", "agent:claude", "on:laptop", "branch:Main", "title:shop", "-mend",
        "-@wait",
        "-agent:codex", '"form log-in"', "@idle,error", "mend -raspi",
    ],
)  # fmt: skip
def test_does_not_fit(query: str) -> None:
    """All words must fit; capitals count; what is excluded is out."""
    assert not fits(query)


def test_state_that_is_none_is_said_to_be_none() -> None:
    """A typing error gives no empty list that looks like an answer."""
    with pytest.raises(InvalidField, match=r"@wating.*waiting"):
        read_query("@wating")


def test_line_is_bounded() -> None:
    """Nobody has the daemon search for a book."""
    with pytest.raises(InvalidField, match="at most"):
        read_query("x" * (LIMIT + 1))


@given(st.text(max_size=60))
def test_any_line_is_read_or_refused_in_words(text: str) -> None:
    """No line raises anything else."""
    try:
        read_query(text).fits(search_text(FOUND, None))
    except InvalidField:
        assert "@" in text
