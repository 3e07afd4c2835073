"""`teleclaude fleet`: make a fleet of computers, join it, leave it, change its key.

All is checked and tried before anything is written. A join string stands alone on standard output; all else that is
said beside one goes to standard error.
"""

from __future__ import annotations

import secrets
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import click
import msgspec

from teleclaude.cli import config_file
from teleclaude.cli.fleet_checks import (
    check_address,
    check_authority,
    check_url,
    given_secret,
    read_authority,
    same_server,
)
from teleclaude.cli.fleet_steps import (
    address_of,
    authority_file,
    become_member,
    changes_for,
    clean,
    embedded_urls,
    invitation_to,
    leave_notice,
    make_string,
    tell_daemon,
    try_fleet,
)
from teleclaude.cli.table import print_table, say, say_aside
from teleclaude.client.api import Api
from teleclaude.core.errors import Conflict, InvalidField, NotFound, Refused, Unavailable
from teleclaude.core.files import private_folder, write_atomic
from teleclaude.core.paths import Places, places
from teleclaude.core.records import Computer, utc_seconds
from teleclaude.core.settings import RedisSettings, Settings, load
from teleclaude.sync.fleet import keyring
from teleclaude.sync.fleet.keyring import KeyRing

WAYS = "itself, - for standard input, or @FILE"


@click.group()
def fleet() -> None:
    """One view of several computers, over a Redis that sees only ciphertext."""


@fleet.command()
@click.option("--redis", "url", metavar="URL", help=f"redis://, rediss:// or unix://; {WAYS}.")
@click.option("--embedded", metavar="ADDRESS:PORT", help="Run a server here, on this address, in place of a Redis.")
@click.option("--prefix", default=RedisSettings().prefix, show_default=True, help="Begins the name of every key.")
@click.option("--cluster", is_flag=True, help="The URL is that of a Redis Cluster.")
@click.option("--ca-file", type=click.Path(exists=True, dir_okay=False), help="Certificate of your own authority.")
@click.option("--untried", is_flag=True, help="Write it although Redis cannot be tried now.")
def create(
    url: str | None, embedded: str | None, prefix: str, cluster: bool, ca_file: str | None, untried: bool
) -> None:
    """Make a fleet with this computer as its first, and print the string by which others join."""
    place = places()
    settings = load(place.settings_file)
    if settings.redis.url:
        raise Conflict("this computer is in a fleet already: `teleclaude fleet leave` ends that")
    if bool(url) == bool(embedded):
        raise InvalidField("--redis", "give the URL of a Redis, or with --embedded an address to run a server on")
    if embedded:
        own, theirs = embedded_urls(embedded, settings, secrets.token_urlsafe(32))
        check_address(*address_of(embedded))
    else:
        own = theirs = check_url(given_secret(url, "--redis"))
        _warn_of_secret(url or "", own)
    authority = read_authority(ca_file) if ca_file else ""
    redis = RedisSettings(url=own, prefix=prefix, cluster=cluster)
    changes = changes_for(redis, ca_file=str(Path(ca_file).resolve()) if ca_file else "")
    changes["fleet.embedded"] = embedded or None
    config_file.check(place.settings_file, changes)
    if not embedded and not untried:
        try_fleet(redis, authority)
    key = keyring.new_key()
    string = make_string(place, settings, redis, theirs, key, authority)
    become_member(place, changes, KeyRing(key))
    _print_join_string(string)


@fleet.command()
@click.argument("string", required=False)
@click.option("--grace", default=0.0, show_default=True, help="Hours for which a key that is replaced still opens.")
@click.option("--untried", is_flag=True, help="Write it although Redis cannot be tried now.")
def join(string: str | None, grace: float, untried: bool) -> None:
    """Join the fleet whose join STRING this is: itself, - for standard input, @FILE, or asked for."""
    place = places()
    settings = load(place.settings_file)
    invitation = keyring.read_join_string(given_secret(string, "join string"))
    check_url(invitation.url)
    redis = RedisSettings(url=invitation.url, prefix=invitation.prefix, cluster=invitation.cluster)
    _refuse_another_fleet(settings, redis)
    authority = check_authority(invitation.ca) if invitation.ca else ""
    changes = changes_for(redis, ca_file=str(authority_file(place)) if authority else "")
    if settings.fleet.embedded:
        changes["redis.url"] = settings.redis.url  # the one who runs the server reaches it by its own address
    config_file.check(place.settings_file, changes)
    known = keyring.load_ring(place)
    if not untried and not settings.fleet.embedded:
        try_fleet(redis, authority, invitation.key)
    ring = known.replaced(invitation.key, time.time(), grace * 3600) if known else KeyRing(invitation.key)
    if authority:
        private_folder(place.state)
        write_atomic(authority_file(place), authority.encode("ascii"))
    become_member(place, changes, ring, invitation)
    say(f"{settings.computer.name} is in the fleet now.")


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
@click.option("--yes", is_flag=True, help="Do not ask.")
def leave(yes: bool) -> None:
    """Leave the fleet: this computer is seen no more by others, nor sees them."""
    place = places()
    settings = _member(place)
    if settings.fleet.embedded and not yes:
        ends = "This computer runs the fleet's server: when it leaves, the fleet ends for all others."
        if not sys.stdin.isatty():
            raise Refused(f"{ends} With --yes it does")
        click.confirm(f"{ends} Leave?", abort=True, err=True)
    changes: dict[str, config_file.Value] = dict.fromkeys(
        ("redis.url", "redis.prefix", "redis.cluster", "redis.ca_file", "fleet.embedded")
    )
    config_file.change(place.settings_file, changes)
    keyring.forget_ring(place)
    keyring.forget_members(place)
    tell_daemon(place)
    if not settings.fleet.embedded:
        clean(settings)
    say(f"{settings.computer.name} has left the fleet.")


@fleet.command()
def invite() -> None:
    """Print the string by which the next computer joins."""
    place = places()
    settings = _member(place)
    _print_join_string(invitation_to(place, settings, settings.redis, _ring(place).key))


@fleet.command()
@click.option("--grace", default=0.0, show_default=True, help="Hours for which what the old key seals is still shown.")
def rotate(grace: float) -> None:
    """Make a new key, as after a computer was stolen; every other computer has to join again.

    No old key opens a request from then on. Without --grace none opens anything, and a server that runs here gets
    another password.
    """
    place = places()
    settings, old = _member(place), _ring(place)
    redis, key = settings.redis, keyring.new_key()
    changes: dict[str, config_file.Value] = {}
    if settings.fleet.embedded and grace <= 0:
        own, _ = embedded_urls(settings.fleet.embedded, settings, secrets.token_urlsafe(32))
        redis = msgspec.structs.replace(redis, url=own)
        changes["redis.url"] = own
    string = invitation_to(place, settings, redis, key)
    become_member(place, changes, old.replaced(key, time.time(), grace * 3600))
    told = bool(settings.fleet.embedded) or leave_notice(settings, old.key)  # a server of our own begins empty
    say_aside("The key is new. The other computers are seen again when they have joined with this string:")
    if not told:
        say_aside("(Redis could not be reached: who comes with the old string is not told that it is old.)")
    if not settings.fleet.embedded and urlsplit(redis.url).password:
        say_aside(
            "Who had the old string knows the password of Redis too: change it there, then join with another URL."
        )
    _print_join_string(string)


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


def _warn_of_secret(given: str, url: str) -> None:
    if urlsplit(url).password and given == url:
        say_aside(
            "Careful: the password stood in the process list. `--redis -` or `--redis @FILE` keeps it out of that."
        )


def _refuse_another_fleet(settings: Settings, redis: RedisSettings) -> None:
    own = settings.redis
    is_same = (own.prefix, own.cluster) == (redis.prefix, redis.cluster)
    is_there = bool(settings.fleet.embedded) or same_server(own.url, redis.url)
    if own.url and not (is_same and is_there):
        raise Conflict("this computer is in another fleet: `teleclaude fleet leave` ends that")


def _ring(place: Places) -> KeyRing:
    ring = keyring.load_ring(place)
    if ring is None:
        raise NotFound("this computer has no key: join the fleet first")
    return ring


def _member(place: Places) -> Settings:
    settings = load(place.settings_file)
    if not settings.redis.url:
        raise NotFound(
            "this computer is in no fleet: `teleclaude fleet create` makes one, `teleclaude fleet join` joins"
        )
    return settings


def _print_join_string(string: str) -> None:
    say_aside("On the next computer: teleclaude fleet join")
    say_aside("It asks for this string. Who has it is a member of the fleet: show it to nobody.")
    click.echo(string)


def _status_and_age(computer: Computer) -> tuple[str, str]:
    if computer.is_local:
        return "here", "-"
    return computer.status, "now" if computer.status == "online" else _age(computer.last_seen)


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
