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

# Command, where it is, and the line that `--help` shows. Verbs (core/verbs.py) stand behind `sessions`.
COMMANDS = {
    "status": ("teleclaude.cli.status_command:status", "How the daemon is, and what it depends on."),
    "sessions": ("teleclaude.cli.list_command:sessions", "List sessions."),
    "restore": ("teleclaude.cli.restore_command:restore", "Bring back sessions that were lost."),
    "next": ("teleclaude.cli.next_command:next_waiting", "Show the next session that waits for an answer."),
    "deny": ("teleclaude.cli.session_commands:deny", "Deny what an agent asks."),
    "fleet": ("teleclaude.cli.fleet_commands:fleet", "One view of several computers."),
    "hooks": ("teleclaude.cli.hook_commands:hooks", "Have agents tell what they do, by hooks in their settings."),
    "daemon": ("teleclaude.cli.daemon_commands:daemon", "Start, stop, restart or reload the daemon."),
    "service": ("teleclaude.cli.service_commands:service", "Run the daemon as a service of your systemd."),
    "token": ("teleclaude.cli.token_commands:token", "Tokens for the API over TCP."),
}


class CommandGroup(click.Group):
    """Loads a command when it is asked for, and tells an expected error as one sentence."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  (click calls it so)
        """Names of all commands, as `--help` shows them."""
        return list(_summaries())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  (click)
        """Load one command, or None when there is none of that name."""
        if cmd_name not in COMMANDS:
            return _verb_command(cmd_name)
        import_msgspec()
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        command = getattr(importlib.import_module(module), name)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  (click)
        """Write the list of commands without loading any."""
        with formatter.section("Commands"):
            formatter.write_dl(list(_summaries().items()))

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; an expected error becomes one sentence and exit status 1."""
        try:
            return super().invoke(ctx)
        except TeleclaudeError as error:
            raise click.ClickException(visible(str(error)) + _what_to_do(error)) from error
        except OSError as error:
            if error.errno == errno.EPIPE:  # who read our output has gone, which click knows
                raise
            raise click.ClickException(visible(explained(error))) from error


def _what_to_do(error: TeleclaudeError) -> str:
    from teleclaude.client.dial import NotRunning  # `--help` needs no sockets

    hint = ": `teleclaude daemon start` starts it, and `teleclaude status` tells how it is"
    return hint if isinstance(error, NotRunning) else ""


def _summaries() -> dict[str, str]:
    """Give each command's line: verbs stand between the sessions and the rest."""
    import_msgspec()
    from teleclaude.core import verbs  # 20 ms, and only the help needs it

    found = {name: text for name, (_, text) in COMMANDS.items()}
    first = {name: found.pop(name) for name in ("status", "sessions", "next")}
    return first | {verb.name: f"{verb.summary}." for verb in verbs.VERBS.values() if verb.route} | found


def _verb_command(name: str) -> click.Command | None:
    import_msgspec()
    from teleclaude.cli import session_commands, verb_commands
    from teleclaude.core import verbs

    verb = verbs.VERBS.get(name)
    if verb is None or not verb.route:
        return None
    return verb_commands.command_of(verb, session_commands.MANNERS.get(name, verb_commands.Manners()))


@click.group(cls=CommandGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
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
