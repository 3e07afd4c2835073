"""`teleclaude daemon`: start, stop, restart and reload."""

from __future__ import annotations

import click

from teleclaude.cli.table import say
from teleclaude.core.paths import places
from teleclaude.daemon import lifecycle


@click.group()
def daemon() -> None:
    """Start, stop, restart or reload the daemon. tmux sessions are never touched by that."""


@daemon.command()
def start() -> None:
    """Start it in the background, unless it runs; return when it answers."""
    say(lifecycle.start(places()))


@daemon.command()
def stop() -> None:
    """End it. tmux sessions stay."""
    say(lifecycle.stop(places()))


@daemon.command()
def restart() -> None:
    """End it and start it again."""
    for done in lifecycle.restart(places()):
        say(done)


@daemon.command()
def reload() -> None:
    """Have it read the settings again, and try workers that were given up. Wrong settings change nothing."""
    say(lifecycle.reload(places()))
