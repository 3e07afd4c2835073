"""The GET routes: pure reads of the snapshot, each with an ETag of epoch and version."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from flask import Blueprint, Response, request

from teleclaude import __version__
from teleclaude.core.errors import InvalidField, Unavailable
from teleclaude.core.verbs import VERBS, Verb
from teleclaude.web.api.api_context import ApiContext
from teleclaude.web.api.queries import FILTERS

JSON = "application/json"


def routes(context: ApiContext, verbs: Mapping[str, Verb] = VERBS) -> Blueprint:
    """Make the routes."""
    found = Blueprint("rest", __name__)
    for what in FILTERS:
        found.add_url_rule(f"/{what}", what, _listing(context, what))

    @found.get("/sessions/<session_id>")
    def session(session_id: str) -> Response:
        at = parameters("computer").get("computer", "")
        return _read(context, context.queries.session(session_id, at)[1])

    @found.get("/agents")
    def agents() -> Response:
        parameters()
        return json_response(
            [
                {
                    "name": name,
                    "colour": profile.colour,
                    "command": profile.command,
                    "thinking_modes": sorted(profile.thinking_modes),
                }
                for name, profile in sorted(context.settings.agents.items())
            ]
        )

    @found.get("/health")
    def health() -> Response:
        parameters()
        return json_response(_health(context))

    @found.get("/metrics")
    def metrics() -> Response:
        parameters()
        return Response(context.metrics(), content_type="text/plain; version=0.0.4; charset=utf-8")

    @found.get("/openapi.json")
    def openapi() -> Response:
        parameters()
        from teleclaude.web.api.openapi import document  # noqa: PLC0415  (rarely asked for, and half a megabyte)

        return json_response(document(verbs))

    return found


def json_response(data: Any, status: int = 200) -> Response:
    """Make a JSON answer."""
    return Response(msgspec.json.encode(data), status, content_type=JSON)


def parameters(*allowed: str) -> dict[str, str]:
    """Give the query's parameters. Raises InvalidField for one that is not allowed, or is there twice."""
    for name, values in request.args.lists():
        if name not in allowed:
            raise InvalidField(name, f"is no parameter here; there are: {', '.join(allowed) or 'none'}")
        if len(values) > 1:
            raise InvalidField(name, "is there twice")
    return request.args.to_dict()


def _listing(context: ApiContext, what: str) -> Any:
    def listing() -> Response:
        return _read(context, context.queries.listing(what, parameters(*FILTERS[what])))

    return listing


def _read(context: ApiContext, body: bytes) -> Response:
    tag = context.queries.tag
    if request.if_none_match.contains_weak(tag.strip('"')):
        found = Response(status=304)
        del found.headers["Content-Type"]
    else:
        found = Response(body, content_type=JSON)
    found.headers["ETag"] = tag
    found.headers["Cache-Control"] = "no-cache"
    if context.queries.stale:
        found.headers["X-Teleclaude-Stale"] = context.queries.stale
    return found


def _health(context: ApiContext) -> dict[str, Any]:
    reason = context.queries.stale
    try:
        snapshot = context.queries.snapshot
        epoch, version = snapshot.epoch, snapshot.version
    except Unavailable as error:
        epoch, version = "", 0
        reason = reason or error.message
    return {
        "status": "degraded" if reason else "ok",
        "computer": context.settings.computer.name,
        "version": __version__,
        "workers": context.workers.states,
        "services": context.services() if epoch else [],
        "stale": bool(reason),
        "reason": reason,
        "epoch": epoch,
        "data_version": version,
    }
