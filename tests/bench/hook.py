"""What a hook costs an agent: the script, beside a shell that starts the same program and does nothing with it."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from teleclaude.hooks.hook_files import put_script, script_in, spool_in
from tests.bench.report import Figure, at_most, middle, percentile

_BODY = b'{"hook_event_name": "PreToolUse", "tool_name": "Bash", "tool_input": {"command": "' + b"x" * 600 + b'"}}'
_BUDGET = 5.0  # milliseconds
_MOST_RATIO = 2.0  # of the least that a shell with one program costs


def run(*, quick: bool) -> Iterator[Figure]:
    """All figures."""
    rounds = 40 if quick else 200
    with tempfile.TemporaryDirectory(prefix="tc") as name:
        folder = Path(name)
        put_script(folder)
        least = folder / "least"
        least.write_text("#!/bin/sh\ntail -c 262144 >/dev/null\nexit 0\n")
        least.chmod(0o755)
        for what in ("empty", "full", "missing"):
            _prepare(folder, what)
            ours, theirs = _beside(script_in(folder), least, rounds, spool_in(folder) if what == "empty" else None)
            beside = f"a shell that starts tail: {middle(theirs):.1f} ms (least {min(theirs):.1f})"
            title = f"hook, spool {what}"
            yield at_most(f"{title}: beside a bare shell", middle(ours) / middle(theirs), _MOST_RATIO, "x", beside)
            yield at_most(f"{title}: median", middle(ours), _BUDGET, " ms", f"p90 {percentile(ours, 0.9):.1f} ms")


def _prepare(folder: Path, what: str) -> None:
    spool = spool_in(folder)
    if what == "full":
        for number in range(512):
            spool.joinpath(f"1-{number}").touch()
    elif what == "missing":
        for path in spool.iterdir():
            path.unlink()
        spool.rmdir()


def _beside(one: Path, other: Path, rounds: int, spool: Path | None) -> tuple[list[float], list[float]]:
    """Milliseconds of each, by turns: what else the machine does meets both."""
    found: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for times, path in zip(found, (one, other), strict=True):
            begin = time.perf_counter()
            subprocess.run([path, "claude", "PreToolUse"], input=_BODY, stdout=subprocess.DEVNULL, check=True)
            times.append((time.perf_counter() - begin) * 1e3)
        for path in spool.iterdir() if spool else ():
            os.unlink(path)
    return found
