"""The routes that act: a strict body in, a command to the sync process, its outcome out."""

from __future__ import annotations

from typing import TypeVar

import msgspec
from flask import Blueprint, Response, request

from teleclaude.core.errors import InvalidField
from teleclaude.core.requests import Args, End, Keys, Message, Rename, Start
from teleclaude.web.api.bodies import KeysBody, MessageBody, RefreshBody, StartBody, TitleBody
from teleclaude.web.api.error_responses import WrongMedia
from teleclaude.web.api.rest import TARGET, answer, parameters, target
from teleclaude.web.context import Parts
from teleclaude.web.http.head import BODY_LIMIT, TEXT_BODY_LIMIT
from teleclaude.web.push.incoming import read
from teleclaude.web.push.socket import known, refresh

T = TypeVar("T")


_start = msgspec.json.Decoder(StartBody)
_message = msgspec.json.Decoder(MessageBody)
_keys = msgspec.json.Decoder(KeysBody)
_title = msgspec.json.Decoder(TitleBody)
_refresh = msgspec.json.Decoder(RefreshBody)


def routes(parts: Parts) -> Blueprint:
    """Make the routes."""
    found = Blueprint("commands", __name__)

    def on_session(prefix: str, make: type[Args], **fields: object) -> dict[str, object]:
        """Run a command on the session with that id or prefix."""
        computer, session_id = target(parts, prefix)
        return parts.commands.run(computer, make(session_id=session_id, **fields))  # type: ignore[arg-type, call-arg]

    @found.post("/sessions")
    def start() -> Response:
        body = _body(_start, TEXT_BODY_LIMIT)
        computer = known(parts.reads, parts.hub.computer, body.computer)
        fields = {name: getattr(body, name) for name in Start.__struct_fields__}
        data = parts.commands.run(computer, Start(**fields))
        session = data["session"]
        became = {"message_sent": data.get("message_sent"), "message_error": data.get("message_error", "")}
        made = answer(session | became, 201)
        made.headers["Location"] = f"/sessions/{session['session_id']}"
        return made

    @found.post("/sessions/<session_id>/message")
    def message(session_id: str) -> Response:
        on_session(session_id, Message, text=_body(_message, TEXT_BODY_LIMIT, TARGET).text)
        return _done()

    @found.post("/sessions/<session_id>/keys")
    def keys(session_id: str) -> Response:
        on_session(session_id, Keys, keys=_body(_keys, BODY_LIMIT, TARGET).keys)
        return _done()

    @found.patch("/sessions/<session_id>")
    def rename(session_id: str) -> Response:
        return answer(on_session(session_id, Rename, title=_body(_title, BODY_LIMIT, TARGET).title)["session"])

    @found.delete("/sessions/<session_id>")
    def end(session_id: str) -> Response:
        parameters(*TARGET)
        on_session(session_id, End)
        return _done()

    @found.post("/refresh")
    def again() -> Response:
        body = _body(_refresh) if request.content_length else RefreshBody()
        refresh(parts.commands, parts.reads, parts.hub.computer, body.computer)
        return _done()

    return found


def _done() -> Response:
    return answer({"status": "ok"})


def _body(decoder: msgspec.json.Decoder[T], limit: int = BODY_LIMIT, allowed: tuple[str, ...] = ()) -> T:
    """Read the body; `allowed` names the query's parameters.

    Raises WrongMedia, InvalidField, BadRequest; Flask answers 413 over the limit.
    """
    parameters(*allowed)
    if request.mimetype != "application/json":
        raise WrongMedia("the body must be JSON: Content-Type: application/json", field="content-type")
    request.max_content_length = limit
    data = request.get_data(cache=False)
    if not data:
        raise InvalidField("body", "is missing")
    return read(decoder, data)
