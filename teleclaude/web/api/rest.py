"""The GET routes: pure reads of the snapshot, each with an ETag of epoch and version."""

from __future__ import annotations

import re
from typing import Any

from flask import Blueprint, Response, request

from teleclaude import __version__
from teleclaude.core.errors import InvalidField, Unavailable
from teleclaude.core.requests import Output
from teleclaude.web.api.openapi import document
from teleclaude.web.api.queries import FILTERS
from teleclaude.web.context import Parts
from teleclaude.web.push.frames import encode
from teleclaude.web.push.socket import known

TARGET = ("computer",)  # the parameter of commands for a session

JSON = "application/json"
_NUMBER = re.compile(r"[0-9]{1,9}")


def routes(parts: Parts) -> Blueprint:
    """Make the routes."""
    found = Blueprint("rest", __name__)
    for what in FILTERS:
        found.add_url_rule(f"/{what}", what, _listing(parts, what))

    @found.get("/sessions/<session_id>")
    def session(session_id: str) -> Response:
        parameters()
        return _read(parts, parts.reads.session(session_id)[1])

    @found.get("/sessions/<session_id>/output")
    def output(session_id: str) -> Response:
        lines = _lines()
        computer, wanted = target(parts, session_id)
        data = parts.commands.run(computer, Output(session_id=wanted, lines=lines))
        return answer({"session_id": wanted, "text": data.get("text", "")})

    @found.get("/agents")
    def agents() -> Response:
        parameters()
        return answer(
            [
                {
                    "name": name,
                    "colour": profile.colour,
                    "command": profile.command,
                    "thinking_modes": sorted(profile.thinking_modes),
                }
                for name, profile in sorted(parts.settings.agents.items())
            ]
        )

    @found.get("/health")
    def health() -> Response:
        parameters()
        return answer(_health(parts))

    @found.get("/metrics")
    def metrics() -> Response:
        parameters()
        return Response(parts.metrics(), content_type="text/plain; version=0.0.4; charset=utf-8")

    @found.get("/openapi.json")
    def openapi() -> Response:
        parameters()
        return answer(document())

    return found


def answer(data: Any, status: int = 200) -> Response:
    """Make a JSON answer."""
    return Response(encode(data), status, content_type=JSON)


def parameters(*allowed: str) -> dict[str, str]:
    """Give the query's parameters. Raises InvalidField for one that is not allowed, or is there twice."""
    for name, values in request.args.lists():
        if name not in allowed:
            raise InvalidField(name, f"is no parameter here; there are: {', '.join(allowed) or 'none'}")
        if len(values) > 1:
            raise InvalidField(name, "is there twice")
    return request.args.to_dict()


def target(parts: Parts, prefix: str) -> tuple[str, str]:
    """Give (computer, id) of the session that a command is for.

    A session in the view is found by its id or a prefix. With `?computer=` that computer is asked, whether anybody
    here looks at it or not. Raises NotFound, Ambiguous.
    """
    computer = request.args.get("computer")
    if computer:
        return known(parts.reads, parts.hub.computer, computer), prefix
    row, _ = parts.reads.session(prefix)
    return row.computer, row.session_id


def _listing(parts: Parts, what: str) -> Any:
    def listing() -> Response:
        return _read(parts, parts.reads.listing(what, parameters(*FILTERS[what])))

    return listing


def _read(parts: Parts, body: bytes) -> Response:
    tag = parts.reads.tag
    if request.if_none_match.contains_weak(tag.strip('"')):
        found = Response(status=304)
        del found.headers["Content-Type"]
    else:
        found = Response(body, content_type=JSON)
    found.headers["ETag"] = tag
    found.headers["Cache-Control"] = "no-cache"
    if parts.reads.stale:
        found.headers["X-Teleclaude-Stale"] = parts.reads.stale
    return found


def _lines() -> int:
    text = parameters("lines", *TARGET).get("lines", "200")
    if not _NUMBER.fullmatch(text):
        raise InvalidField("lines", "must be a number")
    return int(text)


def _health(parts: Parts) -> dict[str, Any]:
    reason = parts.reads.stale
    try:
        snapshot = parts.reads.snapshot
        epoch, version = snapshot.epoch, snapshot.version
    except Unavailable as error:
        epoch, version = "", 0
        reason = reason or error.message
    return {
        "status": "degraded" if reason else "ok",
        "computer": parts.settings.computer.name,
        "version": __version__,
        "workers": parts.workers.states,
        "services": parts.services() if epoch else [],
        "stale": bool(reason),
        "reason": reason,
        "epoch": epoch,
        "data_version": version,
    }
