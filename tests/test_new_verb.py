"""A new verb is one entry and one function: it is in REST, OpenAPI, the permissions and the command line by itself."""

from __future__ import annotations

from typing import Annotated, Any

import click.testing
import msgspec
import pytest
from msgspec import Meta

from teleclaude.cli import verb_commands
from teleclaude.cli.main import CommandGroup, teleclaude
from teleclaude.cli.session_commands import MANNERS
from teleclaude.client.api import Api
from teleclaude.core.requests import Request, new_id
from teleclaude.core.settings import parse
from teleclaude.core.verbs import VERBS, CommandDone, SessionId, Verb, VerbArgs, right_of, rights_of, table
from teleclaude.sync.commands.actions import Actions
from teleclaude.sync.commands.executor import Executor
from teleclaude.sync.fleet.owner import permissions
from teleclaude.web.api.openapi import document
from teleclaude.web.api.queries import RecordFields
from teleclaude.web.flask_app import make_app


class Pause(VerbArgs, frozen=True, kw_only=True, tag="pause"):
    """Let a session rest."""

    session_id: SessionId
    reason: Annotated[str, Meta(min_length=1, max_length=10, description="Why")]
    minutes: Annotated[int, Meta(ge=1, le=60, description="How long")] = 5


PAUSE = Verb(Pause, "message", "Let a session rest", route="/sessions/{session_id}/pause")
WITH_PAUSE = table((*VERBS.values(), PAUSE))


class View:
    """One session, and one computer that runs what it is told."""

    def __init__(self) -> None:
        self.ran: list[tuple[str, VerbArgs]] = []

    def known_computer(self, name: str | None) -> str:
        """Any."""
        return name or "here"

    def session(self, prefix: str, computer: str) -> tuple[RecordFields, bytes]:
        """It."""
        return RecordFields(session_id="abcdef", computer=computer or "here"), b""

    def run(self, computer: str, args: VerbArgs) -> dict[str, Any]:
        """Note it."""
        self.ran.append((computer, args))
        return {}


@pytest.fixture
def view() -> View:
    """The view."""
    return View()


@pytest.fixture
def client(view: View) -> Any:
    """A client of an application with the new verb."""
    context: Any = type("Context", (), {"queries": view, "commands": view, "settings": parse("")})()
    return make_app(context, context, WITH_PAUSE).test_client()


def test_in_rest(client: Any, view: View) -> None:
    """The route takes the arguments, checks their limits, and gives the command to the session's computer."""
    answer = client.post("/sessions/abc/pause", json={"reason": "tea"})
    assert (answer.status_code, answer.json) == (200, {"status": "ok"})
    assert view.ran == [("here", Pause(session_id="abcdef", reason="tea"))]
    for body, name in (({"reason": "x" * 11}, "reason"), ({"reason": "x", "minutes": 0}, "minutes"), ({}, "reason")):
        refused = client.post("/sessions/abc/pause", json=body)
        assert (refused.status_code, refused.json["error"]["field"]) == (400, name)
    assert len(view.ran) == 1


def test_in_openapi(client: Any) -> None:
    """The document has its route, its body with the limits, and its answer."""
    found = client.get("/openapi.json").json
    assert found == msgspec.json.decode(msgspec.json.encode(document(WITH_PAUSE)))
    operation = found["paths"]["/sessions/{session_id}/pause"]["post"]
    assert operation["summary"] == "Let a session rest"
    body = found["components"]["schemas"]["PauseBody"]["properties"]
    assert body["minutes"] == {"type": "integer", "minimum": 1, "maximum": 60, "default": 5, "description": "How long"}
    assert CommandDone.__name__ in operation["responses"]["200"]["content"]["application/json"]["schema"]["$ref"]


def test_in_the_permissions() -> None:
    """Another computer needs the right that the entry names."""
    args = Pause(session_id="abc", reason="tea")
    assert (right_of("pause", WITH_PAUSE), rights_of(args, WITH_PAUSE)) == ("message", ("message",))


def test_on_the_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """What must be said is an argument, the rest an option with its limits, and it is sent by its route."""
    sent: list[tuple[Any, ...]] = []

    class Recorder(Api):
        def run(self, verb: Verb, *, computer: str = "", **fields: Any) -> Any:
            sent.append((verb.name, computer, fields))
            return CommandDone()

    monkeypatch.setattr(verb_commands, "Api", Recorder)
    command = verb_commands.command_of(PAUSE)
    done = click.testing.CliRunner().invoke(command, ["abc", "tea", "--minutes", "9", "--computer", "raspi"])
    assert (done.exit_code, done.output) == (0, "")
    assert sent == [("pause", "raspi", {"session_id": "abc", "reason": "tea", "minutes": 9})]
    assert click.testing.CliRunner().invoke(command, ["abc", "tea", "--minutes", "61"]).exit_code == 2
    assert "How long." in click.testing.CliRunner().invoke(command, ["--help"]).output


def test_where_it_runs() -> None:
    """The method of its name is called with the arguments and the request."""

    class WithPause(Actions):
        def __init__(self) -> None:
            self.ran: list[VerbArgs] = []

        def await_first_look(self, request: Request) -> None:
            """There is nothing to look at."""

        def pause(self, args: Pause, _request: Request) -> dict[str, Any]:
            """Note it."""
            self.ran.append(args)
            return {"rests": args.minutes}

    actions = WithPause()
    args = Pause(session_id="abc", reason="tea")
    request = Request(id=new_id(), computer="here", args=args, deadline=float("inf"))
    assert Executor(actions, WITH_PAUSE).run(request).data == {"rests": 5}
    assert actions.ran == [args]


def test_every_verb_has_its_function_and_its_command() -> None:
    """Nothing in the table is left without what does it; what has a route has a command of its name."""
    group = teleclaude
    assert isinstance(group, CommandGroup)
    context = click.Context(group)
    for verb in VERBS.values():
        assert callable(getattr(Actions, verb.name))
        command = group.get_command(context, verb.name)
        assert (command is not None) == bool(verb.route)
        if verb.route:
            assert verb.name in group.list_commands(context)
    assert set(MANNERS) <= set(VERBS)


def test_a_start_with_a_message_needs_both_rights() -> None:
    """Who may start but not message, starts without a first message only."""
    start: Any = VERBS["start"].args
    settings = parse('[fleet.allow]\n"*" = ["view", "start"]\n')
    assert permissions.lacking(settings, "raspi", start(project="/p", agent="claude")) is None
    assert permissions.lacking(settings, "raspi", start(project="/p", agent="claude", message="x")) == "message"
