"""Interest: by client, computer and kind."""

from __future__ import annotations

from teleclaude.cache.interest import InterestTable


def test_interest_goes_with_the_client_that_had_it() -> None:
    """Each client that leaves changes the sum, not only the last one."""
    interest = InterestTable()
    assert interest.set("web", "one", [("raspi", "sessions")])
    assert interest.set("web", "two", [("raspi", "todos"), ("laptop", "sessions")])
    assert interest.computers() == {"laptop": ["sessions"], "raspi": ["sessions", "todos"]}
    assert interest.set("web", "two", [])
    assert interest.computers() == {"raspi": ["sessions"]}
    assert interest.set("web", "one", [])
    assert interest.computers() == {}


def test_interest_is_per_computer_and_kind() -> None:
    """Looking at one thing of one computer is no interest in another; "*" is in every one."""
    interest = InterestTable()
    interest.set("web", "one", [("raspi", "sessions")])
    assert interest.wants("raspi", "sessions")
    assert not interest.wants("raspi", "todos")
    assert not interest.wants("laptop", "sessions")
    interest.set("web", "one", [("*", "todos")])
    assert interest.wants("laptop", "todos")


def test_the_version_moves_only_with_the_sum() -> None:
    """A second client with the same interest changes nothing that others must hear of."""
    interest = InterestTable()
    interest.set("web", "one", [("raspi", "sessions")])
    at = interest.version
    assert not interest.set("web", "two", [("raspi", "sessions")])
    assert not interest.set("web", "one", [])
    assert interest.version == at


def test_a_web_process_that_is_gone_takes_all_its_clients_along() -> None:
    """Interest of clients whose connection process died does not stay."""
    interest = InterestTable()
    interest.set("old", "one", [("raspi", "sessions")])
    interest.set("old", "two", [("raspi", "todos")])
    interest.set("new", "one", [("laptop", "sessions")])
    assert interest.drop("old")
    assert interest.computers() == {"laptop": ["sessions"]}
