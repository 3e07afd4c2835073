"""`teleclaude service`: the daemon as a service of the user's systemd."""

from __future__ import annotations

import os
import sys

import click

from teleclaude.cli.table import say
from teleclaude.core.paths import places
from teleclaude.daemon import lifecycle
from teleclaude.daemon import systemd_unit as unit


@click.group()
def service() -> None:
    """Run the daemon as a service of your systemd: it starts when you log in, and comes back when it fails."""


@service.command()
def install() -> None:
    """Write the unit, enable it and start it."""
    _say_all(unit.install(places(), os.environ, lifecycle.stop))


@service.command()
def uninstall() -> None:
    """Stop it and remove the unit. tmux sessions stay."""
    _say_all(unit.uninstall(os.environ))


@service.command()
def status() -> None:
    """How the service is. Exit status 0 when it is active, else 1."""
    found = unit.state(os.environ)
    if not found.installed:
        say(f"not installed ({found.path} is not there)")
    else:
        say(f"{found.path} is {found.enabled or 'not enabled'}")
        say(f"{unit.UNIT} is {found.active}" + (f" (pid {found.pid}): {found.text}" if found.pid else ""))
    sys.exit(0 if found.active == "active" else 1)


def _say_all(lines: list[str]) -> None:
    for line in lines:
        say(line)
