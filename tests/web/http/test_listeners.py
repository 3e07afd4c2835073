"""How many may come in."""

from __future__ import annotations

import subprocess
import sys

import pytest

from teleclaude.web.http.listeners import shares


@pytest.mark.parametrize(
    ("limit", "told"), [(64, "only 64 files may be open here"), (79, "80 or more"), (80, "16"), (9999, "4096")]
)
def test_a_limit_of_files_that_is_too_low_is_named(limit: int, told: str) -> None:
    """Rather than to refuse everybody, the process says which limit it is, and what it needs."""
    code = "from teleclaude.web.http.listeners import allow_connections; print(allow_connections())"
    argv = ["prlimit", f"--nofile={limit}:{limit}", sys.executable, "-c", code]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)  # noqa: S603
    assert told in done.stdout + done.stderr


def test_tcp_never_has_all() -> None:
    """Whoever may knock there leaves most places to the unix socket; where TCP is closed, that has all."""
    assert shares(1000, is_tcp_open=True) == (750, 250)
    assert shares(1000, is_tcp_open=False) == (1000, 0)
