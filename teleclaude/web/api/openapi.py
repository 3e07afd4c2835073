"""The OpenAPI 3.1 document: schemas from the very structs that are read and written, paths by hand."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

import msgspec

from teleclaude import __version__
from teleclaude.core.lifeline import WorkerState
from teleclaude.core.records import Computer, Project, Service, Session, StartedSession, Todo
from teleclaude.core.requests import KEYS_LIMIT, OUTPUT_LINES_LIMIT, TITLE_LIMIT
from teleclaude.web.api.bodies import KeysBody, MessageBody, RefreshBody, StartBody, TitleBody
from teleclaude.web.api.queries import FILTERS, STATUSES

Schema = dict[str, Any]


class ProjectWithTodos(Project, frozen=True, kw_only=True):
    """A project with the todos in it."""

    todos: list[Todo]


class AgentAnswer(msgspec.Struct, frozen=True):
    """A profile from the settings."""

    name: str
    colour: str
    command: str
    thinking_modes: list[str]


class HealthAnswer(msgspec.Struct, frozen=True):
    """How the daemon is."""

    status: str
    computer: str
    version: str
    workers: dict[str, WorkerState]
    services: list[Service]
    stale: bool
    reason: str
    epoch: str
    data_version: int


class OutputAnswer(msgspec.Struct, frozen=True):
    """The last lines of a session, with colours (SGR)."""

    session_id: str
    text: str


class DoneAnswer(msgspec.Struct, frozen=True):
    """The command ended well."""

    status: str


class ErrorDetail(msgspec.Struct, frozen=True):
    """What went wrong; `field` names the input that is to blame."""

    code: str
    message: str
    field: str | msgspec.UnsetType = msgspec.UNSET


class ErrorAnswer(msgspec.Struct, frozen=True):
    """Every answer from 400 on."""

    error: ErrorDetail


_LISTED: Final[dict[str, type]] = {
    "computers": Computer,
    "projects": Project,
    "sessions": Session,
    "todos": Todo,
    "projects-with-todos": ProjectWithTodos,
}
_TYPES: Final = (
    *_LISTED.values(),
    *(StartedSession, AgentAnswer, HealthAnswer, OutputAnswer, DoneAnswer, ErrorAnswer),
    *(StartBody, MessageBody, KeysBody, TitleBody, RefreshBody),
)
_ERRORS: Final = {
    "400": "A parameter, a field of the body or the request itself is wrong",
    "401": "On TCP: no valid token",
    "403": "The Host or Origin is not allowed, or the computer does not allow the command",
    "404": "Nothing has that id or name",
    "409": "Several sessions have that prefix, or the state forbids the command",
    "411": "A chunked body",
    "413": "Over a limit",
    "415": "The body is not application/json",
    "431": "The head is over a limit",
    "500": "An error of the daemon",
    "503": "A part of the daemon, or the other computer, does not answer; a command was not run",
    "504": "Nobody said in time how the command ended; it may have run",
}
_READ: Final = ("400", "401", "403", "431", "500", "503")
_FIND: Final = (*_READ, "404", "409")
_ACT: Final = (*_FIND, "411", "413", "415", "504")
_NO_NUL: Final = r"^[^\x00]*$"
_LIMITS: Final[dict[tuple[str, str], Schema]] = {
    ("StartBody", "computer"): {"minLength": 1},
    ("StartBody", "project"): {"minLength": 1, "maxLength": 4096, "pattern": _NO_NUL},
    ("StartBody", "agent"): {"minLength": 1, "maxLength": TITLE_LIMIT, "pattern": _NO_NUL},
    ("StartBody", "title"): {"maxLength": TITLE_LIMIT, "pattern": _NO_NUL},
    ("MessageBody", "text"): {"minLength": 1},
    ("KeysBody", "keys"): {
        "minItems": 1,
        "maxItems": KEYS_LIMIT,
        "items": {"type": "string", "minLength": 1, "maxLength": 32, "pattern": _NO_NUL},
    },
    ("TitleBody", "title"): {"minLength": 1, "maxLength": TITLE_LIMIT, "pattern": _NO_NUL},
}


@cache
def document() -> Schema:
    """Give the document."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "teleclaude",
            "version": __version__,
            "description": "One live view of all terminals and agent sessions. Changes are pushed on /ws (WebSocket).",
        },
        "paths": _paths(),
        "components": {
            "schemas": _schemas(),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "description": "On TCP only."}},
        },
        "security": [{}, {"token": []}],
    }


def _schemas() -> dict[str, Schema]:
    _, found = msgspec.json.schema_components(_TYPES, ref_template="#/components/schemas/{name}")
    for (name, field), limits in _LIMITS.items():
        found[name]["properties"][field].update(limits)
    return found


def _paths() -> dict[str, Schema]:
    found: dict[str, Schema] = {f"/{what}": {"get": _listing(what)} for what in FILTERS}
    at_computer = {"parameters": [_at_computer()]}
    found["/sessions"]["post"] = _act("startSession", "Start an agent in a project", StartBody, StartedSession, "201")
    found["/sessions/{session_id}"] = {
        "parameters": [_session_id()],
        "get": _get("getSession", "One session, by its id or a unique prefix of it", _ref(Session), _FIND, read=True),
        "patch": _act("renameSession", "Give a session another title", TitleBody, Session) | at_computer,
        "delete": _act("endSession", "End a session", None, DoneAnswer) | at_computer,
    }
    found["/sessions/{session_id}/output"] = {
        "parameters": [_session_id()],
        "get": _get("getOutput", "The last lines of a session", _ref(OutputAnswer), (*_FIND, "504"))
        | {
            "parameters": [
                _at_computer(),
                _query("lines", {"type": "integer", "minimum": 1, "maximum": OUTPUT_LINES_LIMIT}),
            ]
        },
    }
    for name, body, what in (
        ("message", MessageBody, "Paste a text and press Enter"),
        ("keys", KeysBody, "Press keys"),
    ):
        found[f"/sessions/{{session_id}}/{name}"] = {
            "parameters": [_session_id()],
            "post": _act(f"{name}Session", what, body, DoneAnswer) | at_computer,
        }
    found["/refresh"] = {"post": _act("refresh", "Look again at everything, now", RefreshBody, DoneAnswer)}
    found["/refresh"]["post"]["requestBody"]["required"] = False
    found["/agents"] = {"get": _get("getAgents", "Agent profiles", _array(AgentAnswer))}
    found["/health"] = {"get": _get("getHealth", "How the daemon is", _ref(HealthAnswer))}
    found["/openapi.json"] = {"get": _get("getDocument", "This document", {"type": "object"})}
    found["/metrics"] = {"get": _get("getMetrics", "Numbers for Prometheus", {"type": "string"})}
    answers = found["/metrics"]["get"]["responses"]
    answers["200"]["content"] = {"text/plain": {"schema": {"type": "string"}}}
    return found


def _at_computer() -> Schema:
    """Give the parameter that sends a command to a computer whose sessions nobody here looks at."""
    return _query("computer", {"type": "string"})


def _listing(what: str) -> Schema:
    statuses = STATUSES.get(what)
    schemas: dict[str, Schema] = {name: {"type": "string"} for name in FILTERS[what]}
    if statuses:
        schemas["status"]["enum"] = list(statuses)
    name = "list" + what.title().replace("-", "")
    found = _get(name, f"All {what.replace('-', ' ')} that fit", _array(_LISTED[what]), read=True)
    return found | {"parameters": [_query(name, schema) for name, schema in schemas.items()]}


def _get(name: str, what: str, schema: Schema, errors: tuple[str, ...] = _READ, *, read: bool = False) -> Schema:
    answers = {"200": _answer("Found", schema), **_errors(errors)}
    if read:
        answers["200"]["headers"] = {
            "ETag": {"schema": {"type": "string"}, "required": True},
            "X-Teleclaude-Stale": {"schema": {"type": "string"}, "description": "Why this may be old"},
        }
        answers["304"] = {"description": "As it was at the ETag that If-None-Match names"}
    return {"operationId": name, "summary": what, "responses": answers}


def _act(name: str, what: str, body: type | None, answer: type, status: str = "200") -> Schema:
    found: Schema = {
        "operationId": name,
        "summary": what,
        "responses": {status: _answer("Done", _ref(answer)), **_errors(_ACT)},
    }
    if body is not None:
        found["requestBody"] = {"required": True, "content": {"application/json": {"schema": _ref(body)}}}
    return found


def _errors(codes: tuple[str, ...]) -> Schema:
    return {code: _answer(_ERRORS[code], _ref(ErrorAnswer)) for code in sorted(codes)}


def _answer(what: str, schema: Schema) -> Schema:
    return {"description": what, "content": {"application/json": {"schema": schema}}}


def _ref(of: type) -> Schema:
    return {"$ref": f"#/components/schemas/{of.__name__}"}


def _array(of: type) -> Schema:
    return {"type": "array", "items": _ref(of)}


def _query(name: str, schema: Schema) -> Schema:
    return {"name": name, "in": "query", "schema": schema}


def _session_id() -> Schema:
    schema = {"type": "string", "minLength": 1}
    return {"name": "session_id", "in": "path", "required": True, "schema": schema, "description": "Or a unique prefix"}
