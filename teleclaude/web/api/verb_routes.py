"""The routes that act, made from the table of verbs: a strict body in, a command to its computer, its outcome out."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from flask import Blueprint, Response, request

from teleclaude.core.errors import InvalidField, NotFound, PeerError
from teleclaude.core.records import EVERYWHERE
from teleclaude.core.verbs import VERBS, Verb, invalid_field
from teleclaude.web.api.api_context import ApiContext
from teleclaude.web.api.read_routes import json_response, parameters
from teleclaude.web.api.verb_bodies import body_limit, body_type, query_type
from teleclaude.web.http.error_responses import WrongMedia
from teleclaude.web.http.json_body import read_json

_ID = re.compile(r"[0-9a-f]{1,16}")
_STARTED = 1024  # sessions remembered


def routes(context: ApiContext, verbs: Mapping[str, Verb] = VERBS) -> Blueprint:
    """Make the routes."""
    found = Blueprint("verbs", __name__)
    started = Started()
    for verb in verbs.values():
        if verb.route:
            rule = re.sub(r"\{(\w+)\}", r"<\1>", verb.route)
            found.add_url_rule(rule, verb.name, _view(context, verb, started), methods=[verb.method])
    return found


class Started:
    """The computers of sessions that were started through here: each may be acted on before it is in the view.

    That of another computer comes into it some milliseconds after the answer, or never, while nobody looks there.
    """

    def __init__(self) -> None:
        self._computers: OrderedDict[str, str] = OrderedDict()

    def note(self, session_id: str, computer: str) -> None:
        """Note where a session was started."""
        self._computers[session_id] = computer
        while len(self._computers) > _STARTED:
            self._computers.popitem(last=False)

    def computer(self, session_id: str) -> str:
        """Where a session with this whole id was started; empty when it was not started here."""
        return self._computers.get(session_id, "")


def _view(context: ApiContext, verb: Verb, started: Started) -> Callable[..., Response]:
    read = _query_reader(verb) if verb.method == "GET" else _body_reader(verb)

    def view(session_id: str = "") -> Response:
        fields = read()
        named = fields.pop("computer", None)
        if verb.is_for_session:
            computer, fields["session_id"] = _target(context, session_id, named or started.computer(session_id))
        else:
            computer = EVERYWHERE if verb.is_for_all and not named else context.queries.known_computer(named)
        data = context.commands.run(computer, verb.args(**fields))
        answer = _response(verb, data, computer, fields.get("session_id", ""))
        if verb.status == 201:  # noqa: PLR2004  (HTTP: created)
            started.note(data["session"]["session_id"], computer)
        return answer

    return view


def _query_reader(verb: Verb) -> Callable[[], dict[str, Any]]:
    kind = query_type(verb)

    def read() -> dict[str, Any]:
        given = parameters("computer", *kind.__struct_fields__)
        computer = given.pop("computer", None)
        try:
            found = msgspec.convert(given, kind, strict=False)
        except msgspec.ValidationError as error:
            raise invalid_field(error) from error
        return msgspec.structs.asdict(found) | {"computer": computer}

    return read


def _body_reader(verb: Verb) -> Callable[[], dict[str, Any]]:
    """Give what reads the body. It raises WrongMedia, InvalidField, BadRequest; Flask answers 413 over the limit."""
    kind, limit = body_type(verb), body_limit(verb)
    decoder = msgspec.json.Decoder(kind) if kind else None
    in_query = ("computer",) if verb.is_for_session else ()
    may_be_absent = kind is not None and not any(field.required for field in msgspec.structs.fields(kind))

    def read() -> dict[str, Any]:
        given: dict[str, Any] = dict(parameters(*in_query))
        if decoder is None or (may_be_absent and not request.content_length):
            return given
        if request.mimetype != "application/json":
            raise WrongMedia("the body must be JSON: Content-Type: application/json", field="content-type")
        request.max_content_length = limit
        data = request.get_data(cache=False)
        if not data:
            raise InvalidField("body", "is missing")
        return given | msgspec.structs.asdict(read_json(decoder, data))

    return read


def _target(context: ApiContext, prefix: str, computer: str | None) -> tuple[str, str]:
    """Give (computer, id) of the session that a command is for.

    A session in the view is found by its id or a prefix. On a computer that is named it need not be in the view; and
    what is not there may have ended here, which this computer itself knows. Raises NotFound, Ambiguous.
    """
    at = context.queries.known_computer(computer)
    try:
        row, _ = context.queries.session(prefix, computer or "")
    except NotFound:
        if not _ID.fullmatch(prefix):
            raise
        return at, prefix
    return row.computer, row.session_id


def _response(verb: Verb, data: dict[str, Any], computer: str, session_id: str) -> Response:
    """Tell a verb's data in the form of its answer. Raises PeerError for data that is no such answer."""
    session = data.get("session")
    fields = {"session_id": session_id, **(session if isinstance(session, dict) else {}), **data}
    try:
        answer = msgspec.convert(fields, verb.answer)
    except msgspec.ValidationError as error:
        raise PeerError(f"{computer} answered what cannot be read: {error}") from error
    made = json_response(answer, verb.status)
    if verb.status == 201:  # noqa: PLR2004  (HTTP: created)
        made.headers["Location"] = f"/sessions/{fields['session_id']}"
    return made
