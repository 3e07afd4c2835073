"""`teleclaude`: the command line. One file per command group; a group's file is read only when it is asked for."""

from __future__ import annotations

import errno
import importlib
import os

import click

from teleclaude import __version__
from teleclaude.core.errors import TeleclaudeError, explained
from teleclaude.core.lean import import_msgspec
from teleclaude.core.text import visible

# Command, where it is, and the line that `--help` shows.
COMMANDS = {
    "status": ("teleclaude.cli.status_command:status", "How the daemon is, and what it depends on."),
    "sessions": ("teleclaude.cli.session_commands:sessions", "List sessions."),
    "start": ("teleclaude.cli.session_commands:start", "Start an agent in a project."),
    "message": ("teleclaude.cli.session_commands:message", "Give text to a session."),
    "output": ("teleclaude.cli.session_commands:output", "Show the last lines of a session."),
    "end": ("teleclaude.cli.session_commands:end", "End a session."),
    "fleet": ("teleclaude.cli.fleet_commands:fleet", "One view of several computers."),
    "daemon": ("teleclaude.cli.daemon_commands:daemon", "Start, stop, restart or reload the daemon."),
    "service": ("teleclaude.cli.service_commands:service", "Run the daemon as a service of your systemd."),
    "token": ("teleclaude.cli.token_commands:token", "Tokens for the API over TCP."),
}


class Commands(click.Group):
    """Loads a command when it is asked for, and tells an expected error as one sentence."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  (click calls it so)
        """Names of all commands, as `--help` shows them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  (click)
        """Load one command, or None when there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        import_msgspec()
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        command = getattr(importlib.import_module(module), name)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  (click)
        """Write the list of commands without loading any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; an expected error becomes one sentence and exit status 1."""
        try:
            return super().invoke(ctx)
        except TeleclaudeError as error:
            raise click.ClickException(visible(str(error))) from error
        except OSError as error:
            if error.errno == errno.EPIPE:  # who read our output has gone, which click knows
                raise
            raise click.ClickException(visible(explained(error))) from error


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, message="%(prog)s %(version)s", prog_name="teleclaude")
def teleclaude() -> None:
    """One live view of every terminal and agent session on all of your computers.

    The terminal interface is `teleclaude-tui`.
    """


def main() -> None:
    """Run the command line."""
    os.umask(0o077)
    teleclaude(prog_name="teleclaude")


if __name__ == "__main__":
    main()
