"""The OpenAPI 3.1 document: schemas from the very structs that are read and written, commands from the verbs' table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from teleclaude import __version__
from teleclaude.core.lifeline import WorkerState
from teleclaude.core.records import Computer, Project, Service, Session, Todo
from teleclaude.core.session_query import LIMIT
from teleclaude.core.verbs import VERBS, SessionId, Verb
from teleclaude.web.api.queries import FILTERS, STATUSES
from teleclaude.web.api.verb_bodies import body_type, query_type

Schema = dict[str, Any]


class ProjectWithTodosAnswer(Project, frozen=True, kw_only=True):
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
    "projects-with-todos": ProjectWithTodosAnswer,
}
_TYPES: Final = (*_LISTED.values(), AgentAnswer, HealthAnswer, ErrorAnswer)
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
    "502": "The other computer answered what cannot be read",
    "503": "A part of the daemon, or the other computer, does not answer; a command was not run",
    "504": "Nobody said in time how the command ended; it may have run",
}
_REF: Final = "#/components/schemas/{}"
_READ: Final = ("400", "401", "403", "431", "500", "503")
_FIND: Final = (*_READ, "404", "409")
_ACT: Final = (*_FIND, "411", "413", "415", "502", "504")


def document(verbs: Mapping[str, Verb] = VERBS) -> Schema:
    """Give the document."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "teleclaude",
            "version": __version__,
            "description": "One live view of all terminals and agent sessions. Changes are pushed on /ws (WebSocket).",
        },
        "paths": _paths(verbs),
        "components": {
            "schemas": _schemas(verbs),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "description": "On TCP only."}},
        },
        "security": [{}, {"token": []}],
    }


def _schemas(verbs: Mapping[str, Verb]) -> dict[str, Schema]:
    routed = [verb for verb in verbs.values() if verb.route]
    bodies = [body for verb in routed if (body := body_type(verb))]
    types = dict.fromkeys((*_TYPES, *(verb.answer for verb in routed), *bodies))
    _, found = msgspec.json.schema_components(types, ref_template=_REF.format("{name}"))
    return found


def _paths(verbs: Mapping[str, Verb]) -> dict[str, Schema]:
    found: dict[str, Schema] = {f"/{what}": {"get": _listing(what)} for what in FILTERS}
    one = _get("getSession", "One session, by its id or a unique prefix of it", _ref(Session), _FIND, read=True)
    found["/sessions/{session_id}"] = {"get": one | {"parameters": [_at_computer()]}}
    for verb in verbs.values():
        if verb.route:
            found.setdefault(verb.route, {})[verb.method.lower()] = _act(verb)
    for path, item in found.items():
        if "{session_id}" in path:
            item["parameters"] = [_session_id()]
    found["/agents"] = {"get": _get("getAgents", "Agent profiles", _array(AgentAnswer))}
    found["/health"] = {"get": _get("getHealth", "How the daemon is", _ref(HealthAnswer))}
    found["/openapi.json"] = {"get": _get("getDocument", "This document", {"type": "object"})}
    found["/metrics"] = {"get": _get("getMetrics", "Numbers for Prometheus", {"type": "string"})}
    answers = found["/metrics"]["get"]["responses"]
    answers["200"]["content"] = {"text/plain": {"schema": {"type": "string"}}}
    return found


def _act(verb: Verb) -> Schema:
    """One verb's operation."""
    body, answer = body_type(verb), _answer("Done", _ref(verb.answer))
    found: Schema = {
        "operationId": f"{verb.name}Session" if verb.route.startswith("/sessions") else verb.name,
        "summary": verb.summary,
        "responses": {str(verb.status): answer, **_errors(_ACT)},
    }
    if body is not None:
        required = any(field.required for field in msgspec.structs.fields(body))
        found["requestBody"] = {"required": required, "content": {"application/json": {"schema": _ref(body)}}}
    if verb.is_for_session:
        found["parameters"] = [_at_computer(), *_in_query(verb)]
    return found


def _in_query(verb: Verb) -> list[Schema]:
    schema = msgspec.json.schema(query_type(verb))["$defs"][query_type(verb).__name__]
    needed = schema.get("required", ())
    return [
        _query(name, of) | ({"required": True} if name in needed else {}) for name, of in schema["properties"].items()
    ]


def _at_computer() -> Schema:
    """Give the parameter that names the computer on which a session is; it need not be one that anybody looks at."""
    return _query("computer", {"type": "string"})


def _listing(what: str) -> Schema:
    statuses = STATUSES.get(what)
    schemas: dict[str, Schema] = {name: {"type": "string"} for name in FILTERS[what]}
    if statuses:
        schemas["status"]["enum"] = list(statuses)
    if "q" in schemas:
        schemas["q"] |= {"maxLength": LIMIT, "description": "Words that fit: `login @waiting on:raspi -agent:codex`"}
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


def _errors(codes: tuple[str, ...]) -> Schema:
    return {code: _answer(_ERRORS[code], _ref(ErrorAnswer)) for code in sorted(codes)}


def _answer(what: str, schema: Schema) -> Schema:
    return {"description": what, "content": {"application/json": {"schema": schema}}}


def _ref(of: type) -> Schema:
    return {"$ref": _REF.format(of.__name__)}


def _array(of: type) -> Schema:
    return {"type": "array", "items": _ref(of)}


def _query(name: str, schema: Schema) -> Schema:
    return {"name": name, "in": "query", "schema": schema}


def _session_id() -> Schema:
    schema = msgspec.json.schema(SessionId)
    return {"name": "session_id", "in": "path", "required": True, "schema": schema, "description": "Or a unique prefix"}
