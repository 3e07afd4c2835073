"""Each kind of Redis URL: password, ACL user, TLS, cluster; and what is told when one does not work."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from teleclaude.core.requests import Request, new_id
from teleclaude.core.settings import RedisSettings
from teleclaude.core.verbs import Message
from teleclaude.sync.fleet.redis.connection import connect, explain, place_of
from tests.redis_process import RedisProcess
from tests.sync.fleet.conftest import MakeNode
from tests.sync.fleet.node import Node
from tests.wait import until

RULES = "+@all -@admin -@dangerous ~teleclaude:* &* on >acl-word"


def free_port() -> int:
    """A port that is free now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def accepts(port: int) -> bool:
    """Tell whether somebody listens there."""
    with socket.create_connection(("127.0.0.1", port)):
        return True


def assert_works(near: Node, far: Node) -> None:
    """Rows come, changes follow, a command runs."""
    until(lambda: near.status("far") == far.status("near") == "online", 30)
    near.look("*")
    until(lambda: near.titles("far") == ["one"])
    far.sessions("two")
    until(lambda: near.titles("far") == ["two"])
    args = Message(session_id="two", text="x")
    request = Request(id=new_id(), computer="far", args=args, deadline=time.monotonic() + 10)
    near.half.submit(request)
    assert near.ended(request).status == "ok"


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a short name."""
    path = Path(tempfile.mkdtemp(prefix="tcu", dir="/tmp"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


def test_password_over_tcp(node: MakeNode, folder: Path) -> None:
    """A password in the URL is used, over TCP."""
    port = free_port()
    options = ["--port", str(port), "--bind", "127.0.0.1", "--requirepass", "tcp word/@", "--save", ""]
    process = subprocess.Popen(["redis-server", *options], stdout=subprocess.DEVNULL, cwd=folder)
    try:
        until(lambda: accepts(port))
        url = f"redis://:tcp%20word%2F%40@127.0.0.1:{port}"
        assert_works(node("near", url), node("far", url))
    finally:
        process.kill()
        process.wait()


def test_a_user_with_few_rights(node: MakeNode, server: RedisProcess) -> None:
    """An ACL user who may use only our keys, and no administration, is enough."""
    server.run("ACL", "SETUSER", "tele", *RULES.split())
    url = f"unix://tele:acl-word@{server.path}"
    assert_works(node("near", url), node("far", url))


def test_a_user_with_too_few_rights_is_told(node: MakeNode, server: RedisProcess) -> None:
    """Who may not write is told that it is a matter of rights."""
    server.run("ACL", "SETUSER", "weak", "on", ">acl-word", "~*", "+@read", "+@connection")
    near = node("near", f"unix://weak:acl-word@{server.path}")
    until(lambda: "too few rights" in near.redis()[1])
    assert near.redis()[0] == "down"


def test_cluster(node: MakeNode, folder: Path) -> None:
    """On Redis Cluster no command or pipeline crosses slots where it must not."""
    port, bus = free_port(), free_port()  # by itself the bus would be at port + 10000, which may be above all ports
    options = ["--port", str(port), "--cluster-enabled", "yes", "--save", "", "--dir", str(folder)]
    options += ["--cluster-port", str(bus)]
    process = subprocess.Popen(["redis-server", *options], stdout=subprocess.DEVNULL)
    try:
        until(lambda: _cluster_is_ready(port), 30)
        url = f"redis://127.0.0.1:{port}"
        near, far = node("near", url, cluster=True), node("far", url, cluster=True)
        assert_works(near, far)
        with redis.Redis(port=port) as line:
            line.flushall()
        until(lambda: near.half.counters["flushes"] > 0)
        far.sessions("three")
        until(lambda: near.titles("far") == ["three"], 20)
    finally:
        process.kill()
        process.wait()


def _cluster_is_ready(port: int) -> bool:
    try:
        with redis.Redis(port=port, decode_responses=True) as line:
            if line.execute_command("CLUSTER", "COUNTKEYSINSLOT", 0) == 0 and not line.execute_command(
                "CLUSTER", "SLOTS"
            ):
                line.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
            return "cluster_state:ok" in str(line.execute_command("CLUSTER", "INFO"))
    except redis.RedisError:
        return False


def certificates(folder: Path) -> None:
    """Make an authority (ca.pem) and a server's certificate for localhost."""
    made = ["-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    _openssl("req", *made, "-subj", "/CN=authority", "-keyout", f"{folder}/ca.key", "-out", f"{folder}/ca.pem")
    asked = ["-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost"]
    _openssl("req", *asked, "-keyout", f"{folder}/s.key", "-out", f"{folder}/s.csr")
    (folder / "names").write_text("subjectAltName=DNS:localhost\n")
    signed = ["-CA", f"{folder}/ca.pem", "-CAkey", f"{folder}/ca.key", "-CAcreateserial", "-days", "2"]
    names = ["-extfile", f"{folder}/names"]
    _openssl("x509", "-req", "-in", f"{folder}/s.csr", *signed, *names, "-out", f"{folder}/s.pem")


def _openssl(*args: str) -> None:
    subprocess.run(["openssl", *args], check=True, capture_output=True)


@pytest.fixture
def tls(folder: Path) -> Iterator[int]:
    """The port of a server that speaks only TLS, with a certificate of an authority of its own."""
    certificates(folder)
    port = free_port()
    options = ["--port", "0", "--tls-port", str(port), "--tls-cert-file", f"{folder}/s.pem", "--save", ""]
    options += ["--tls-key-file", f"{folder}/s.key", "--tls-ca-cert-file", f"{folder}/ca.pem"]
    options += ["--tls-auth-clients", "no"]
    process = subprocess.Popen(["redis-server", *options], stdout=subprocess.DEVNULL, cwd=folder)
    try:
        until(lambda: accepts(port))
        yield port
    finally:
        process.kill()
        process.wait()


def with_authority(made: Node, authority: Path) -> Node:
    """Have a computer trust an authority."""
    made.change_settings(redis=RedisSettings(url=made.settings.redis.url, ca_file=str(authority)))
    return made


def test_tls_is_verified(node: MakeNode, tls: int, folder: Path) -> None:
    """rediss:// works with the right authority, and only with it, and only under the certificate's name."""
    url = f"rediss://localhost:{tls}"
    near, far = node("near", url), node("far", url)
    until(lambda: "is not trusted" in near.redis()[1], 20)
    assert near.redis()[0] == "down"
    assert_works(with_authority(near, folder / "ca.pem"), with_authority(far, folder / "ca.pem"))
    third = with_authority(node("third", f"rediss://127.0.0.1:{tls}"), folder / "ca.pem")
    until(lambda: "is not trusted" in third.redis()[1], 20)


def test_tls_where_there_is_none(node: MakeNode, folder: Path) -> None:
    """A server that does not speak TLS is told as that."""
    with socket.socket() as plain:
        plain.bind(("127.0.0.1", 0))
        plain.listen()
        near = node("near", f"rediss://127.0.0.1:{plain.getsockname()[1]}")
        peer, _ = plain.accept()
        peer.sendall(b"-ERR what?\r\n" * 10)
        until(lambda: "does not speak TLS" in near.redis()[1] or "does not answer" in near.redis()[1], 20)
        peer.close()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("redis://127.0.0.1:1", "connection refused"),
        ("redis://no.such.host.invalid:6379", "cannot be reached"),
        ("unix:///nowhere/redis.sock", "its socket is not there"),
    ],
)
def test_what_cannot_be_reached_is_told_in_words(url: str, words: str) -> None:
    """Each reason is a sentence, with the place and without a secret."""
    secret = url.replace("://", "://:hidden-word@")
    with pytest.raises(Exception) as caught:  # noqa: PT011  (what it is does not matter: its words do)
        connect(RedisSettings(url=secret))
    told = explain(caught.value, place_of(secret))
    assert words in told
    assert "hidden" not in told


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("redis://user:p%40ss@redis.lan:6380/2?x=1", "redis.lan:6380/2"),
        ("unix://:word@/run/redis.sock", "/run/redis.sock"),
        ("rediss://[::1]:6379", "[::1]:6379"),
    ],
)
def test_a_place_has_no_secret(url: str, place: str) -> None:
    """What names the server to people holds no user and no password."""
    assert place_of(url) == place
