"""`teleclaude restore`: bring back sessions that were lost."""

from __future__ import annotations

import click

from teleclaude.cli.table import say
from teleclaude.client.api import Api
from teleclaude.core.errors import InvalidField, TeleclaudeError, Unavailable
from teleclaude.core.paths import places
from teleclaude.core.records import Session
from teleclaude.core.session_title import title_of
from teleclaude.core.text import visible


@click.command()
@click.argument("session_ids", nargs=-1, metavar="[ID]...")
@click.option("--all", "is_all", is_flag=True, help="All that are lost.")
@click.option("--computer", default="", help="Where they are; here if not said.")
def restore(session_ids: tuple[str, ...], is_all: bool, computer: str) -> None:
    """Bring back sessions that were lost with the computer or its tmux server.

    Each agent resumes what it did, in its folder. Without an ID: list what is lost. `teleclaude forget ID` forgets one.
    """
    api = Api(places().api_socket)
    where = computer or api.health().computer
    lost = [session for session in api.sessions(computer=where) if session.status == "lost"]
    if not session_ids and not is_all:
        for session in lost:
            say(visible(f"{session.session_id}  {session.agent}  {session.cwd}  {title_of(session)}"))
        if not lost:
            say("nothing is lost")
        return
    if session_ids and is_all:
        raise InvalidField("--all", "stands without an ID")
    wanted = [session.session_id for session in lost] if is_all else list(session_ids)
    failed = [each for each in wanted if not _restored(api, each, where)]
    if failed:
        raise Unavailable(f"{len(failed)} of {len(wanted)} did not come back")


def _restored(api: Api, session_id: str, computer: str) -> bool:
    try:
        session: Session = api.restore(session_id, computer=computer)
    except TeleclaudeError as error:
        click.echo(visible(f"{session_id}: {error}"), err=True)
        return False
    say(session.session_id)
    return True
