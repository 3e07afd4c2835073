"""The steps of `teleclaude fleet`: a Redis tried, strings made, keys and settings written, the daemon told."""

from __future__ import annotations

import time
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from teleclaude.cli import config_file
from teleclaude.cli.fleet_checks import read_authority, with_authority
from teleclaude.cli.table import say_aside
from teleclaude.core.errors import Refused, TeleclaudeError, Unavailable
from teleclaude.core.files import private_folder
from teleclaude.core.paths import Places
from teleclaude.core.records import utc_text
from teleclaude.core.settings import RedisSettings, Settings
from teleclaude.daemon import lifecycle
from teleclaude.sync.fleet import keyring
from teleclaude.sync.fleet.keyring import Invitation, KeyRing

ANYWHERE = ("0.0.0.0", "::", "*")  # noqa: S104  (addresses to recognise, not to bind)
LEAVE_WITHIN = 3.0  # seconds
PATIENCE = 5.0  # seconds that a server is waited for which may just start


def address_of(embedded: str) -> tuple[str, int]:
    """Read the address of a server of our own. Raises InvalidField."""
    from teleclaude.sync.fleet.redis.embedded_server import address  # noqa: PLC0415

    return address(embedded)


def embedded_urls(embedded: str, settings: Settings, password: str) -> tuple[str, str]:
    """Make the URLs by which this computer and the others reach the server."""
    from teleclaude.sync.fleet.redis.embedded_server import find_server  # noqa: PLC0415

    host, port = address_of(embedded)
    find_server()
    near = {"0.0.0.0": "127.0.0.1", "*": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    far = settings.computer.host if host in ANYWHERE else host
    return _url(near, port, password), _url(far, port, password)


def _url(host: str, port: int, password: str) -> str:
    return f"redis://:{quote(password, safe='')}@{f'[{host}]' if ':' in host else host}:{port}"


def try_fleet(redis: RedisSettings, authority: str, key: bytes = b"") -> None:
    """Try a Redis, before anything is written. `key`: that of a join string, which may have been replaced since."""
    from teleclaude.sync.fleet.redis.redis_keys import KeyNames  # noqa: PLC0415  (Redis costs 100 ms to import)
    from teleclaude.sync.fleet.redis.trial import try_redis  # noqa: PLC0415
    from teleclaude.sync.fleet.wire.rotation_notice import key_id, read_notice  # noqa: PLC0415

    try:
        with with_authority(redis, authority) as settings:
            line = try_redis(settings, patience=PATIENCE if key else 0.0)
            found = line.call("GET", KeyNames(redis.prefix).rotated(key_id(key))) if key else None
            line.close()
    except Unavailable as error:
        old = " (a string from before `teleclaude fleet rotate` is of no use: `teleclaude fleet invite` prints another)"
        hint = old if key and "refused the user or password" in error.message else ""
        raise Unavailable(f"{error.message}{hint}. Nothing was written") from error
    notice = read_notice(key, found) if key else None
    if notice:
        raise Refused(
            f"this string is old: {notice.by} changed the fleet's key on {notice.at}. "
            f"`teleclaude fleet invite` there prints the present one. Nothing was written"
        )


def leave_notice(settings: Settings, old_key: bytes) -> bool:
    """Leave word in Redis that a key is replaced, for who comes with it. False when Redis cannot be reached."""
    from teleclaude.sync.fleet.redis.connection import FAILURES, connect  # noqa: PLC0415
    from teleclaude.sync.fleet.redis.redis_keys import KeyNames  # noqa: PLC0415
    from teleclaude.sync.fleet.wire.rotation_notice import KEPT, key_id, sealed_notice  # noqa: PLC0415

    notice = sealed_notice(old_key, settings.computer.name, utc_text(time.time())[:16].replace("T", " ") + " UTC")
    try:
        line = connect(settings.redis)
        line.call("SET", KeyNames(settings.redis.prefix).rotated(key_id(old_key)), notice, "EX", KEPT)
        line.close()
    except FAILURES:
        return False
    return True


def changes_for(redis: RedisSettings, *, ca_file: str) -> dict[str, config_file.Value]:
    """Make the settings of a member."""
    return {
        "redis.url": redis.url,
        "redis.prefix": None if redis.prefix == RedisSettings().prefix else redis.prefix,
        "redis.cluster": redis.cluster or None,
        "redis.ca_file": ca_file or None,
    }


def authority_file(place: Places) -> Path:
    """Where the certificate of a private authority is kept."""
    return place.state / "fleet-ca.pem"


def become_member(
    place: Places, changes: dict[str, config_file.Value], ring: KeyRing, invitation: Invitation | None = None
) -> None:
    """Write the keys, then the settings, so that a daemon that reads them finds both; all or nothing."""
    from teleclaude.sync.fleet import members_file  # noqa: PLC0415

    private_folder(place.state)
    members_file.load_identity(place)
    before = keyring.load_ring(place)
    if invitation and invitation.inviter_key:
        members_file.believe(place, invitation.inviter, invitation.inviter_key)
    keyring.save_ring(place, ring)
    try:
        config_file.change(place.settings_file, changes)
    except (TeleclaudeError, OSError):
        keyring.save_ring(place, before) if before else keyring.forget_ring(place)
        raise
    tell_daemon(place)


def invitation_to(place: Places, settings: Settings, redis: RedisSettings, key: bytes) -> str:
    """Make the join string of the fleet that this computer is in, with this Redis and key."""
    url = redis.url
    if settings.fleet.embedded:
        _, url = embedded_urls(settings.fleet.embedded, settings, unquote(urlsplit(url).password or ""))
    authority = read_authority(redis.ca_file) if redis.ca_file else ""
    return make_string(place, settings, redis, url, key, authority)


def make_string(place: Places, settings: Settings, redis: RedisSettings, url: str, key: bytes, authority: str) -> str:
    """Make the join string of a fleet, in the name of this computer. `url`: by which others reach Redis."""
    from teleclaude.sync.fleet.members_file import load_identity  # noqa: PLC0415

    public = load_identity(place).public
    return keyring.join_string(
        Invitation(url, redis.prefix, redis.cluster, key, authority, settings.computer.name, public)
    )


def tell_daemon(place: Places) -> None:
    """Have a daemon that runs read keys and settings anew; say what it could not do."""
    try:
        lifecycle.reload(place)
    except Unavailable as error:
        if "no teleclaude daemon runs" not in error.message:  # then the next one reads it
            say_aside(f"Careful: {error.message}")


def clean(settings: Settings) -> None:
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
        say_aside("Redis cannot be reached: what this computer had there goes by itself.")
