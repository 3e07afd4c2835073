"""`teleclaude sessions`. It needs no table of verbs, and is what is typed most."""

from __future__ import annotations

import time

import click

from teleclaude.cli.shown import offline, status_and_reason
from teleclaude.cli.table import print_json, print_table, say
from teleclaude.client.api import Api
from teleclaude.core.paths import places
from teleclaude.core.records import Session, utc_seconds
from teleclaude.core.session_title import title_of
from teleclaude.tui.ages import age_text


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Whole records, as a JSON array.")
@click.option("--computer", default="", help="Only of this computer.")
@click.option("--project", default="", help="Only of this project (its path).")
@click.option("--status", default="", help="Only those that are working, waiting, idle, …")
@click.option("-q", "--query", default="", help="Only those that fit: `login @waiting on:raspi -agent:codex`.")
def sessions(as_json: bool, computer: str, project: str, status: str, query: str) -> None:
    """List sessions: those of this computer, and what is known of others."""
    api = Api(places().api_socket)
    found = api.sessions(computer=computer, project=project, status=status, q=query)
    if as_json:
        print_json(found)
        return
    gone = offline(api.computers())
    rows = [_row(session, gone) for session in sorted(found, key=lambda s: (s.computer, s.project, s.created_at))]
    if rows:
        print_table(("ID", "COMPUTER", "PROJECT", "AGENT", "STATUS", "AGE", "TITLE"), rows)
    else:
        say("no sessions")


def _row(session: Session, gone: set[str]) -> tuple[str, ...]:
    moment = utc_seconds(session.last_activity) or utc_seconds(session.created_at)
    age = "" if moment is None else age_text(time.time() - moment)
    status = status_and_reason(session, gone)
    folder = session.project or session.cwd
    return session.session_id, session.computer, folder, session.agent, status, age, title_of(session)
