"""`teleclaude status`."""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import click

from teleclaude.cli.shown import offline, status_of
from teleclaude.cli.table import print_json, print_table, say
from teleclaude.client.api import Api, Health
from teleclaude.core.errors import Unavailable
from teleclaude.core.paths import Places, places
from teleclaude.core.records import utc_seconds
from teleclaude.daemon.main_socket import holder
from teleclaude.tui.ages import age_text


@click.command()
@click.option("--json", "as_json", is_flag=True, help="The daemon's own words, as JSON.")
@click.option("--tmux", is_flag=True, help="Only ◆ waiting ● working ✗ failed, of all computers, for a status line.")
@click.option("--colours", is_flag=True, help="With --tmux: in tmux' styles.")
def status(as_json: bool, tmux: bool, colours: bool) -> None:
    """How the daemon is, its workers, and what it depends on.

    Exit status: 0 when all is well, 1 when something is not; with --tmux always 0.
    """
    if tmux:
        script = Path(__file__).with_name("tmux_status.sh")
        os.execv("/bin/sh", ["sh", str(script), *(["--colours"] if colours else [])])  # noqa: S606  (words of ours)
    place = places()
    pid = holder(place)
    if pid is None:
        raise Unavailable("no teleclaude daemon runs: `teleclaude daemon start` starts it")
    api = Api(place.api_socket)
    try:
        health = api.health()
    except Unavailable as error:
        if as_json:
            raise
        _print_states(place)
        raise Unavailable(f"the daemon (pid {pid}) runs but does not answer: {error}") from error
    if as_json:
        print_json(health)
    else:
        _print_health(health, pid)
        _print_counts(api)
    sys.exit(0 if health.status == "ok" else 1)


def _print_health(health: Health, pid: int) -> None:
    reason = f": {health.reason}" if health.reason else ""
    say(f"{health.computer} is {health.status}{reason} (teleclaude {health.version}, pid {pid})")
    rows = [
        (name, state.state, str(state.pid or "-"), _since(state.since), str(state.restarts), state.reason)
        for name, state in health.workers.items()
    ]
    print_table(("PROCESS", "STATE", "PID", "SINCE", "RESTARTS", ""), rows)
    if health.services:
        services = [(s.name, s.state, _since(s.since), s.reason) for s in health.services]
        print_table(("SERVICE", "STATE", "SINCE", ""), services)


def _print_counts(api: Api) -> None:
    computers, sessions, todos = api.computers(), api.sessions(), api.todos()
    gone = offline(computers)
    say(f"{_counted(len(computers), 'computer')}, {_counted(len(api.projects()), 'project')}")
    say(_counted(len(sessions), "session") + _by_status(status_of(session, gone) for session in sessions))
    say(_counted(len(todos), "todo") + _by_status(todo.status for todo in todos))


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _by_status(statuses: Iterable[str]) -> str:
    counts = Counter(statuses)
    return ": " + ", ".join(f"{number} {name}" for name, number in counts.most_common()) if counts else ""


def _print_states(place: Places) -> None:
    from teleclaude.daemon.lifecycle import worker_states  # 25 ms, and only for a daemon that does not answer

    rows = [(name, state.state, str(state.pid or "-"), state.reason) for name, state in worker_states(place).items()]
    if rows:
        print_table(("PROCESS", "STATE", "PID", ""), rows)


def _since(text: str) -> str:
    seconds = utc_seconds(text)
    return "" if seconds is None else age_text(time.time() - seconds)
