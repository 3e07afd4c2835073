"""`teleclaude fleet`: make a fleet of computers, join it, leave it, change its key."""

from __future__ import annotations

import secrets
import sys
import time
from pathlib import Path
from urllib.parse import quote, urlsplit

import click

from teleclaude.cli import config_file
from teleclaude.cli.table import print_table, say
from teleclaude.client.api import Api
from teleclaude.core.errors import Conflict, InvalidField, NotFound, TeleclaudeError, Unavailable
from teleclaude.core.files import private_folder, write_atomic
from teleclaude.core.paths import Places, places
from teleclaude.core.records import Computer, utc_seconds
from teleclaude.core.settings import RedisSettings, Settings, load
from teleclaude.daemon import lifecycle
from teleclaude.sync.fleet import keyring
from teleclaude.sync.fleet.keyring import Invitation, KeyRing

SCHEMES = ("redis", "rediss", "unix")
ANYWHERE = ("0.0.0.0", "::", "*")  # noqa: S104  (addresses to recognise, not to bind)
LEAVE_WITHIN = 3.0  # seconds


@click.group()
def fleet() -> None:
    """One view of several computers, over a Redis that sees only ciphertext."""


@fleet.command()
@click.option("--redis", "url", metavar="URL", help="redis://, rediss:// or unix:// of a Redis that all can reach.")
@click.option("--embedded", metavar="ADDRESS:PORT", help="Run a server here, on this address, in place of a Redis.")
@click.option("--prefix", default=RedisSettings().prefix, show_default=True, help="Begins the name of every key.")
@click.option("--cluster", is_flag=True, help="The URL is that of a Redis Cluster.")
@click.option("--ca-file", type=click.Path(exists=True, dir_okay=False), help="Certificate of your own authority.")
def create(url: str | None, embedded: str | None, prefix: str, cluster: bool, ca_file: str | None) -> None:
    """Make a fleet with this computer as its first, and print the string by which others join."""
    place = places()
    settings = load(place.settings_file)
    if settings.redis.url:
        raise Conflict("this computer is in a fleet already: `teleclaude fleet leave` ends that")
    if bool(url) == bool(embedded):
        raise InvalidField("--redis", "give the URL of a Redis, or with --embedded an address to run a server on")
    own, theirs = _embedded_urls(embedded, settings) if embedded else (check_url(url or ""), check_url(url or ""))
    changes = _changes(own, prefix, cluster=cluster, ca_file=str(Path(ca_file).resolve()) if ca_file else "")
    changes["fleet.embedded"] = embedded or None
    key = keyring.new_key()
    _become_member(place, changes, KeyRing(key))
    if not embedded:
        _say_whether_reachable(place)
    authority = Path(ca_file).read_text(encoding="ascii") if ca_file else ""
    _print_join_string(Invitation(theirs, prefix, cluster, key, authority))


@fleet.command()
@click.argument("string")
def join(string: str) -> None:
    """Join the fleet whose join STRING this is; `-` reads it from standard input."""
    place = places()
    settings = load(place.settings_file)
    invitation = keyring.read_join_string(sys.stdin.read() if string == "-" else string)
    check_url(invitation.url)
    is_same = (settings.redis.prefix, settings.redis.cluster) == (invitation.prefix, invitation.cluster)
    if settings.redis.url and not (is_same and _same_server(settings, invitation.url)):
        raise Conflict("this computer is in another fleet: `teleclaude fleet leave` ends that")
    changes = _changes(invitation.url, invitation.prefix, cluster=invitation.cluster, ca_file="")
    if settings.fleet.embedded:
        changes["redis.url"] = settings.redis.url  # the one who runs the server reaches it by its own address
    if invitation.ca:
        changes["redis.ca_file"] = str(_authority_file(place, invitation.ca))
    known = keyring.load_ring(place)
    ring = known.replaced(invitation.key, time.time()) if known else KeyRing(invitation.key)
    _become_member(place, changes, ring)
    say(f"{settings.computer.name} is in the fleet now.")
    _say_whether_reachable(place)


@fleet.command()
def status() -> None:
    """The fleet's computers, and how its Redis is."""
    place = places()
    settings = _member(place)
    from teleclaude.sync.fleet.redis.connection import place_of  # noqa: PLC0415  (Redis costs 100 ms to import)

    say(f"fleet on Redis at {place_of(settings.redis.url)}, keys begin with {settings.redis.prefix!r}")
    if settings.fleet.embedded:
        say(f"this computer runs the fleet's server, on {settings.fleet.embedded}")
    api = Api(place.api_socket)
    try:
        services = [s for s in api.health().services if s.name in {"redis", "name", "fleet-server"}]
        computers = api.computers()
    except Unavailable as error:
        raise Unavailable(f"what there is to see the daemon knows, and it does not answer: {error.message}") from error
    for service in services:
        say(f"{service.name}: {service.state}{f', {service.reason}' if service.reason else ''}")
    rows = [(c.name, *_status_and_age(c), c.host, c.version, _wrong(c)) for c in computers]
    print_table(("COMPUTER", "STATUS", "LAST SEEN", "HOST", "VERSION", ""), rows)
    _say_who_is_refused(place)


@fleet.command()
def leave() -> None:
    """Leave the fleet: this computer is seen no more by others, nor sees them."""
    place = places()
    settings = _member(place)
    changes: dict[str, config_file.Value] = dict.fromkeys(
        ("redis.url", "redis.prefix", "redis.cluster", "redis.ca_file", "fleet.embedded")
    )
    config_file.change(place.settings_file, changes)
    keyring.forget_ring(place)
    keyring.forget_members(place)
    _tell_daemon(place)
    if not settings.fleet.embedded:
        _clean(settings)
    say(f"{settings.computer.name} has left the fleet.")


@fleet.command()
@click.option("--grace", default=24.0, show_default=True, help="Hours for which the old key still opens messages here.")
def rotate(grace: float) -> None:
    """Make a new key, as after a computer was stolen; every other computer has to join again."""
    place = places()
    settings = _member(place)
    known = keyring.load_ring(place)
    if known is None:
        raise NotFound("this computer has no key: join the fleet first")
    key = keyring.new_key()
    keyring.save_ring(place, known.replaced(key, time.time(), grace * 3600))
    _tell_daemon(place)
    say("The key is new. Computers that do not join again with this string are seen no more:")
    url = settings.redis.url
    if settings.fleet.embedded:
        url = _reached_by_others(settings, urlsplit(url).password or "")
    authority = Path(settings.redis.ca_file).read_text(encoding="ascii") if settings.redis.ca_file else ""
    _print_join_string(Invitation(url, settings.redis.prefix, settings.redis.cluster, key, authority))


@fleet.command()
@click.argument("name")
def accept(name: str) -> None:
    """Believe the computer NAME by its new key, as after it was set up anew; `fleet status` shows what was refused."""
    from teleclaude.sync.fleet import members_file  # noqa: PLC0415  (NaCl costs time to import)
    from teleclaude.sync.fleet.wire.identity import fingerprint  # noqa: PLC0415

    place = places()
    _member(place)
    key = members_file.accept(place, name)
    say(f"{name} is known by the key {fingerprint(key)} from now on.")


# Parts.


def check_url(url: str) -> str:
    """Give back a Redis URL. Raises InvalidField, which never shows it."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise InvalidField("redis.url", "is not a URL: its port is not a number") from error
    if parts.scheme not in SCHEMES:
        raise InvalidField("redis.url", "must begin with redis://, rediss:// or unix://")
    if parts.scheme == "unix" and not parts.path:
        raise InvalidField("redis.url", "must name a socket, as unix:///run/redis.sock")
    if parts.scheme != "unix" and not parts.hostname:
        raise InvalidField("redis.url", f"must name a host{'' if port is None else ' before the port'}")
    return url


def _embedded_urls(embedded: str, settings: Settings) -> tuple[str, str]:
    """Make a password, and the URLs by which this computer and the others reach the server."""
    from teleclaude.sync.fleet.redis.embedded_server import address, find_server  # noqa: PLC0415

    host, port = address(embedded)
    find_server()
    password = secrets.token_urlsafe(32)
    near = {"0.0.0.0": "127.0.0.1", "*": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    far = settings.computer.host if host in ANYWHERE else host
    return _url(near, port, password), _url(far, port, password)


def _reached_by_others(settings: Settings, password: str) -> str:
    from teleclaude.sync.fleet.redis.embedded_server import address  # noqa: PLC0415

    host, port = address(settings.fleet.embedded)
    return _url(settings.computer.host if host in ANYWHERE else host, port, password)


def _url(host: str, port: int, password: str) -> str:
    return f"redis://:{quote(password, safe='')}@{f'[{host}]' if ':' in host else host}:{port}"


def _same_server(settings: Settings, url: str) -> bool:
    if settings.fleet.embedded:
        return urlsplit(settings.redis.url).password == urlsplit(url).password
    return settings.redis.url == url


def _changes(url: str, prefix: str, *, cluster: bool, ca_file: str) -> dict[str, config_file.Value]:
    return {
        "redis.url": url,
        "redis.prefix": None if prefix == RedisSettings().prefix else prefix,
        "redis.cluster": cluster or None,
        "redis.ca_file": ca_file or None,
    }


def _authority_file(place: Places, pem: str) -> Path:
    private_folder(place.state)
    path = place.state / "fleet-ca.pem"
    write_atomic(path, pem.encode("ascii"))
    return path


def _become_member(place: Places, changes: dict[str, config_file.Value], ring: KeyRing) -> None:
    """Write the key, then the settings, so that a daemon that reads them finds both."""
    private_folder(place.state)
    before = keyring.load_ring(place)
    keyring.save_ring(place, ring)
    try:
        config_file.change(place.settings_file, changes)
    except (TeleclaudeError, OSError):
        keyring.save_ring(place, before) if before else keyring.forget_ring(place)
        raise
    _tell_daemon(place)


def _member(place: Places) -> Settings:
    settings = load(place.settings_file)
    if not settings.redis.url:
        raise NotFound(
            "this computer is in no fleet: `teleclaude fleet create` makes one, `teleclaude fleet join` joins"
        )
    return settings


def _tell_daemon(place: Places) -> None:
    try:
        lifecycle.reload(place)
    except Unavailable:
        return  # none runs; the next one reads it


def _say_whether_reachable(place: Places) -> None:
    from teleclaude.sync.fleet.redis.connection import FAILURES, connect, explain, place_of  # noqa: PLC0415

    settings = load(place.settings_file).redis
    try:
        line = connect(settings)
        line.call("TYPE", f"{settings.prefix}computers")
        line.close()
    except FAILURES as error:
        reason = explain(error, place_of(settings.url))
        click.echo(f"Careful: {reason}. All is written, and works when that is mended.", err=True)


def _clean(settings: Settings) -> None:
    """Remove what this computer has in Redis, once its daemon has let go."""
    from teleclaude.sync.fleet.redis.connection import FAILURES, connect  # noqa: PLC0415
    from teleclaude.sync.fleet.redis.redis_keys import KeyNames  # noqa: PLC0415

    keys, name = KeyNames(settings.redis.prefix), settings.computer.name
    try:
        line = connect(settings.redis)
        until = time.monotonic() + LEAVE_WITHIN
        while line.call("GET", keys.heartbeat(name)) and time.monotonic() < until:
            time.sleep(0.05)
        line.pipeline(
            [
                ("ZREM", keys.computers, name),
                *(("DEL", key) for key in (keys.heartbeat(name), keys.messages(name), keys.inbox(name))),
            ]
        )
        line.close()
    except FAILURES:
        click.echo("Redis cannot be reached: what this computer had there goes by itself.", err=True)


def _print_join_string(invitation: Invitation) -> None:
    click.echo("On the next computer: teleclaude fleet join STRING", err=True)
    click.echo("Who has the string is a member of the fleet: show it to nobody. STRING is", err=True)
    click.echo(keyring.join_string(invitation))


def _status_and_age(computer: Computer) -> tuple[str, str]:
    return ("here", "-") if computer.is_local else (computer.status, _age(computer.last_seen))


def _say_who_is_refused(place: Places) -> None:
    from teleclaude.sync.fleet.members_file import read_members  # noqa: PLC0415
    from teleclaude.sync.fleet.wire.identity import fingerprint  # noqa: PLC0415

    for name, key in sorted(read_members(keyring.members_file(place)).refused.items()):
        say(
            f"{name} also came with another key ({fingerprint(key)}), and was refused. "
            f"If it was set up anew: teleclaude fleet accept {name}"
        )


def _wrong(computer: Computer) -> str:
    """What this computer says is wrong with what another one sends."""
    return "; ".join(service.reason for service in computer.services if service.name == "messages")


def _age(last_seen: str) -> str:
    seconds = utc_seconds(last_seen)
    if seconds is None:
        return "-"
    age = max(0, int(time.time() - seconds))
    return f"{age} s" if age < 120 else f"{age // 60} min" if age < 7200 else f"{age // 3600} h"
