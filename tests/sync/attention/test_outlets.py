"""Each way to tell a person, with the real thing where it runs: a terminal, an HTTP server, programs on PATH."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import pty
import socket
import threading
import tty
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from teleclaude.core.notify_settings import NotifyRule
from teleclaude.core.session_notice import SessionNotice
from teleclaude.core.thread_group import ThreadGroup
from teleclaude.sync.attention import desktop, user_command, webhook
from teleclaude.sync.attention.desktop import Desktop, has_desktop
from teleclaude.sync.attention.outlets import WAITING, NotDelivered, Outlet
from teleclaude.sync.attention.screens import write_to
from teleclaude.sync.attention.user_command import run_command
from teleclaude.sync.attention.wording import Words, words_for
from tests.wait import until

ONE = SessionNotice(
    computer="here", session_id="ab12", state="waiting", title="<b>x</b> & $(touch x)", text="Bash: ls", agent="claude"
)
WORDS = words_for([ONE])[0]


# Outlets.


def test_an_outlet_that_hangs_keeps_the_newest_and_delays_nobody() -> None:
    """Putting never waits; what is too much drops the oldest; when it goes on, the rest comes in order."""
    gate, told = threading.Event(), list[str]()

    def deliver(words: Words) -> None:
        gate.wait(10)
        told.append(words.text)

    outlet = Outlet("x", deliver, ThreadGroup(), lambda: None)
    outlet.put(Words("t", "first", (ONE,)))
    until(lambda: not outlet._waiting)  # noqa: SLF001  (that the thread has taken it shows nowhere else)
    for number in range(WAITING + 5):
        outlet.put(Words("t", str(number), (ONE,)))
    gate.set()
    until(lambda: len(told) == WAITING + 1)
    assert told == ["first", *map(str, range(5, WAITING + 5))]
    outlet.stop()
    outlet.put(WORDS)


def test_what_goes_wrong_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    """In the log and as a trouble, until it goes well; an unforeseen error ends nothing."""
    caplog.set_level(logging.INFO)
    fails: list[Exception | None] = [NotDelivered("no way"), NotDelivered("no way"), None, KeyError("x")]
    troubles: list[str] = []

    def deliver(_: Words) -> None:
        error = fails.pop(0)
        if error:
            raise error

    outlet = Outlet("notify[0]", deliver, ThreadGroup(), lambda: troubles.append(outlet.trouble))
    for _ in range(4):
        outlet.put(WORDS)
    until(lambda: len(troubles) == 3)
    assert troubles == ["no way", "", "it failed in an unforeseen way: KeyError"]
    assert [line.getMessage() for line in caplog.records].count("notify[0]: no way") == 1
    outlet.stop()


# Programs.


def program(folder: Path, name: str, text: str) -> Path:
    """An executable shell script in a folder."""
    found = folder / name
    found.write_text(f"#!/bin/sh\n{text}\n")
    found.chmod(0o755)
    return found


def test_a_command_gets_words_by_environment_and_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No shell sees them; what only the daemon should know is not passed on."""
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/x")
    script = 'env >"$1/env"; cat >"$1/input"; echo "$#" >"$1/count"'
    run_command([str(program(tmp_path, "tell", script)), str(tmp_path)], WORDS)
    environ = (tmp_path / "env").read_text()
    assert f"TELECLAUDE_NOTIFY_TITLE={WORDS.title}\n" in environ
    assert "TELECLAUDE_NOTIFY_STATE=waiting\n" in environ
    assert "TELECLAUDE_NOTIFY_SESSION=ab12\n" in environ
    assert "NOTIFY_SOCKET=" not in environ
    assert json.loads((tmp_path / "input").read_text())["notices"][0]["title"] == ONE.title
    assert (tmp_path / "count").read_text() == "1\n"
    assert not (tmp_path / "x").exists()


def test_a_command_that_fails_or_hangs_is_told_and_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With its status and its words; one that takes too long is killed with all that it started."""
    with pytest.raises(NotDelivered, match="cannot be run: No such file"):
        run_command([str(tmp_path / "none")], WORDS)
    with pytest.raises(NotDelivered, match=r"ended with status 3: oh no"):
        run_command([str(program(tmp_path, "fails", "echo 'oh no' >&2; exit 3"))], WORDS)
    monkeypatch.setattr(user_command, "RUN_WITHIN", 0.3)
    hangs = program(tmp_path, "hangs", 'sleep 1000 & echo $! >"$1"; wait')
    with pytest.raises(NotDelivered, match="did not end within"):
        run_command([str(hangs), str(tmp_path / "pid")], WORDS)
    child = int((tmp_path / "pid").read_text())
    until(lambda: not Path(f"/proc/{child}").exists() or " Z " in Path(f"/proc/{child}/stat").read_text())


@pytest.fixture
def notify_send(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Gives a function that puts a `notify-send` on PATH; its arguments, one a line, are in the file it gives."""
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

    def made(script: str, *, takes_actions: bool = True) -> Path:
        words = "--action=NAME" if takes_actions else "--urgency"
        head = f'case $1 in --help) echo "{words}"; exit 0 ;; esac'
        program(tmp_path, "notify-send", f'{head}\nprintf "%s\\n" "$@" >>"{tmp_path}/shown"\n{script}')
        return tmp_path / "shown"

    return made


def test_the_desktop_shows_words_without_markup(notify_send: Callable[[str], Path]) -> None:
    """Urgent when it waits; nothing in the text is markup, an option or a command."""
    shown = notify_send("exit 0")
    Desktop(ThreadGroup()).show(Words("-x", WORDS.title, (ONE,)))
    until(lambda: shown.exists() and len(shown.read_text().splitlines()) == 7)
    lines = shown.read_text().splitlines()
    assert lines[:3] == ["--app-name=teleclaude", "--urgency=critical", "--category=im.received"]
    assert lines[-3:-1] == ["--", "-x"]
    assert lines[-1] == "◆ &lt;b&gt;x&lt;/b&gt; &amp; $(touch x) waits for an answer"


def test_a_click_opens_the_session(notify_send: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """What it prints when it is clicked opens that session; closed without a click, nothing."""
    opened: list[str] = []
    monkeypatch.setattr(desktop, "open_session", lambda words: opened.append(words.notices[0].session_id))
    shown = notify_send("echo open")
    Desktop(ThreadGroup()).show(WORDS)
    until(lambda: opened == ["ab12"])
    assert "--action=open=Open" in shown.read_text()
    notify_send("exit 0")
    group = ThreadGroup()
    Desktop(group).show(WORDS)
    assert group.join(10)
    assert opened == ["ab12"]


def test_notifications_that_nobody_clicks_do_not_pile_up(
    notify_send: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Only a few wait for a click; the others are shown all the same; those that wait are ended in time."""
    monkeypatch.setattr(desktop, "CLICK_WITHIN", 1.0)
    shown = notify_send(f'case "$*" in *--action*) echo $$ >>"{tmp_path}/pids"; sleep 1000 ;; esac')
    group = ThreadGroup()
    screen = Desktop(group)
    for _ in range(desktop.CLICKABLE + 3):
        screen.show(WORDS)
    until(lambda: shown.read_text().count("--app-name") == desktop.CLICKABLE + 3)
    assert shown.read_text().count("--action=open") == desktop.CLICKABLE
    assert group.join(20)
    pids = (tmp_path / "pids").read_text().split()
    assert len(pids) == desktop.CLICKABLE
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


def test_an_older_notify_send_knows_no_click(notify_send: Callable[..., Path]) -> None:
    """It is not asked for one, and a failure of it is told."""
    shown = notify_send("echo 'no bus' >&2; exit 1", takes_actions=False)
    with pytest.raises(NotDelivered, match="status 1: no bus"):
        Desktop(ThreadGroup()).show(WORDS)
    assert "--action" not in shown.read_text()


def test_a_desktop_is_there_when_something_could_show_it(notify_send: Callable[[str], Path], tmp_path: Path) -> None:
    """A display, and the program."""
    notify_send("exit 0")
    path = os.environ["PATH"]
    assert has_desktop({"WAYLAND_DISPLAY": "wayland-0", "PATH": path})
    assert not has_desktop({"PATH": path})
    assert not has_desktop({"DISPLAY": ":0", "PATH": str(tmp_path / "none")})


# Terminals.


def test_a_terminal_is_written_to_and_nothing_else_is(tmp_path: Path) -> None:
    """A terminal of ours; not a file, not one that is stopped."""
    master, slave = pty.openpty()
    tty.setraw(slave)
    name = os.ttyname(slave)
    write_to(name, b"\x1b]9; x\x07")
    assert os.read(master, 100) == b"\x1b]9; x\x07"
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", Path("/dev/null"), tmp_path / "none"):
        with pytest.raises(NotDelivered):
            write_to(str(path), b"x")
    assert (tmp_path / "file").read_text() == ""
    os.set_blocking(slave, False)

    def refusal() -> str:
        with contextlib.suppress(BlockingIOError):
            while os.write(slave, b"x" * 4096):  # nobody reads: as if it were stopped
                continue
        try:
            write_to(name, b"x")  # the kernel may just have moved some of it on
        except NotDelivered as error:
            return str(error)
        return ""

    assert "it is stopped" in until(refusal)
    os.close(slave)
    os.close(master)


# Webhooks.


class Received(BaseHTTPRequestHandler):
    """Keeps what is posted; the path says how to answer."""

    got: ClassVar[list[tuple[str, dict[str, str], bytes]]] = []

    def do_POST(self) -> None:  # noqa: N802  (http.server calls it so)
        """Answer with the status that the path ends with."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.got.append((self.path, dict(self.headers), body))
        self.send_response(int(self.path.rpartition("/")[2]))
        self.send_header("Location", "/stolen/200")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  (http.server calls it so)
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[tuple[str, list[tuple[str, dict[str, str], bytes]]]]:
    """An HTTP server: its address, and what came."""
    Received.got.clear()
    found = HTTPServer(("127.0.0.1", 0), Received)
    thread = threading.Thread(target=found.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{found.server_port}", Received.got
    found.shutdown()
    found.server_close()
    thread.join(5)


def test_a_webhook_gets_json_made_from_a_template(server: tuple[str, Any], tmp_path: Path) -> None:
    """As Telegram and Slack want it: whatever is in a text, it is one JSON text. The URL may be in a file."""
    address, got = server
    (tmp_path / "url").write_text(f"{address}/bot123:abc/sendMessage?x=1/200\n")
    rule = NotifyRule(by="webhook", url=f"@{tmp_path}/url", json={"chat_id": 7, "text": '{title}"\n{text}'})
    webhook.post(rule, WORDS)
    path, headers, body = got[0]
    assert path == "/bot123:abc/sendMessage?x=1/200"
    assert headers["Content-Type"] == "application/json"
    assert json.loads(body) == {"chat_id": 7, "text": f'{WORDS.title}"\n{WORDS.text}'}


def test_a_webhook_without_a_template_gets_text(server: tuple[str, Any]) -> None:
    """As ntfy takes it, with headers that are one line each, whatever is filled in."""
    address, got = server
    rule = NotifyRule(by="webhook", url=f"{address}/topic/200", headers={"Title": "{title}", "Tags": "x,{state}"})
    webhook.post(rule, WORDS)
    _, headers, body = got[0]
    assert body.decode() == f"{WORDS.title}\n{WORDS.text}"
    assert headers["Tags"] == "x,waiting"
    assert headers["Title"].startswith("=?utf-8?b?")


def test_a_webhook_that_refuses_is_told_without_its_secret(server: tuple[str, Any], tmp_path: Path) -> None:
    """The status and what to do; no redirect is followed; no error shows the URL."""
    address, got = server
    for status, says in ((404, "answered 404"), (302, "leads elsewhere"), (500, "answered 500")):
        with pytest.raises(NotDelivered, match=says) as error:
            webhook.post(NotifyRule(by="webhook", url=f"{address}/SECRET/{status}"), WORDS)
        assert "SECRET" not in f"{error.value!r} {error.value.__cause__!r}"
    assert [path for path, _, _ in got] == ["/SECRET/404", "/SECRET/302", "/SECRET/500"]
    with pytest.raises(NotDelivered, match="cannot be read: No such file"):
        webhook.post(NotifyRule(by="webhook", url=f"@{tmp_path}/SECRET"), WORDS)
    (tmp_path / "wrong").write_text("gopher://SECRET")
    with pytest.raises(NotDelivered, match="must be http") as error:
        webhook.post(NotifyRule(by="webhook", url=f"@{tmp_path}/wrong"), WORDS)
    assert "SECRET" not in str(error.value)


def test_a_webhook_that_does_not_end_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that nobody answers, and one that answers a byte at a time for ever."""
    monkeypatch.setattr(webhook, "POST_WITHIN", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        is_over = threading.Event()

        def drip() -> None:
            connection, _ = listener.accept()
            with connection:
                while not is_over.wait(0.05):
                    try:
                        connection.sendall(b"H")
                    except OSError:
                        return

        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        with pytest.raises(NotDelivered, match="no answer"):
            webhook.post(NotifyRule(by="webhook", url=f"http://127.0.0.1:{port}/"), WORDS)
        is_over.set()
        thread.join(5)
    with pytest.raises(NotDelivered, match="refused"):
        webhook.post(NotifyRule(by="webhook", url=f"http://127.0.0.1:{port}/"), WORDS)
