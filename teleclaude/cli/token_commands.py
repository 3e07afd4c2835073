"""`teleclaude token`: who may come in over TCP."""

from __future__ import annotations

import time

import click

from teleclaude.cli.table import print_table, say
from teleclaude.core.errors import InvalidField
from teleclaude.core.paths import places
from teleclaude.core.records import utc_text
from teleclaude.core.settings import NAME_LIMIT
from teleclaude.core.text import has_control
from teleclaude.web.http.security import Tokens, tokens_file


@click.group()
def token() -> None:
    """Tokens for the API over TCP ([api] tcp in the settings). Only their hashes are stored."""


@token.command()
@click.argument("name")
@click.option("--days", default=0.0, type=click.FloatRange(0), help="How long it counts; for ever if not said.")
def create(name: str, days: float) -> None:
    """Make a token called NAME and print it, once. One of that name is replaced."""
    if not name or len(name) > NAME_LIMIT or has_control(name):
        raise InvalidField("name", f"must be 1 to {NAME_LIMIT} visible characters")
    click.echo(_tokens().add(name, days=days))


@token.command("list")
def list_() -> None:
    """List the tokens' names."""
    now = time.time()
    rows = [(t.name, _until(t.expires, now)) for t in _tokens().known()]
    if rows:
        print_table(("NAME", "COUNTS"), rows)
    else:
        say("no tokens")


@token.command()
@click.argument("name")
def revoke(name: str) -> None:
    """Forget the token called NAME; it counts no more, at once."""
    _tokens().revoke(name)
    say(f"{name} counts no more")


def _tokens() -> Tokens:
    return Tokens(tokens_file(places().state))


def _until(expires: float, now: float) -> str:
    if not expires:
        return "for ever"
    return f"until {utc_text(expires)}" if expires > now else "no more"
