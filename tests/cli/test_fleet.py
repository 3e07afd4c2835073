"""`teleclaude fleet`, run as a user runs it, against a real Redis; with and without daemons."""

from __future__ import annotations

import base64
import json
import os
import re
import resource
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from teleclaude.cli.main import teleclaude
from teleclaude.sync.fleet.keyring import read_join_string
from tests.machine import Machine
from tests.redis_process import RedisProcess
from tests.sync.fleet.conftest import server
from tests.wait import until

__all__ = ["server"]


class Home:
    """The folders of a computer on which only the command line runs."""

    def __init__(self, name: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="tcf", dir="/tmp"))
        self.config = self.folder / "c" / "config.toml"
        self.config.parent.mkdir()
        self.config.write_text(f'# by hand\n[computer]\nname = "{name}" # short\n')
        self.environ = {
            **os.environ,
            "TELECLAUDE_CONFIG_DIR": str(self.folder / "c"),
            "TELECLAUDE_STATE_DIR": str(self.folder / "s"),
            "TELECLAUDE_RUNTIME_DIR": str(self.folder / "r"),
        }

    def fleet(self, *words: str, given: str = "") -> Result:
        """Run `teleclaude fleet`."""
        return CliRunner().invoke(teleclaude, ["fleet", *words], env=self.environ, input=given)

    def settings(self) -> dict[str, dict[str, object]]:
        """What is in the settings file."""
        found: dict[str, dict[str, object]] = tomllib.loads(self.config.read_text())
        return found


@pytest.fixture
def homes() -> Iterator[tuple[Home, Home]]:
    """Two computers."""
    made = Home("one"), Home("two")
    yield made
    for home in made:
        shutil.rmtree(home.folder)


def test_create_and_join(homes: tuple[Home, Home], server: RedisProcess) -> None:
    """The join string stands alone on standard output; both have the same Redis and key, 0600; all else is left."""
    one, two = homes
    made = one.fleet("create", "--redis", server.url, "--prefix", "mine:")
    assert made.exit_code == 0, made.output
    [string] = made.stdout.splitlines()
    joined = two.fleet("join", string)
    assert joined.exit_code == 0, joined.output
    assert "two is in the fleet now." in joined.stdout
    for home in homes:
        assert home.settings()["redis"] == {"url": server.url, "prefix": "mine:"}
        assert "# by hand" in home.config.read_text()
        for path in (home.config, home.folder / "s" / "fleet.key"):
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
    keys = {(home.folder / "s" / "fleet.key").read_bytes() for home in homes}
    assert len(keys) == 1


def test_the_string_may_come_by_standard_input(homes: tuple[Home, Home], server: RedisProcess) -> None:
    """So that it is in no process list and no history."""
    one, two = homes
    string = one.fleet("create", "--redis", server.url).stdout.split()[-1]
    assert two.fleet("join", "-", given=f"{string}\n").exit_code == 0
    assert two.settings()["redis"]["url"] == server.url


def test_a_redis_that_cannot_be_reached_is_told(homes: tuple[Home, Home]) -> None:
    """Nothing is written unless that is asked for, and the reason is told without the password."""
    one, url = homes[0], "redis://:hidden-word@127.0.0.1:1"
    before = one.config.read_text()
    made = one.fleet("create", "--redis", url)
    assert made.exit_code == 1
    assert "Redis at 127.0.0.1:1 cannot be reached: connection refused. Nothing was written" in made.stderr
    assert "hidden" not in made.stderr
    assert one.config.read_text() == before
    assert not (one.folder / "s").exists()
    made = one.fleet("create", "--redis", url, "--untried")
    assert read_join_string(made.stdout).url == url


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("create",), "give the URL of a Redis, or with --embedded"),
        (
            ("create", "--redis", "redis://x", "--embedded", "127.0.0.1:1"),
            "give the URL of a Redis, or with --embedded",
        ),
        (("create", "--redis", "http://:secret@x"), "must begin with redis://"),
        (("create", "--redis", "redis://:secret@x:port"), "its port is not a number"),
        (("create", "--redis", "redis://"), "must name a host"),
        (("create", "--redis", "unix://"), "must name a socket"),
        (("create", "--embedded", "nonsense"), 'must be "address:port"'),
        (("create", "--redis", "redis://x", "--prefix", "a{b}"), "without braces"),
        (("create", "--redis", "redis://:secret#@x"), "in a password write # as %23"),
        (("create", "--redis", "redis://:secret?@x"), "in a password write # as %23, / as %2F, ? as %3F"),
        (("create", "--redis", "redis://:secret/@x"), "in a password write # as %23, / as %2F"),
        (("create", "--redis", "redis://x/abc"), "the number of a database"),
        (("create", "--redis", "@/no/such/file"), "cannot be read from"),
        (("create", "--embedded", "192.0.2.1:7000"), "192.0.2.1:7000 is no address of this computer"),
        (("join", "@/no/such/file"), "cannot be read from"),
        (("invite",), "in no fleet"),
        (("accept", "x"), "in no fleet"),
        (("join", "secret-string"), "is not one, or was cut off"),
        (("status",), "in no fleet"),
        (("leave",), "in no fleet"),
        (("rotate",), "in no fleet"),
    ],
)
def test_what_is_wrong_is_told_and_nothing_is_written(
    homes: tuple[Home, Home], words: tuple[str, ...], told: str
) -> None:
    """One sentence, exit status 1, no secret in it, and no file changed."""
    home = homes[0]
    before = home.config.read_text()
    result = home.fleet(*words)
    assert result.exit_code == 1
    assert told in " ".join(result.stderr.split())
    assert "secret" not in result.stderr
    assert home.config.read_text() == before
    assert not (home.folder / "s" / "fleet.key").exists()


def test_one_fleet_at_a_time(homes: tuple[Home, Home], server: RedisProcess) -> None:
    """Who is in a fleet neither makes nor joins another; leaving takes away what joining brought."""
    one, two = homes
    one.fleet("create", "--redis", server.url)
    other = two.fleet("create", "--redis", "unix:///elsewhere.sock", "--untried").stdout
    assert "in a fleet already" in one.fleet("create", "--redis", server.url).stderr
    assert "in another fleet" in one.fleet("join", other).stderr
    assert one.fleet("leave").exit_code == 0
    assert one.settings() == {"computer": {"name": "one"}}
    assert not (one.folder / "s" / "fleet.key").exists()
    assert one.fleet("join", other, "--untried").exit_code == 0


def test_a_new_key_needs_a_new_join(homes: tuple[Home, Home], server: RedisProcess) -> None:
    """After `rotate` the same fleet is joined again with the new string."""
    one, two = homes
    two.fleet("join", one.fleet("create", "--redis", server.url).stdout.split()[-1])
    first = read_join_string(one.fleet("rotate").stdout.split()[-1])
    made = one.fleet("rotate")
    second = read_join_string(made.stdout.split()[-1])
    assert first.key != second.key
    assert two.fleet("join", made.stdout.split()[-1]).exit_code == 0


def test_an_old_string_is_told_as_that(homes: tuple[Home, Home], server: RedisProcess) -> None:
    """Who comes with a string from before the key was changed is told, and what to do; nothing is written (F1)."""
    one, two = homes
    old = one.fleet("create", "--redis", server.url).stdout
    one.fleet("rotate")
    joined = two.fleet("join", "-", given=old)
    assert joined.exit_code == 1
    assert "this string is old: one changed the fleet's key on 20" in joined.stderr
    assert "fleet invite` there prints the present one" in joined.stderr
    assert not (two.folder / "s" / "fleet.key").exists()
    assert "redis" not in two.settings()
    assert two.fleet("join", "-", given=one.fleet("invite").stdout).exit_code == 0


def test_no_key_opens_after_it_was_replaced(homes: tuple[Home, Home], server: RedisProcess) -> None:
    """By default there is no grace, neither where the key is changed nor where it is joined again (F16)."""
    one, two = homes
    two.fleet("join", "-", given=one.fleet("create", "--redis", server.url).stdout)
    one.fleet("rotate", "--grace", "5")
    new = one.fleet("rotate").stdout
    assert two.fleet("join", "-", given=new).exit_code == 0
    for home in homes:
        assert json.loads((home.folder / "s" / "fleet.key").read_text())["old"] == []


def test_who_invites_is_known_by_its_key(homes: tuple[Home, Home], server: RedisProcess) -> None:
    """The string tells the key of who made it, so that nobody else can be taken for that one from the first moment."""
    one, two = homes
    string = one.fleet("create", "--redis", server.url).stdout
    two.fleet("join", "-", given=string)
    pinned = json.loads((two.folder / "s" / "fleet-members.json").read_text())["pinned"]
    assert list(pinned) == ["one"]
    assert pinned["one"] == base64.b64encode(read_join_string(string).inviter_key).decode()
    assert "no computer called 'two' came with another key" in two.fleet("accept", "two").stderr
    two.fleet("leave")
    assert not (two.folder / "s" / "fleet-members.json").exists()


def accepts(port: int) -> bool:
    """Tell whether somebody listens there."""
    with socket.create_connection(("127.0.0.1", port)):
        return True


def certificate(folder: Path) -> Path:
    """A certificate of an authority, and its key beside it."""
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=ca", "-days", "1"]
    made += ["-keyout", str(folder / "ca.key"), "-out", str(folder / "ca.pem")]
    subprocess.run(made, check=True, capture_output=True)
    return folder / "ca.pem"


def test_only_certificates_travel(homes: tuple[Home, Home], server: RedisProcess) -> None:
    """A private key is refused, alone or beside a certificate; so is what is no PEM, and nothing is written (F10)."""
    one = homes[0]
    pem = certificate(one.folder)
    key, der, both = one.folder / "ca.key", one.folder / "ca.der", one.folder / "both.pem"
    subprocess.run(["openssl", "x509", "-in", pem, "-outform", "der", "-out", der], check=True)
    both.write_text(key.read_text() + pem.read_text())
    (one.folder / "cut.pem").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    before = one.config.read_text()
    for name, told in (
        ("ca.key", "holds a private key"),
        ("both.pem", "holds a private key"),
        ("ca.der", "must be a certificate in PEM"),
        ("cut.pem", "holds no certificate that can be read"),
    ):
        made = one.fleet("create", "--redis", server.url, "--ca-file", str(one.folder / name))
        assert (made.exit_code, made.stdout) == (1, "")
        assert told in " ".join(made.stderr.split())
        assert one.config.read_text() == before
        assert not (one.folder / "s").exists()
    pem.write_text(f"a comment that nobody asked for\n{pem.read_text()}")
    string = one.fleet("create", "--redis", server.url, "--ca-file", str(pem)).stdout
    assert read_join_string(string).ca.startswith("-----BEGIN CERTIFICATE-----")


def test_a_redis_that_will_not_do_is_told(homes: tuple[Home, Home], server: RedisProcess) -> None:
    """A password that is wrong, rights that are too few, no cluster: a word for each, and nothing is written (F15)."""
    one = homes[0]
    server.run("ACL", "SETUSER", "reader", "on", ">word", "~teleclaude:*", "+@read", "+ping")
    server.run("ACL", "SETUSER", "elsewhere", "on", ">word", "~other:*", "+@all")
    path = server.path
    for words, told in (
        ((f"unix://reader:wrong@{path}",), "refused the user or password"),
        ((f"unix://reader:word@{path}",), "may not SET keys that begin with 'teleclaude:'"),
        ((f"unix://elsewhere:word@{path}",), "may not SET keys that begin with 'teleclaude:'"),
        ((f"unix://{path}?db=99",), "no database of the number"),
    ):
        made = one.fleet("create", "--redis", *words)
        assert (made.exit_code, made.stdout) == (1, "")
        assert told in " ".join(made.stderr.split())
        assert "redis" not in one.settings()
    assert server.run("KEYS", "*") == []


@pytest.fixture
def tls() -> Iterator[tuple[int, int, Path]]:
    """A Redis with TLS: its plain port, its TLS port, and the folder of its certificate."""
    folder = Path(tempfile.mkdtemp(prefix="tct", dir="/tmp"))
    certificate(folder)
    plain, port = free_port(), free_port()
    options = ["--port", str(plain), "--tls-port", str(port), "--bind", "127.0.0.1", "--save", ""]
    options += ["--tls-cert-file", "ca.pem", "--tls-key-file", "ca.key", "--tls-ca-cert-file", "ca.pem"]
    process = subprocess.Popen(["redis-server", *options], cwd=folder, stdout=subprocess.DEVNULL)
    until(lambda: accepts(port))
    yield plain, port, folder
    process.kill()
    process.wait()
    shutil.rmtree(folder)


def test_a_port_of_another_kind_is_told(homes: tuple[Home, Home], tls: tuple[int, int, Path]) -> None:
    """TLS at a plain port, plain at a TLS port, a server that is no cluster: what to write instead (F15, F10)."""
    one, (plain, port, _) = homes[0], tls
    for url, more, told in (
        (f"rediss://127.0.0.1:{plain}", (), "does not speak TLS there: use redis://"),
        (f"redis://127.0.0.1:{port}", (), "TLS there, use rediss://"),
        (f"rediss://127.0.0.1:{port}", (), "certificate"),
        (f"redis://127.0.0.1:{plain}", ("--cluster",), "is no cluster: leave --cluster out"),
    ):
        made = one.fleet("create", "--redis", url, *more)
        assert (made.exit_code, made.stdout) == (1, "")
        assert told in " ".join(made.stderr.split())
        assert "redis" not in one.settings()
        assert not (one.folder / "s").exists()


def test_a_cluster_is_told_as_that(homes: tuple[Home, Home]) -> None:
    """A Redis Cluster that is joined as if it were none (F15)."""
    folder, port = Path(tempfile.mkdtemp(prefix="tcc", dir="/tmp")), free_port()
    options = ["--port", str(port), "--cluster-enabled", "yes", "--save", "", "--cluster-port", str(free_port())]
    process = subprocess.Popen(["redis-server", *options], cwd=folder, stdout=subprocess.DEVNULL)
    try:
        until(lambda: accepts(port))
        made = homes[0].fleet("create", "--redis", f"redis://127.0.0.1:{port}")
        assert "is a cluster: add --cluster" in made.stderr
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(folder)


def test_secrets_need_not_stand_in_the_process_list(homes: tuple[Home, Home], server: RedisProcess) -> None:
    """URL and string come by standard input or from a file; a password in the arguments is warned of (F24)."""
    one, two = homes
    server.run("ACL", "SETUSER", "tele", "on", ">word", "~*", "+@all")
    url = f"unix://tele:word@{server.path}"
    assert "process list" in one.fleet("create", "--redis", url).stderr
    one.fleet("leave")
    made = one.fleet("create", "--redis", "-", given=f"{url}\n")
    assert made.exit_code == 0
    assert "process list" not in made.stderr
    assert one.settings()["redis"]["url"] == url
    (two.folder / "string").write_text(made.stdout)
    assert two.fleet("join", f"@{two.folder / 'string'}").exit_code == 0
    two.fleet("leave")
    assert two.fleet("join", given=made.stdout).exit_code == 0


def test_leaving_says_when_the_fleet_ends(homes: tuple[Home, Home]) -> None:
    """On the computer that runs the fleet's server leaving is not done without a word (F14)."""
    one = homes[0]
    one.fleet("create", "--embedded", f"127.0.0.1:{free_port()}")
    left = one.fleet("leave")
    assert left.exit_code == 1
    assert "the fleet ends for all others" in left.stderr
    assert "redis" in one.settings()
    assert one.fleet("leave", "--yes").exit_code == 0
    assert "redis" not in one.settings()


def test_a_state_folder_that_cannot_be_written_is_told(homes: tuple[Home, Home], server: RedisProcess) -> None:
    """A sentence and exit status 1, no traceback, and the key that was stays (F12)."""
    one = homes[0]
    one.fleet("create", "--redis", server.url)
    state = one.folder / "s"
    key = (state / "fleet.key").read_bytes()
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (16, limit[1]))  # as on a full disk: nothing longer can be written
    try:
        made = one.fleet("rotate")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, before)
    assert (made.exit_code, made.stdout) == (1, "")
    assert isinstance(made.exception, SystemExit)
    assert "File too large" in made.stderr
    assert (state / "fleet.key").read_bytes() == key


def call(machine: Machine, *words: str, given: str = "") -> str:
    """Run `teleclaude fleet` for a computer with a daemon."""
    command = [sys.executable, "-P", "-m", "teleclaude.cli.main", "fleet", *words]
    done = subprocess.run(
        command, env=machine.environ, input=given, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def statuses(machine: Machine) -> dict[str, str]:
    """Status of each computer, as a daemon tells it."""
    return {found["name"]: found["status"] for found in machine.get("/computers")}


@pytest.fixture
def machines() -> Iterator[tuple[Machine, Machine]]:
    """Two computers with daemons, in no fleet."""
    made = Machine("one"), Machine("two")
    try:
        for machine in made:
            machine.start()
        yield made
    finally:
        for machine in made:
            machine.close()


def free_port() -> int:
    """A port that is free now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def test_running_daemons_join_change_keys_and_leave(machines: tuple[Machine, Machine]) -> None:
    """With a server of its own and daemons that run: joined at once, parted by a new key, together again, and alone."""
    one, two = machines
    string = call(one, "create", "--embedded", f"127.0.0.1:{free_port()}").split()[-1]
    call(two, "join", string)
    until(lambda: statuses(one).get("two") == statuses(two).get("one") == "online", 30)
    until(lambda: "redis: ok" in call(two, "status"))
    assert "this computer runs the fleet's server" in call(one, "status")
    password = re.findall(r":([^:@]+)@", one.place.settings_file.read_text())
    string = call(one, "rotate")
    assert password != re.findall(r":([^:@]+)@", one.place.settings_file.read_text())
    assert call(one, "invite") == string
    until(lambda: "refused the user or password" in call(two, "status"), 30)
    call(two, "join", "-", given=string)
    until(lambda: statuses(one).get("two") == statuses(two).get("one") == "online", 30)
    call(two, "leave")
    until(lambda: statuses(one) == {"one": "online"}, 30)
    until(lambda: all(service["name"] != "redis" or service["state"] == "off" for service in _services(two)))


def _services(machine: Machine) -> list[dict[str, str]]:
    found: list[dict[str, str]] = machine.get("/health")["services"]
    return found
