"""The OpenAPI document is one, and is true: schemathesis tries every operation over TCP and finds no violation."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from teleclaude.web.api.api_context import ApiContext
from teleclaude.web.api.openapi import document
from teleclaude.web.flask_app import make_app
from tests.machine import ROOT
from tests.web.daemon import Daemon

CASES = Path(__file__).with_name("openapi_cases.py")


@pytest.mark.timeout(300)
def test_every_operation_does_what_it_says() -> None:
    """Schemathesis finds nothing. In a process of its own: it works out all that it tries when tests are collected."""
    around = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    command = [sys.executable, "-m", "pytest", "-p", "schemathesis", "-p", "no:cacheprovider", str(CASES)]
    done = subprocess.run(command, cwd=ROOT, env=around, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    operations = sum(name != "parameters" for item in document()["paths"].values() for name in item)
    assert int(done.stdout.rpartition(" passed")[0].split()[-1]) > operations


def test_every_route_is_in_the_document(web: Daemon) -> None:
    """And nothing else; it is served as it is made."""
    context: Any = object.__new__(ApiContext)
    conversations: Any = None
    routes = {
        (str(rule).replace("<", "{").replace(">", "}"), method.lower())
        for rule in make_app(context, conversations).url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if str(rule) != "/ws"
    }
    told = {(path, name) for path, item in document()["paths"].items() for name in item if name != "parameters"}
    assert routes == told
    assert web.get("/openapi.json").json == msgspec.json.decode(msgspec.json.encode(document()))
