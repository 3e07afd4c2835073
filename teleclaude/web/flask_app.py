"""The Flask application: routes, /ws, and every error as JSON."""

from __future__ import annotations

import logging
from collections.abc import Mapping

import gevent.event
import gevent.selectors
from flask import Flask, Response, request
from flask_sock import Sock
from simple_websocket import Server as WebSocket
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from wsproto.utilities import RemoteProtocolError

from teleclaude.core.errors import NotFound, TeleclaudeError, TooLarge
from teleclaude.core.verbs import VERBS, Verb
from teleclaude.web.api import read_routes, verb_routes
from teleclaude.web.api.api_context import ApiContext
from teleclaude.web.http.error_responses import BadRequest, NotAllowed, body_of
from teleclaude.web.http.handler import LINE_KEY
from teleclaude.web.push.socket import Conversations
from teleclaude.web.push.subscriptions import MESSAGE_LIMIT
from teleclaude.web.push.websocket_transport import READ_SIZE, ReaderGreenlet

log = logging.getLogger(__name__)

SOCK_OPTIONS = {
    "thread_class": ReaderGreenlet,
    "event_class": gevent.event.Event,
    "selector_class": gevent.selectors.GeventSelector,
    "max_message_size": MESSAGE_LIMIT,
    "receive_bytes": READ_SIZE,
}


def make_app(context: ApiContext, conversations: Conversations, verbs: Mapping[str, Verb] = VERBS) -> Flask:
    """Make the application."""
    app = Flask("teleclaude", static_folder=None)
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    app.config["SOCK_SERVER_OPTIONS"] = SOCK_OPTIONS
    app.url_map.strict_slashes = True
    app.url_map.merge_slashes = False
    app.register_blueprint(read_routes.routes(context, verbs))
    app.register_blueprint(verb_routes.routes(context, verbs))
    sock = Sock(app)

    @sock.route("/ws")  # type: ignore[untyped-decorator]  # flask-sock is untyped
    def ws(websocket: WebSocket) -> None:
        conversations.serve(websocket, request.environ[LINE_KEY])

    app.register_error_handler(TeleclaudeError, _response)
    app.register_error_handler(HTTPException, _http_response)
    app.register_error_handler(RemoteProtocolError, _websocket_response)
    app.register_error_handler(Exception, _fault_response)
    return app


def _response(error: TeleclaudeError) -> Response:
    return Response(body_of(error), error.status, content_type=read_routes.JSON)


def _http_response(error: HTTPException) -> Response:
    """Tell what Flask found wrong in our own form."""
    match error.code:
        case 404:
            return _response(NotFound("there is nothing at this path"))
        case 405:
            found = _response(NotAllowed(f"this path does not know {request.method[:32]}"))
            if isinstance(error, MethodNotAllowed) and error.valid_methods:
                found.headers["Allow"] = ", ".join(sorted(error.valid_methods))
            return found
        case 413:
            return _response(TooLarge("the body is too large", field="body"))
        case code if code is not None and code < 500:  # noqa: PLR2004  (HTTP)
            return _response(BadRequest(error.description or error.name))
    return _fault_response(error)


def _websocket_response(error: RemoteProtocolError) -> Response:
    return _response(BadRequest(f"no WebSocket handshake: {error}"))


def _fault_response(error: Exception) -> Response:
    log.error("a request failed", exc_info=error)
    return _response(TeleclaudeError("an error of ours; the log tells more"))
