"""A computer that is gone is not taken for live because somebody hears of it late. Over a real Redis."""

from __future__ import annotations

from teleclaude.sync.fleet.wire.messages import Heartbeat, Hello
from tests.make import computer
from tests.redis_process import RedisProcess
from tests.sync.fleet.conftest import MakeNode
from tests.sync.fleet.keyhole import PREFIX, put_message, raw, sealed
from tests.wait import until

KEY = f"{PREFIX}computer:{{gone}}:heartbeat"


def last_words() -> Heartbeat:
    """A heartbeat of a computer that does not beat any more."""
    return Heartbeat(beat=7, home="h", heads={}, info=computer("gone"))


def test_a_heartbeat_that_lay_in_redis_is_worth_what_is_left_of_it(server: RedisProcess, node: MakeNode) -> None:
    """Who comes late sees a computer offline when its lease runs out, and not a minute after he came."""
    raw(server, "SET", KEY, sealed(last_words(), sender="gone"), "PX", 3000)
    raw(server, "ZADD", f"{PREFIX}computers", 1, "gone")
    near = node("near")
    near.look()
    until(lambda: near.status("gone") == "online")
    until(lambda: near.status("gone") == "offline", 20)  # its lease would be 60 s


def test_a_greeting_that_waited_in_the_stream_is_no_sign_of_life(server: RedisProcess, node: MakeNode) -> None:
    """A greeting says where to look: where no heartbeat lies, nobody is."""
    put_message(server, "near", sealed(Hello(heartbeat=last_words()), sender="gone", recipient="near"))
    far, near = node("far"), node("near")
    near.look()
    until(lambda: near.status("far") == "online" and far.status("near") == "online")
    assert near.status("gone") == "absent"
