"""Who may come in. Pure, but for reading the tokens' file.

On the unix socket the kernel says who it is, and the handler asks (SO_PEERCRED). What is left there is a browser that
was led to a local proxy: a request that names an Origin must name an allowed one. On TCP there must be a token, an
allowed Host and, where there is an Origin, an allowed one; all compared whole, never by pattern.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import logging
import secrets
import sys
import time
from pathlib import Path

import msgspec

from teleclaude.core.errors import NotFound, Refused, SettingsError, TeleclaudeError
from teleclaude.core.files import private_folder, write_atomic
from teleclaude.core.paths import places
from teleclaude.core.settings import ApiSettings
from teleclaude.web.http.error_responses import Unauthorised
from teleclaude.web.http.head import Head

log = logging.getLogger(__name__)


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """A token as it is stored: sha256 of it, hex; `expires`: seconds since 1970, 0 for never."""

    name: str
    sha256: str
    expires: float = 0.0


class Tokens:
    """The tokens in a file, which may change at any time: a token added or revoked counts at once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: tuple[int, int] | None = None
        self._tokens: list[Token] = []

    def add(self, name: str, *, days: float = 0.0) -> str:
        """Make a token of 256 bits and store its hash. Gives the token, which nobody can show again."""
        token = secrets.token_urlsafe(32)
        expires = time.time() + days * 86400 if days else 0.0
        self._write(
            [t for t in self._read() if t.name != name] + [Token(name=name, sha256=_hash(token), expires=expires)]
        )
        return token

    def revoke(self, name: str) -> None:
        """Forget a token. Raises NotFound."""
        left = [token for token in self._read() if token.name != name]
        if len(left) == len(self._read()):
            raise NotFound(f"no token is named {name!r}")
        self._write(left)

    def known(self) -> list[Token]:
        """All tokens, as they are stored."""
        return list(self._read())

    def accept(self, token: str, now: float) -> bool:
        """Tell whether it is one of ours and has not expired; takes as long for any."""
        digest = _hash(token)
        found = [hmac.compare_digest(digest, known.sha256) and not 0 < known.expires <= now for known in self._read()]
        return any(found)

    def _read(self) -> list[Token]:
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return []
        stamp = (found.st_mtime_ns, found.st_ino)
        if stamp != self._stamp:
            try:
                self._tokens = msgspec.json.decode(self._path.read_bytes(), type=list[Token])
            except (OSError, msgspec.MsgspecError) as error:
                log.error("%s cannot be read, so no token counts: %s", self._path, error)  # noqa: TRY400
                self._tokens = []
            self._stamp = stamp
        return self._tokens

    def _write(self, tokens: list[Token]) -> None:
        private_folder(self._path.parent)
        write_atomic(self._path, msgspec.json.encode(tokens))


class Gate:
    """Looks at the head of each request on one listener."""

    def __init__(
        self, origins: frozenset[str], hosts: frozenset[str] | None = None, tokens: Tokens | None = None
    ) -> None:
        self._origins, self._hosts, self._tokens = origins, hosts, tokens

    @property
    def is_local(self) -> bool:
        """Tell whether it is the gate of the unix socket, where the kernel says who comes."""
        return self._tokens is None

    def refusal(self, head: Head, now: float) -> TeleclaudeError | None:
        """Give the reason why a request is refused, or None. `now`: seconds since 1970."""
        headers = head.headers
        if self._hosts is not None and headers.get("host", "").lower() not in self._hosts:
            return Refused("this Host is not allowed here", field="host")
        if "origin" in headers and headers["origin"] not in self._origins:
            return Refused("this Origin is not allowed here", field="origin")
        if self._tokens is not None and not self._tokens.accept(_bearer(headers.get("authorization", "")), now):
            return Unauthorised("a valid token is needed: Authorization: Bearer TOKEN", field="authorization")
        return None


def gate_for_tcp(api: ApiSettings, tokens: Tokens) -> Gate:
    """Make the gate of `[api] tcp`. Raises SettingsError for an address that others reach without TLS or tunnel."""
    address, port = address_of(api)
    if not (_is_loopback(address) or api.behind_tunnel or (api.tls_cert and api.tls_key)):
        raise SettingsError(
            f"`api.tcp` {api.tcp} can be reached by others: set `api.tls_cert` and `tls_key`, or `behind_tunnel`",
            field="api.tcp",
        )
    own = {api.tcp.lower(), f"localhost:{port}"} if _is_loopback(address) else {api.tcp.lower()}
    scheme = "https" if api.tls_cert else "http"
    hosts = own | {host.lower() for host in api.hosts}
    return Gate(frozenset({f"{scheme}://{host}" for host in own} | set(api.origins)), frozenset(hosts), tokens)


def address_of(api: ApiSettings) -> tuple[str, int]:
    """Split "address:port"."""
    address, _, port = api.tcp.rpartition(":")
    return address.strip("[]"), int(port)


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"


def _bearer(authorization: str) -> str:
    scheme, _, token = authorization.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()


def tokens_file(state: Path) -> Path:
    """Where the hashes of the tokens are."""
    return state / "tokens.json"


def main() -> None:
    """Add or revoke a token for TCP: `python -m teleclaude.web.http.security add|revoke NAME`."""
    tokens = Tokens(tokens_file(places().state))
    match sys.argv[1:]:
        case ["add", name]:
            sys.stdout.write(tokens.add(name) + "\n")
        case ["revoke", name]:
            tokens.revoke(name)
        case _:
            sys.exit("usage: python -m teleclaude.web.http.security add|revoke NAME")


if __name__ == "__main__":
    main()
