"""What is given to `teleclaude fleet` is checked here, before anything is written: URLs, certificates, secrets."""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import click
import msgspec

from teleclaude.core.errors import InvalidField, Refused
from teleclaude.core.settings import RedisSettings

SCHEMES = ("redis", "rediss", "unix")
ENCODE = "in a password write # as %23, / as %2F, ? as %3F and @ as %40"
CERTIFICATES_LIMIT = 64 * 1024  # bytes
_CERTIFICATE = re.compile("-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)


def given_secret(text: str | None, what: str) -> str:
    """Give a secret: itself, from `@FILE`, or, for None and `-`, from standard input; at a terminal it is asked for."""
    if text in {None, "-"} and sys.stdin.isatty():
        return str(click.prompt(what, hide_input=True, err=True)).strip()
    if text is None or text == "-":
        return sys.stdin.read().strip()
    if not text.startswith("@"):
        return text
    try:
        return Path(text[1:]).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidField(what, f"cannot be read from {text[1:]}: {error}") from error


def check_url(url: str) -> str:
    """Give back a Redis URL. Raises InvalidField, which never shows it."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise InvalidField("redis.url", f"is not a URL: its port is not a number ({ENCODE})") from error
    if parts.scheme not in SCHEMES:
        raise InvalidField("redis.url", "must begin with redis://, rediss:// or unix://")
    if parts.fragment or "#" in url:
        raise InvalidField("redis.url", f"must not hold #: {ENCODE}")
    if (parts.query or "?" in url) and not (parts.scheme == "unix" and re.fullmatch("db=[0-9]{1,5}", parts.query)):
        raise InvalidField("redis.url", f"must not hold ?: {ENCODE}")
    if parts.scheme == "unix":
        if not parts.path:
            raise InvalidField("redis.url", "must name a socket, as unix:///run/redis.sock")
        return url
    if not parts.hostname:
        raise InvalidField("redis.url", f"must name a host{'' if port is None else ' before the port'}")
    if parts.path not in {"", "/"} and not re.fullmatch("/[0-9]{1,5}", parts.path):
        raise InvalidField("redis.url", f"must end with the host, its port or the number of a database ({ENCODE})")
    return url


def same_server(one: str, other: str) -> bool:
    """Tell whether two URLs are of one database of one server, whatever the user and password."""
    a, b = urlsplit(one), urlsplit(other)

    def place(url: str) -> tuple[str | None, int, str]:
        parts = urlsplit(url)
        return parts.hostname, parts.port or 6379, parts.path.strip("/") or "0"

    if "unix" in {a.scheme, b.scheme}:
        return (a.scheme, a.path) == (b.scheme, b.path)
    return place(one) == place(other)


def read_authority(path: str) -> str:
    """Read the certificates in a PEM file, and nothing else of it. Raises InvalidField, Refused."""
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise InvalidField("--ca-file", f"cannot be read: {error.strerror}") from error
    return check_authority(data.decode("ascii", "replace"))


def check_authority(pem: str) -> str:
    """Give the certificates that are in a text. Raises InvalidField, Refused."""
    if "PRIVATE KEY" in pem:
        raise Refused("--ca-file holds a private key, which must never leave this computer: give the certificate alone")
    found = "\n".join(_CERTIFICATE.findall(pem)) + "\n"
    if not found.strip() or len(found) > CERTIFICATES_LIMIT:
        how = "`openssl x509 -inform der -in FILE` makes one of a DER file"
        raise InvalidField("--ca-file", f"must be a certificate in PEM, which begins with BEGIN CERTIFICATE ({how})")
    try:
        ssl.create_default_context(cadata=found)
    except (ssl.SSLError, ValueError) as error:
        raise InvalidField("--ca-file", f"holds no certificate that can be read: {error}") from error
    return found


@contextlib.contextmanager
def with_authority(settings: RedisSettings, pem: str) -> Iterator[RedisSettings]:
    """Give settings that trust these certificates, in a file that is there for a while."""
    if not pem:
        yield settings
        return
    with tempfile.NamedTemporaryFile("w", suffix=".pem", encoding="ascii") as file:  # 0600, as mkstemp makes it
        file.write(pem)
        file.flush()
        yield msgspec.structs.replace(settings, ca_file=file.name)


def check_address(host: str, port: int) -> None:
    """Raise InvalidField when no server can listen on this address here."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    near = {"*": "0.0.0.0"}.get(host, host)  # noqa: S104  (an address to try, as the server will)
    try:
        with socket.socket(family, socket.SOCK_STREAM) as found:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            found.bind((near, port))
    except OSError as error:
        why = "is no address of this computer" if error.errno in {99, 49} else f"cannot be used: {error.strerror}"
        raise InvalidField("--embedded", f"{host}:{port} {why}") from error
