"""`teleclaude sessions`, and what is done to one: `start`, `message`, `output`, `end`."""

from __future__ import annotations

import os
import sys
import time

import click

from teleclaude.cli.shown import offline, status_and_reason
from teleclaude.cli.table import print_json, print_table, say
from teleclaude.client.api import Api
from teleclaude.core.errors import InvalidField, Unavailable
from teleclaude.core.paths import places
from teleclaude.core.records import Session, utc_seconds
from teleclaude.core.text import visible
from teleclaude.tui.ages import age_text


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Whole records, as a JSON array.")
@click.option("--computer", default="", help="Only of this computer.")
@click.option("--project", default="", help="Only of this project (its path).")
@click.option("--status", default="", help="Only those that are working, waiting, idle, …")
def sessions(as_json: bool, computer: str, project: str, status: str) -> None:
    """List sessions: those of this computer, and what is known of others."""
    api = _api()
    found = api.sessions(computer=computer, project=project, status=status)
    if as_json:
        print_json(found)
        return
    gone = offline(api.computers())
    rows = [_row(session, gone) for session in sorted(found, key=lambda s: (s.computer, s.project, s.created_at))]
    if rows:
        print_table(("ID", "COMPUTER", "PROJECT", "AGENT", "STATUS", "AGE", "TITLE"), rows)
    else:
        say("no sessions")


@click.command()
@click.argument("project", type=click.Path(file_okay=False))
@click.option("--agent", default="claude", show_default=True, help="The agent's profile.")
@click.option("--computer", default="", help="Where; this computer if not said.")
@click.option("--title", default="", help="The session's title.")
@click.option("--message", "text", default="", help="The first message to the agent.")
@click.option("--thinking-mode", default="", help="One of the profile's thinking modes.")
def start(project: str, agent: str, computer: str, title: str, text: str, thinking_mode: str) -> None:
    """Start an agent in PROJECT, a folder, and print the new session's id.

    Exit status 1 with an id: the session is there, and its first message was not sent.
    """
    api = _api()
    local = api.health().computer
    path = project if computer not in {"", local} else os.path.realpath(os.path.expanduser(project))
    session = api.start(computer or local, path, agent, title=title, message=text, thinking_mode=thinking_mode)
    say(session.session_id)
    if session.message_sent is False:
        raise Unavailable(
            f"the session is there, but the message was not sent: {session.message_error}. "
            f"`teleclaude message {session.session_id[:8]} TEXT` sends it"
        )


@click.command()
@click.argument("session_id")
@click.argument("text", required=False)
def message(session_id: str, text: str | None) -> None:
    """Give TEXT to a session as one paste, then Enter. Without TEXT, or with `-`: standard input.

    SESSION_ID may be any unique beginning of an id.
    """
    given = _standard_input() if text is None or text == "-" else text
    if not given:
        raise InvalidField("text", "is empty")
    _api().message(session_id, given)


@click.command()
@click.argument("session_id")
@click.option("--lines", default=200, show_default=True, type=click.IntRange(1), help="How many.")
def output(session_id: str, lines: int) -> None:
    """Show the last lines of a session, as plain text."""
    for line in _api().output(session_id, lines=lines).splitlines():
        click.echo(visible(_plain(line)))


@click.command()
@click.argument("session_id")
@click.option("--yes", is_flag=True, help="Do not ask.")
def end(session_id: str, yes: bool) -> None:
    """End a session: its pane, and what runs in it."""
    api = _api()
    session = api.session(session_id)
    if not yes:
        click.confirm(visible(f"End {session.title or session.session_id} on {session.computer}?"), abort=True)
    api.end(session.session_id)


def _standard_input() -> str:
    try:
        return sys.stdin.buffer.read().decode()
    except UnicodeDecodeError as error:
        raise InvalidField("text", f"is not UTF-8: {error.reason} at byte {error.start}") from error


def _api() -> Api:
    return Api(places().api_socket)


def _plain(line: str) -> str:
    """A line without its colours."""
    return click.unstyle(line)


def _row(session: Session, gone: set[str]) -> tuple[str, ...]:
    moment = utc_seconds(session.last_activity) or utc_seconds(session.created_at)
    age = "" if moment is None else age_text(time.time() - moment)
    status = status_and_reason(session, gone)
    folder = session.project or session.cwd
    return session.session_id, session.computer, folder, session.agent, status, age, session.title
