"""Interest: by client, computer and kind."""

from __future__ import annotations

from collections.abc import Callable, Hashable

from teleclaude.core.records import Kind
from teleclaude.web.push.client_interest import ClientInterest
from teleclaude.web.push.hub import Client


class _Nowhere:
    def __init__(self) -> None:
        self.sending: list[Callable[[bytes], int]] = [len]

    def not_sent(self, data: bytes, error: OSError) -> None:
        """Drop it."""

    def sent_partly(self, data: bytes, size: int) -> None:
        """Drop the rest."""

    def push(self, data: bytes) -> None:
        """Drop an event."""

    def push_state(self, data: bytes) -> None:
        """Drop a state."""

    def push_newest(self, place: Hashable, make: Callable[[], bytes]) -> None:
        """Drop a screen."""

    def forget_newest(self, place: Hashable) -> None:
        """Nothing waits."""

    def restart(self) -> None:
        """Nothing waits."""


def looks(interest: ClientInterest, name: str, *wants: tuple[str, Kind]) -> bool:
    """Let a client look at these, and at nothing else; whether the sum changed."""
    client = Client(name, _Nowhere())
    client.interest = frozenset(wants)
    return interest.note(client)


def test_interest_goes_with_the_client_that_had_it() -> None:
    """Each client that leaves changes the sum, not only the last one."""
    interest = ClientInterest()
    assert looks(interest, "one", ("raspi", "sessions"))
    assert looks(interest, "two", ("raspi", "todos"), ("laptop", "sessions"))
    assert interest.total() == {"laptop": ["sessions"], "raspi": ["sessions", "todos"]}
    assert looks(interest, "two")
    assert interest.total() == {"raspi": ["sessions"]}
    assert looks(interest, "one")
    assert interest.total() == {}


def test_only_a_change_of_the_sum_is_told() -> None:
    """A second client with the same interest, or one of two that leaves, changes nothing that others must hear of."""
    interest = ClientInterest()
    assert looks(interest, "one", ("raspi", "sessions"))
    assert not looks(interest, "two", ("raspi", "sessions"))
    assert not looks(interest, "one")
    assert not looks(interest, "one")
    assert interest.total() == {"raspi": ["sessions"]}
    assert looks(interest, "two", ("raspi", "todos"))
    assert interest.total() == {"raspi": ["todos"]}
