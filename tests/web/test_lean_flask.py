"""What the web process does not import, and that Flask is whole without it."""

from __future__ import annotations

import subprocess
import sys

IMPORTED = """
import sys
from teleclaude.core.lean import import_hashlib, import_msgspec
from teleclaude.web.lean_flask import import_flask
import_msgspec()
import_hashlib()
import_flask()
import teleclaude.web.process
print(*sys.modules)
"""
LATER = """
import click, http.client, jinja2, ssl, simple_websocket.aiows, werkzeug.serving, werkzeug.test
import teleclaude.web.api.metrics, teleclaude.web.http.tls
from flask import Flask
from flask.cli import ScriptInfo
app = Flask("late")
app.add_url_rule("/", "home", lambda: "here")
assert app.test_client().get("/").data == b"here"
assert click.Group and jinja2.Template and ssl.SSLContext and http.client.HTTPSConnection and ScriptInfo
"""


def python(program: str) -> str:
    """What a Python of its own prints."""
    done = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_web_process_imports_no_templates_no_command_line_no_openssl() -> None:
    """Nor asyncio, nor what only /metrics and /openapi.json need, nor the cache itself."""
    unwanted = {"jinja2", "click", "asyncio", "ssl", "_ssl", "_hashlib", "prometheus_client", "http.server"}
    unwanted |= {"werkzeug.test", "werkzeug.serving", "multiprocessing.managers", "teleclaude.cache.daemon_cache"}
    unwanted |= {"teleclaude.web.api.openapi", "teleclaude.web.http.tls"}
    assert not unwanted & set(python(IMPORTED).split())


def test_what_was_left_out_can_be_imported_later() -> None:
    """A test client, templates and TLS are themselves for whoever imports them after Flask."""
    python(IMPORTED + LATER)
