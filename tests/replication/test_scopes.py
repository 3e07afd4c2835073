"""Parts of a source over a connection that keeps order: what is taken, and where each part stands."""

from __future__ import annotations

from teleclaude.replication.scopes import Scopes
from teleclaude.replication.version import Version


def known() -> Scopes[str]:
    """Two scopes, of which one is older."""
    scopes: Scopes[str] = Scopes("e")
    assert scopes.replace("a", Version("e", 5))
    assert scopes.replace("b", Version("e", 9))
    return scopes


def test_a_change_is_taken_only_where_there_was_a_snapshot() -> None:
    """A scope without one, another epoch and an older number are left out."""
    scopes = known()
    taken = [scopes.apply("a", Version(*at)) for at in (("e", 6), ("e", 6), ("e", 5), ("f", 7))]
    assert taken == [True, True, False, False]
    assert not scopes.apply("c", Version("e", 10))
    assert dict(scopes.numbers) == {"a": 6, "b": 9}


def test_an_older_snapshot_is_left_out() -> None:
    """Neither an older one nor one of another epoch replaces what is here."""
    scopes = known()
    assert not scopes.replace("b", Version("e", 8))
    assert not scopes.replace("b", Version("f", 10))


def test_what_is_missing_begins_at_the_oldest() -> None:
    """All scopes reach a number together, and none goes back to it."""
    scopes = known()
    assert scopes.oldest == Version("e", 5)
    scopes.reach(7)
    assert dict(scopes.numbers) == {"a": 7, "b": 9}


def test_another_epoch_knows_nothing() -> None:
    """Numbers of another life are no numbers of this one."""
    scopes = known()
    assert not scopes.enter("e")
    assert scopes.enter("f")
    assert not scopes.numbers
