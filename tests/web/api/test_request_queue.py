"""Requests on their way to the sync process: each runs at most once, and never late."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleclaude.core.errors import OutcomeUnknown, Unavailable
from teleclaude.core.framing import FrameReader
from teleclaude.core.request_wire import RunFrame, frame_to_asker
from teleclaude.core.requests import Request
from teleclaude.core.verbs import Message, Refresh
from teleclaude.web.api.request_queue import BYTES_LIMIT, REQUESTS_LIMIT, RequestQueue


def request(name: str, deadline: float = 10.0, text: str = "") -> Request:
    """A request that matters only by its name."""
    args = Message(session_id="s", text=text) if text else Refresh()
    return Request(id=name, computer="here", args=args, deadline=deadline)


def sent(queue: RequestQueue, asker: int, now: float = 1.0) -> list[str]:
    """Ids of what an asker is sent now."""
    frames = [frame_to_asker(payload) for payload in FrameReader().receive_data(queue.to_send(asker, now))]
    return [frame.request.id for frame in frames if isinstance(frame, RunFrame)]


def test_a_request_is_sent_once() -> None:
    """The asker is sent each request once, and whoever waits gets the outcome, or learns that nobody knows it."""
    queue = RequestQueue()
    queue.submit(request("r1"))
    asker = queue.new_asker()
    assert sent(queue, asker) == ["r1"]
    assert sent(queue, asker) == []
    queue.receive_taken(asker, "r1")
    assert isinstance(queue.end("r1"), OutcomeUnknown)
    assert len(queue) == 0


def test_what_the_dead_did_not_take_goes_to_the_next() -> None:
    """A killed sync process takes nothing with it but what it had begun to run; that has an unknown outcome."""
    queue = RequestQueue()
    old = queue.new_asker()
    for name in ("taken", "sent", "waiting"):
        queue.submit(request(name))
        if name != "waiting":
            assert sent(queue, old) == [name]
    queue.receive_taken(old, "taken")
    assert queue.lose_asker(old) == ["taken"]
    new = queue.new_asker()
    assert sent(queue, new) == ["sent", "waiting"]
    assert isinstance(queue.end("taken"), OutcomeUnknown)


def test_a_newer_asker_retires_the_older() -> None:
    """The older is sent nothing any more, and what it was sent is the newer's only once the older is cut off."""
    queue = RequestQueue()
    old = queue.new_asker()
    queue.submit(request("r1"))
    assert sent(queue, old) == ["r1"]
    new = queue.new_asker()
    queue.submit(request("r2"))
    assert sent(queue, old) == []
    assert sent(queue, new) == ["r2"]
    queue.receive_taken(old, "r1")  # said before it was cut off
    assert queue.lose_asker(old) == ["r1"]
    assert sent(queue, new) == []


def test_a_late_request_is_not_sent_and_did_not_run() -> None:
    """What nobody took until its deadline ends as not run."""
    queue = RequestQueue()
    queue.submit(request("late", 5.0))
    queue.submit(request("good", 50.0))
    assert sent(queue, queue.new_asker(), now=5.0) == ["good"]
    error = queue.end("late")
    assert type(error) is Unavailable
    assert "did not run" in error.message


def test_what_waits_is_bounded_in_number_and_bytes() -> None:
    """When nobody takes requests, the next one is refused with a reason; room comes back as they end."""
    queue = RequestQueue()
    for number in range(REQUESTS_LIMIT):
        queue.submit(request(str(number)))
    with pytest.raises(Unavailable, match="does not keep up"):
        queue.submit(request("one more"))
    for number in range(REQUESTS_LIMIT):
        queue.end(str(number))
    long = "x" * (256 * 1024)
    most = BYTES_LIMIT // len(long) - 1
    for number in range(most):
        queue.submit(request(str(number), text=long))
    with pytest.raises(Unavailable, match="does not keep up"):
        queue.submit(request("one more", text=long + long))
    asker = queue.new_asker()
    assert len(sent(queue, asker)) == most
    for number in range(most):
        queue.receive_taken(asker, str(number))
    queue.submit(request("one more", text=long + long))


@given(st.lists(st.tuples(st.sampled_from(["submit", "send", "take", "lose", "come"]), st.integers(0, 3))))
def test_no_request_is_taken_twice(steps: list[tuple[str, int]]) -> None:
    """Whatever askers come and go in whatever order, one asker at most takes a request, and only when it was sent."""
    queue = RequestQueue()
    askers = [queue.new_asker()]
    at: dict[int, set[str]] = {askers[0]: set()}  # what lies at an asker that lives
    taken: list[str] = []
    for number, (step, which) in enumerate(steps):
        asker = askers[-1 - which % len(askers)]
        match step:
            case "submit":
                queue.submit(request(str(number)))
            case "send" if asker in at:
                at[asker].update(sent(queue, asker))
            case "take" if at.get(asker):
                name = at[asker].pop()
                queue.receive_taken(asker, name)
                taken.append(name)
            case "lose":
                at.pop(asker, None)
                queue.lose_asker(asker)
            case "come":
                askers.append(queue.new_asker())
                at[askers[-1]] = set()
            case _:
                pass
    assert len(taken) == len(set(taken))
