"""tmux' own client protocol, as far as one command and its answer need it. Pure: bytes in, bytes out.

A client says who it is, gives one command (a list of arguments), feeds it standard input when asked, takes what it
prints, and is told the exit status. So a look at all panes costs neither a fork nor a session of our own, and
leaves no trace. Checked against tmux 3.3a with strace; the layout is that of tmux-protocol.h, protocol 8, which is
that of tmux 3.2 to 3.5. A server of another protocol says so (`OtherProtocol`), and its caller forks instead.

What must live here: message layouts, and what follows on what. What this module must not know: sockets.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from teleclaude.core.errors import PeerError, TooLarge

PROTOCOL = 8
MESSAGE_LIMIT = 16384  # bytes, header included; tmux drops the client beyond it
_CHUNK = 8192
_HEADER = struct.Struct("=IHHII")  # type, length with header, flags, protocol, process (-1)
_NOBODY = 0xFFFFFFFF
_HAS_FILE = 1  # message flag: a descriptor goes with it
_UTF8, _CONTROL = 0x10000, 0x2000  # client flags
_INT = struct.Struct("=i")
_LONG = struct.Struct("=Q")
_TWO = struct.Struct("=ii")

_OTHER_VERSION = 12
_FLAGS, _TERM, _TTY, _DONE, _PID, _CWD, _FEATURES, _LONG_FLAGS = 100, 101, 102, 106, 107, 108, 109, 111
_STDIN, _STDOUT = 104, 110
_COMMAND, _EXIT, _SHUTDOWN = 200, 203, 210
_READ_OPEN, _READ, _READ_DONE, _WRITE_OPEN, _WRITE, _WRITE_READY = 300, 301, 302, 303, 304, 305
_STDERR = 2
_EBADF = 9


class OtherProtocol(PeerError):
    """The server speaks another protocol than this module."""


class Broken(PeerError):
    """The server ended the conversation before its answer."""


@dataclass(frozen=True)
class Answer:
    """What a command printed, and whether it succeeded. `error` is its complaint when it did not."""

    ok: bool
    output: bytes
    error: str = ""


class Conversation:
    """One command to a tmux server. `data` is its standard input."""

    def __init__(self, data: bytes = b"") -> None:
        self._input = data
        self._buffer = bytearray()
        self._streams: dict[int, int] = {}
        self._printed = {1: bytearray(), _STDERR: bytearray()}
        self.answer: Answer | None = None

    def opening(self, args: list[bytes], pid: int) -> bytes:
        """Bytes that begin the conversation. Raises TooLarge for arguments that tmux would not take."""
        who = [
            _message(_FLAGS, _INT.pack(_UTF8)),
            _message(_LONG_FLAGS, _LONG.pack(_UTF8)),
            _message(_TERM, b"dumb\0"),
            _message(_FEATURES, _INT.pack(0)),
            _message(_TTY, b"\0"),
            _message(_CWD, b"/\0"),
            _message(_PID, _INT.pack(pid)),
            _message(_DONE, b""),
        ]
        return b"".join(who) + _command(args)

    def receive_data(self, data: bytes) -> bytes:
        """Take bytes of the server, give those to send. `answer` is set when it is complete.

        Raises PeerError for what is no message, OtherProtocol, and Broken when `data` is empty (end of file) before
        the answer.
        """
        if not data and self.answer is None:
            raise Broken("tmux ended the conversation before its answer")
        self._buffer += data
        to_send = b""
        while self.answer is None and len(self._buffer) >= _HEADER.size:
            kind, length, _, protocol, _ = _HEADER.unpack_from(self._buffer)
            if not _HEADER.size <= length <= MESSAGE_LIMIT:
                raise PeerError(f"tmux sent a message of {length} bytes")
            if kind == _OTHER_VERSION or protocol & 0xFF != PROTOCOL:
                raise OtherProtocol(f"tmux speaks protocol {protocol & 0xFF}, not {PROTOCOL}")
            if len(self._buffer) < length:
                break
            body = bytes(self._buffer[_HEADER.size : length])
            del self._buffer[:length]
            to_send += self._receive(kind, body)
        return to_send

    def _receive(self, kind: int, body: bytes) -> bytes:
        try:
            return self._act(kind, body)
        except struct.error as error:
            raise PeerError(f"tmux sent a message {kind} of {len(body)} bytes") from error

    def _act(self, kind: int, body: bytes) -> bytes:
        match kind:
            case n if n == _WRITE_OPEN:
                stream, fd = _TWO.unpack_from(body)
                self._streams[stream] = fd
                return _message(_WRITE_READY, _TWO.pack(stream, 0 if fd in self._printed else _EBADF))
            case n if n == _WRITE:
                (stream,) = _INT.unpack_from(body)
                fd = self._streams.get(stream, 1)
                self._printed[fd if fd in self._printed else 1] += body[_INT.size :]
            case n if n == _READ_OPEN:
                stream, fd = _TWO.unpack_from(body)
                return self._feed(stream) if fd == 0 else _message(_READ_DONE, _TWO.pack(stream, _EBADF))
            case n if n == _EXIT:
                self._finish(_INT.unpack_from(body)[0] if body else 0)
            case n if n == _SHUTDOWN:
                raise Broken("the tmux server is shutting down")
            case _:
                pass  # READY, FLAGS, closed streams: nothing to do
        return b""

    def _feed(self, stream: int) -> bytes:
        head = _INT.pack(stream)
        chunks = [self._input[at : at + _CHUNK] for at in range(0, len(self._input), _CHUNK)]
        return b"".join(_message(_READ, head + chunk) for chunk in chunks) + _message(_READ_DONE, _TWO.pack(stream, 0))

    def _finish(self, status: int) -> None:
        output, complaint = bytes(self._printed[1]), bytes(self._printed[_STDERR])
        error = "" if status == 0 else (complaint or output).decode("utf-8", "replace").strip() or f"status {status}"
        self.answer = Answer(status == 0, output, error)


def control_opening(args: list[bytes], pid: int) -> tuple[bytes, bytes]:
    """Bytes that begin a conversation as a control client; the first goes with its input's descriptor, the second with
    its output's, each in one sendmsg(2).

    The client is a control client only by the second piece, which the server reads and acts on in one go: tmux (3.3a;
    the code is older) writes to a client from the moment its flags say "control", through what it makes only when the
    client is done saying who it is. If a session comes in between, or the client goes, the server dies of it, with
    all sessions. `tmux -C` itself takes that risk, in twenty writes.
    """
    first = [
        _message(_TERM, b"dumb\0"),
        _message(_FEATURES, _INT.pack(0)),
        _message(_TTY, b"\0"),
        _message(_CWD, b"/\0"),
        _message(_PID, _INT.pack(pid)),
        _message(_STDIN, b"", flags=_HAS_FILE),
    ]
    second = [
        _message(_STDOUT, b"", flags=_HAS_FILE),
        _message(_LONG_FLAGS, _LONG.pack(_UTF8 | _CONTROL)),
        _message(_DONE, b""),
        _command(args),
    ]
    return b"".join(first), b"".join(second)


def says_end(data: bytes) -> bool:
    """Tell whether the server, in what it sends to a control client, asks the client to go."""
    at = 0
    while at + _HEADER.size <= len(data):
        kind, length, *_ = _HEADER.unpack_from(data, at)
        if kind in {_EXIT, _SHUTDOWN, _OTHER_VERSION} or length < _HEADER.size:
            return True
        at += length
    return False


def _command(args: list[bytes]) -> bytes:
    return _message(_COMMAND, _INT.pack(len(args)) + b"".join(arg + b"\0" for arg in args))


def _message(kind: int, body: bytes, *, flags: int = 0) -> bytes:
    length = _HEADER.size + len(body)
    if length > MESSAGE_LIMIT:
        raise TooLarge(f"a tmux command of {length} bytes is over its limit of {MESSAGE_LIMIT}")
    return _HEADER.pack(kind, length, flags, PROTOCOL, _NOBODY) + body
