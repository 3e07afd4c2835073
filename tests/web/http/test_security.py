"""Who may come in: tokens, Hosts and Origins on TCP; permissions and planted things at the socket's place."""

from __future__ import annotations

import contextlib
import http.client
import shutil
import signal
import socket
import ssl
import stat
import subprocess
from pathlib import Path

import gevent
import gevent.socket
import gevent.ssl
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from teleclaude.core.errors import NotFound, Refused, SettingsError
from teleclaude.core.settings import ApiSettings
from teleclaude.web.http import tls as tls_module
from teleclaude.web.http.head import Head
from teleclaude.web.http.listeners import bind_unix
from teleclaude.web.http.security import Gate, Tokens, gate_for_tcp, tokens_file
from teleclaude.web.http.tls import Certificate
from tests.wait import until
from tests.web.daemon import LOCAL, Daemon, session
from tests.web.raw_http import connected


def head(**headers: str) -> Head:
    return Head("GET", "/sessions", 1, {"host": "127.0.0.1:8420", **headers})


@pytest.fixture
def tokens(tmp_path: Path) -> Tokens:
    """No token yet."""
    return Tokens(tmp_path / "state" / "tokens.json")


def test_only_a_whole_valid_token_is_accepted(tokens: Tokens, tmp_path: Path) -> None:
    """Wrong, cut, prolonged, revoked and expired ones are not; the file holds hashes and is private."""
    good, brief = tokens.add("a"), tokens.add("b", days=1)
    gate = gate_for_tcp(ApiSettings(tcp="127.0.0.1:8420"), tokens)

    def is_refused(authorization: str, now: float = 0.0) -> bool:
        return gate.refusal(head(authorization=authorization), now) is not None

    assert not is_refused(f"Bearer {good}")
    assert not is_refused(f"bearer {brief}")
    for wrong in ("", good, "Bearer ", f"Bearer {good[:-1]}", f"Bearer {good}x", f"Basic {good}", "Bearer \xff\udcff"):
        assert is_refused(wrong)
    assert is_refused(f"Bearer {brief}", now=1e12)
    tokens.revoke("a")
    assert is_refused(f"Bearer {good}")
    with pytest.raises(NotFound):
        tokens.revoke("a")
    stored = tmp_path / "state" / "tokens.json"
    assert brief.encode() not in stored.read_bytes()
    assert stat.S_IMODE(stored.stat().st_mode) == 0o600
    assert gate.refusal(head(), 0).status == 401  # type: ignore[union-attr]


def test_a_broken_tokens_file_lets_nobody_in(tokens: Tokens, tmp_path: Path) -> None:
    """Junk, the wrong shape, nothing there."""
    good = tokens.add("a")
    for junk in (b"", b"{}", b'[{"name": "a"}]', b"\xff"):
        (tmp_path / "state" / "tokens.json").write_bytes(junk)
        assert not tokens.accept(good, 0)
    (tmp_path / "state" / "tokens.json").unlink()
    assert not tokens.accept(good, 0)
    assert not tokens.accept("", 0)


def test_hosts_and_origins_are_compared_whole(tokens: Tokens) -> None:
    """No suffix, no pattern, no look-alike; the own address is allowed, and what the settings say."""
    bearer = f"Bearer {tokens.add('a')}"
    api = ApiSettings(tcp="127.0.0.1:8420", hosts=("My.host",), origins=("https://ui.example",))
    gate = gate_for_tcp(api, tokens)

    def status(**headers: str) -> int:
        found = gate.refusal(head(authorization=bearer, **headers), 0)
        return found.status if found else 200

    for host in ("127.0.0.1:8420", "localhost:8420", "my.host"):
        assert status(host=host) == 200
    for host in ("", "evil.example", "127.0.0.1", "127.0.0.1:8420.evil", "my.host.evil", "xmy.host", "127.0.0.1:8421"):
        assert status(host=host) == 403
    for origin in ("https://ui.example", "http://localhost:8420"):
        assert status(origin=origin) == 200
    for origin in (
        "null",
        "",
        "https://ui.example.evil",
        "http://ui.example",
        "https://ui.example/",
        "https://u\u0131.example",
    ):
        assert status(origin=origin) == 403


def test_the_unix_socket_refuses_foreign_origins() -> None:
    """There the kernel says who comes; a browser behind a proxy still says from where."""
    gate = Gate(frozenset({"http://mine"}))
    assert gate.refusal(head(), 0) is None
    assert gate.refusal(head(origin="http://mine"), 0) is None
    assert isinstance(gate.refusal(head(origin="null"), 0), Refused)


@pytest.mark.parametrize("address", ["0.0.0.0:80", "192.168.1.2:80", "[::]:80", "example.org:80"])
def test_others_come_only_through_tls_or_a_tunnel(tokens: Tokens, address: str) -> None:
    """A non-loopback address is refused without one of them."""
    with pytest.raises(SettingsError, match=r"api\.tcp"):
        gate_for_tcp(ApiSettings(tcp=address), tokens)
    assert gate_for_tcp(ApiSettings(tcp=address, behind_tunnel=True), tokens)
    assert gate_for_tcp(ApiSettings(tcp=address, tls_cert="c", tls_key="k"), tokens)
    for loopback in ("127.0.0.1:80", "[::1]:80", "localhost:80", "127.8.8.8:80"):
        assert gate_for_tcp(ApiSettings(tcp=loopback), tokens)


def test_the_socket_is_private(web: Daemon) -> None:
    """0600 in a 0700 folder of our own."""
    assert stat.S_IMODE(web.api.stat().st_mode) == 0o600
    assert stat.S_IMODE(web.api.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("planted", ["link", "folder", "file"])
def test_a_planted_thing_at_the_sockets_place_is_refused(tmp_path: Path, planted: str) -> None:
    """It is neither followed nor removed, and the error says what to do."""
    place, target = tmp_path / "api.sock", tmp_path / "target"
    target.write_bytes(b"precious")
    if planted == "link":
        place.symlink_to(target)
    elif planted == "folder":
        place.mkdir()
    else:
        place.write_bytes(b"x")
    with pytest.raises(Refused, match="in the way"):
        bind_unix(place)
    assert place.lstat()
    assert target.read_bytes() == b"precious"


def test_a_left_over_socket_is_replaced(own: Daemon) -> None:
    """A killed web process leaves its socket; the next one takes its place."""
    own.kill("web")
    assert own.api.exists()
    own.start("web")
    assert own.get("/sessions").status == 200
    assert [path.name for path in own.place.runtime.iterdir() if "api" in path.name] == ["api.sock"]


# TCP, really open.


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def open_tcp(daemon: Daemon, port: int, more: str = "", address: str = "127.0.0.1") -> None:
    daemon.settings(f'[computer]\nname = "{LOCAL}"\n[api]\ntcp = "{address}:{port}"\n{more}')
    daemon.processes["web"].send_signal(signal.SIGHUP)


def over_tcp(connection: http.client.HTTPConnection, path: str = "/sessions", **headers: str) -> int:
    with contextlib.closing(connection):
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        response.read()
        return response.status


def test_tcp_asks_for_token_host_and_origin(own: Daemon) -> None:
    """Off until asked for; then nothing without a token, on REST and /ws alike; a new token counts at once."""
    port = free_port()
    open_tcp(own, port)

    def get(**headers: str) -> int:
        return over_tcp(http.client.HTTPConnection("127.0.0.1", port, timeout=10), **headers)

    until(lambda: get() == 401)
    token = Tokens(tokens_file(own.place.state)).add("test")
    bearer = {"Authorization": f"Bearer {token}"}
    assert get(**bearer) == 200
    assert get(Authorization=f"Bearer {token[:-1]}") == 401
    assert get(**bearer, Host="evil.example") == 403
    assert get(**bearer, Origin="http://evil.example") == 403
    url = f"ws://127.0.0.1:{port}/ws"
    with pytest.raises(InvalidStatus), connect(url, proxy=None, legacy=True) as refused:
        refused.recv()
    with connect(url, additional_headers=bearer, proxy=None, legacy=True) as websocket:
        assert b"hello" in websocket.recv(timeout=10, decode=False)
    Tokens(tokens_file(own.place.state)).revoke("test")
    assert get(**bearer) == 401
    assert token not in own.log()
    own.settings("")
    own.processes["web"].send_signal(signal.SIGHUP)
    until(lambda: not _is_open(port))
    assert own.get("/sessions").status == 200


def test_wrong_tcp_settings_leave_local_use_alone(own: Daemon) -> None:
    """An address for all without TLS, a port that is taken: logged, closed, and everything else goes on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        open_tcp(own, taken.getsockname()[1])
        until(lambda: "TCP stays closed" in own.log())
    open_tcp(own, free_port(), address="0.0.0.0")  # noqa: S104  (it is refused)
    until(lambda: "behind_tunnel" in own.log())
    assert own.get("/sessions").status == 200


needs_openssl = pytest.mark.skipif(not shutil.which("openssl"), reason="makes its certificate with openssl")


def certificate(folder: Path) -> tuple[Path, Path]:
    """Make a certificate for 127.0.0.1, and its key."""
    cert, key = folder / "cert.pem", folder / "key.pem"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    argv = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject]
    subprocess.run([*argv, "-keyout", str(key), "-out", str(cert)], check=True, capture_output=True)  # noqa: S603
    return cert, key


@needs_openssl
def test_tls_carries_rest_and_large_states(own: Daemon) -> None:
    """REST and /ws through TLS, also what no buffer takes at once."""
    cert, key = certificate(own.folder)
    port = free_port()
    open_tcp(own, port, f'tls_cert = "{cert}"\ntls_key = "{key}"\n')
    trusted = ssl.create_default_context(cafile=str(cert))
    bearer = {"Authorization": f"Bearer {Tokens(tokens_file(own.place.state)).add('test')}"}
    own.put(*(session(number) for number in range(5000)))
    own.seen()
    until(lambda: _is_open(port))
    assert over_tcp(http.client.HTTPSConnection("127.0.0.1", port, timeout=10, context=trusted), **bearer) == 200
    url = f"wss://127.0.0.1:{port}/ws"
    with connect(url, additional_headers=bearer, ssl=trusted, proxy=None, max_size=None, legacy=True) as websocket:
        websocket.send('{"subscribe": "sessions"}')
        found = b""
        while b"sessions_initial" not in found[:40]:
            found = websocket.recv(timeout=10, decode=False)
        assert found.count(b'"session_id"') == 5000
        own.put(session(1, title="pushed"))
        while b"pushed" not in websocket.recv(timeout=10, decode=False):
            pass  # how the daemon is may be told in between


@needs_openssl
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])
def test_who_only_knocks_on_tcp_takes_nothing_from_the_unix_socket(own: Daemon, tls: bool) -> None:
    """Silent connections count from their first moment, TCP has its own share of them, and the surplus is closed."""
    cert, key = certificate(own.folder)
    own.kill("web")
    own.limit_fds(200)
    own.start("web")
    port = free_port()
    open_tcp(own, port, f'tls_cert = "{cert}"\ntls_key = "{key}"\n' if tls else "")
    until(lambda: _is_open(port))
    with contextlib.ExitStack() as stack:
        silent = [stack.enter_context(socket.create_connection(("127.0.0.1", port), 10)) for _ in range(180)]
        closed = until(lambda: [sock for sock in silent if _was_closed(sock)])
        assert closed
        with contextlib.ExitStack() as local:
            for _ in range(60):
                connection = local.enter_context(connected(own.api))
                connection.sendall(b"GET /sessions HTTP/1.1\r\nHost: a\r\n\r\n")
                assert connection.recv(65536).startswith(b"HTTP/1.1 200")
    until(lambda: b"connections 1.0" in own.get("/metrics").body)


def _was_closed(sock: socket.socket) -> bool:
    sock.setblocking(False)
    try:
        sock.recv(4096)  # a refusal, or the end
    except BlockingIOError:
        return False
    except ConnectionResetError:
        pass
    return True


@needs_openssl
def test_a_tls_handshake_must_end_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that connects and says nothing is closed."""
    monkeypatch.setattr(tls_module, "HANDSHAKE_WITHIN", 0.05)
    found = Certificate(*map(str, certificate(tmp_path)))
    ours, theirs = gevent.socket.socketpair()
    with theirs, pytest.raises(TimeoutError, match="handshake"):
        found.shake_hands(ours)


@needs_openssl
def test_a_renewed_certificate_counts_at_once(tmp_path: Path) -> None:
    """The next handshake shows it; while its files are half written the last good one is shown."""
    cert, key = certificate(tmp_path)
    found = Certificate(str(cert), str(key))
    first = _shown(found)
    cert.write_text("half")
    assert _shown(found) == first
    certificate(tmp_path)
    assert _shown(found) != first


def _shown(found: Certificate) -> bytes | None:
    """The certificate that a client is shown."""
    ours, theirs = gevent.socket.socketpair()
    greenlet = gevent.spawn(found.shake_hands, ours)
    context = gevent.ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with context.wrap_socket(theirs) as client:
        shown: bytes | None = client.getpeercert(binary_form=True)
    greenlet.get(timeout=10).close()
    return shown


def test_who_shows_no_token_does_not_stay(own: Daemon) -> None:
    """A connection that says nothing, or its head too slowly, is closed; one with a token may be silent longer."""
    port = free_port()
    open_tcp(own, port)
    until(lambda: _is_open(port))
    token = Tokens(tokens_file(own.place.state)).add("test")
    head = f"GET /sessions HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
    with contextlib.ExitStack() as stack:
        silent, slow, known = (stack.enter_context(socket.create_connection(("127.0.0.1", port), 20)) for _ in range(3))
        known.sendall(head)
        assert known.recv(65536).startswith(b"HTTP/1.1 200")
        slow.sendall(head[:20])
        assert silent.recv(4096) == b""
        assert slow.recv(4096).startswith(b"HTTP/1.1 408")
        known.sendall(head)
        assert known.recv(65536).startswith(b"HTTP/1.1 200")


def _is_open(port: int) -> bool:
    with socket.socket() as sock:
        sock.settimeout(5)
        return sock.connect_ex(("127.0.0.1", port)) == 0
