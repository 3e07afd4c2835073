"""What goes between the web process and the sync process: requests, interest and what is watched there; outcomes,
screens and counters back.

The sync process connects to the web process, and says which run of it this is; it is the *asker* from then on. A
newer asker retires the older. Rules for requests, which make that each runs at most once:

- The web process keeps a request until an asker says that it takes it. The asker says so before it runs it, and runs
  nothing of which it could not say so: what was sent and not taken has not run, and is sent to the next asker.
- What was taken and not answered when the connection ends, or at its deadline, has an outcome that nobody knows.
- An asker takes nothing whose deadline has passed.

Frames are msgpack, each with its length before it (core/framing.py).
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from teleclaude.core.framing import framed
from teleclaude.core.live_screen import LiveScreen
from teleclaude.core.records import Kind
from teleclaude.core.requests import Outcome, Request

LIMIT = 16 * 1024 * 1024  # bytes of one frame; the longest hold a message or a screen


class _RequestFrame(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """A frame between the two."""


class RunFrame(_RequestFrame, frozen=True, tag="R"):
    """To the asker: a request to take and to run."""

    request: Request


class InterestFrame(_RequestFrame, frozen=True, tag="I"):
    """To the asker: all that clients look at, a computer's name or "*" to kinds. It replaces what was said before."""

    interest: dict[str, list[Kind]]


class WatchFrame(_RequestFrame, frozen=True, tag="W"):
    """To the asker: all sessions that clients watch, as (computer, session id). It replaces what was said before."""

    watched: list[tuple[str, str]]


class AskCountersFrame(_RequestFrame, frozen=True, tag="Q"):
    """To the asker: tell the counters."""


class AskerFrame(_RequestFrame, frozen=True, tag="A"):
    """From the asker, first: which run of the sync process it is."""

    run: str


class TakenFrame(_RequestFrame, frozen=True, tag="K"):
    """From the asker: it runs this request now."""

    request_id: str


class OutcomeFrame(_RequestFrame, frozen=True, tag="O"):
    """From the asker: how a request ended."""

    outcome: Outcome


class OutputFrame(_RequestFrame, frozen=True, tag="T"):
    """From the asker: the screen of a watched session."""

    computer: str
    session_id: str
    screen: LiveScreen


class OutputEndFrame(_RequestFrame, frozen=True, tag="E"):
    """From the asker: nothing more comes of a watched session. `code` and `message`: an error of core/errors.py."""

    computer: str
    session_id: str
    code: str
    message: str


class CountersFrame(_RequestFrame, frozen=True, tag="N"):
    """From the asker: what it counted since its start, by name."""

    counters: dict[str, int]


WatchedFrame: TypeAlias = OutputFrame | OutputEndFrame
ToAsker: TypeAlias = RunFrame | InterestFrame | WatchFrame | AskCountersFrame
FromAsker: TypeAlias = AskerFrame | TakenFrame | OutcomeFrame | WatchedFrame | CountersFrame

_encoder = msgspec.msgpack.Encoder()
_to_asker: msgspec.msgpack.Decoder[ToAsker] = msgspec.msgpack.Decoder(ToAsker)
_from_asker: msgspec.msgpack.Decoder[FromAsker] = msgspec.msgpack.Decoder(FromAsker)


def to_bytes(frame: ToAsker | FromAsker) -> bytes:
    """Encode a frame, its length before it."""
    return framed(_encoder.encode(frame))


def frame_to_asker(payload: bytes) -> ToAsker:
    """Read a frame that the web process sent. Raises msgspec.ValidationError or msgspec.DecodeError."""
    return _to_asker.decode(payload)


def frame_from_asker(payload: bytes) -> FromAsker:
    """Read a frame that an asker sent. Raises msgspec.ValidationError or msgspec.DecodeError."""
    return _from_asker.decode(payload)
