"""Flask and the WebSockets without what they import for templates, command lines, test clients and asyncio."""

from __future__ import annotations

import sys

from teleclaude.core.lean import StandIn, import_without


def import_flask() -> None:
    """Import flask_sock and, with it, Flask and gevent's HTTP server: 8 MB of the process less."""
    cli = StandIn("flask.cli")
    cli.AppGroup.commands = ()  # type: ignore[attr-defined]  # a blueprint looks whether it has any
    absent = ("click", "jinja2", "werkzeug.serving", "werkzeug.test", "simple_websocket.aiows", "ssl")
    import_without("flask_sock", {"flask.cli": cli, **{name: StandIn(name) for name in absent}})
    import_without("gevent.pywsgi", {"ssl": None})
    sys.modules.pop("http.client", None)  # this one knows no HTTPS
