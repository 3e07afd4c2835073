"""The script that agents' hooks run, as agents run it."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from teleclaude.hooks.hook_files import put_script, refresh_script, script_in, spool_in
from teleclaude.sync.sessions.agents.hook_event import BODY_LIMIT, HookEvent, read_hook_file
from tests.small_disk import fill, needs_root, small_disk
from tests.wait import until

SHELLS = [shell for shell in ("dash", "bash", "busybox") if shutil.which(shell)]
BODY = b'{"session_id": "a", "cwd": "/x y", "text": "two\\nlines"}'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The hooks' folder, in a place whose name a shell would take apart."""
    place = tmp_path / "a b;'$(x)"
    place.mkdir()
    put_script(place)
    return place


def run(folder: Path, *words: str, body: bytes = BODY, shell: str = "", **environ: str) -> tuple[int, bytes]:
    """Run the script as an agent does; its exit status, and what it printed. Raises BrokenPipeError as an agent would.

    Without programs (a PATH of its own) nothing can read what is written to it.
    """
    command = [*([shell, "sh"] if shell == "busybox" else [shell] if shell else []), str(script_in(folder)), *words]
    with subprocess.Popen(
        command,
        env={**os.environ, **environ},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        bufsize=0,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        with contextlib.suppress(BrokenPipeError) if "PATH" in environ else contextlib.nullcontext():
            process.stdin.write(body)
        process.stdin.close()
        return process.wait(20), process.stdout.read()


def reports(folder: Path) -> list[HookEvent]:
    """What lies in the spool."""
    read = [read_hook_file(path.read_bytes(), 1.0) for path in sorted(spool_in(folder).iterdir())]
    return [event for event in read if event is not None]


@pytest.mark.parametrize("shell", ["", *SHELLS])
def test_a_report_says_who_where_and_what(folder: Path, shell: str) -> None:
    """In every shell: the agent, the event, the pane and its server, the process that ran it, and what it was given."""
    tmux = "/tmp/tmux-0/a,b,4711,3"
    assert run(folder, "claude", "Stop", shell=shell, TMUX_PANE="%7", TMUX=tmux) == (0, b"")
    (event,) = reports(folder)
    assert (event.agent, event.event, event.pane, event.server) == ("claude", "Stop", "%7", 4711)
    assert event.parent == os.getpid()
    assert event.body == {"session_id": "a", "cwd": "/x y", "text": "two\nlines"}


def test_a_program_that_is_given_json_as_an_argument_may_run_it_too(folder: Path) -> None:
    """Codex' `notify` does: its input is not waited for."""
    read, write = os.pipe()
    try:
        command = [str(script_in(folder)), "codex", "notify", '{"type": "agent-turn-complete"}']
        assert subprocess.run(command, stdin=read, timeout=20, check=False).returncode == 0
    finally:
        os.close(read)
        os.close(write)
    assert [event.body for event in reports(folder)] == [{"type": "agent-turn-complete"}]


def test_what_is_long_is_read_to_its_end_and_kept_short(folder: Path) -> None:
    """Who writes meets no closed pipe; the file is bounded, and its body counts as none."""
    body = b'{"text": "' + b"x" * 3_000_000 + b'"}'
    with subprocess.Popen([str(script_in(folder)), "claude", "PostToolUse"], stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        process.stdin.write(body)  # a closed pipe would raise
        process.stdin.close()
        assert process.wait(20) == 0
    (path,) = spool_in(folder).iterdir()
    assert path.stat().st_size < BODY_LIMIT + 1000
    assert [(event.event, event.body) for event in reports(folder)] == [("PostToolUse", {})]


def test_a_body_that_is_just_short_enough_is_kept(folder: Path) -> None:
    """One byte less than the limit counts, one at it does not."""
    for size, is_kept in ((BODY_LIMIT - 1, True), (BODY_LIMIT, False)):
        body = b'{"t":"' + b"x" * (size - 8) + b'"}'
        run(folder, "claude", "Stop", body=body)
        (event,) = reports(folder)
        assert bool(event.body) is is_kept
        next(spool_in(folder).iterdir()).unlink()


def test_a_spool_that_nobody_reads_is_bounded(folder: Path) -> None:
    """At 512 files nothing more is left, nothing is said, and what is written to the script is read."""
    for number in range(512):
        spool_in(folder).joinpath(f"1-{number}").touch()
    assert run(folder, "claude", "Stop", body=b"x" * 1_000_000) == (0, b"")
    assert len(list(spool_in(folder).iterdir())) == 512


def test_an_environment_that_is_odd_adds_no_line(folder: Path) -> None:
    """A line's end in TMUX or TMUX_PANE cannot name a pipe, or another event."""
    run(folder, "claude", "Stop", TMUX="x\npipe=evil", TMUX_PANE="%1\nevent=Other")
    (event,) = reports(folder)
    assert (event.event, event.pipe, event.pane) == ("Stop", "", "")


@pytest.mark.parametrize("shell", ["", *SHELLS])
@pytest.mark.parametrize("fault", ["no spool", "a file for a spool", "read-only", "no arguments", "no programs"])
def test_it_prints_nothing_and_ends_well_whatever_is_wrong(folder: Path, fault: str, shell: str) -> None:
    """And reads what is written to it, so that the agent meets no closed pipe."""
    words, environ = ["claude", "Stop"], dict[str, str]()
    if fault in {"no spool", "a file for a spool", "read-only"}:
        spool_in(folder).rmdir()
    if fault == "a file for a spool":
        spool_in(folder).touch()
    if fault == "read-only":
        spool_in(folder).symlink_to("/proc/1/fdinfo")  # a folder in which not even root makes a file
    if fault == "no arguments":
        words = []
    if fault == "no programs":
        shell, environ = shutil.which(shell) or "", {"PATH": "/nowhere"}
    body = BODY if fault == "no programs" else b"x" * 1_000_000
    assert run(folder, *words, body=body, shell=shell, **environ) == (0, b"")


def test_closed_streams_are_nothing_to_it(folder: Path) -> None:
    """Without input, output or errors it leaves its report."""
    command = ["/bin/sh", "-c", 'exec "$0" claude Stop <&- >&- 2>&-', str(script_in(folder))]
    assert subprocess.run(command, timeout=20, check=False).returncode == 0
    assert [event.body for event in reports(folder)] == [{}]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGPIPE])
def test_a_signal_does_not_make_it_fail(folder: Path, number: signal.Signals) -> None:
    """An agent that ends it while it reads sees it end well."""
    command = [str(script_in(folder)), "claude", "Stop"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True) as process:
        until(lambda: list(spool_in(folder).iterdir()))
        os.killpg(process.pid, number)
        out, _ = process.communicate(b"", timeout=20)
        assert (process.returncode, out) == (0, b"")


@needs_root
def test_a_disk_that_is_full_is_nothing_to_it(tmp_path: Path) -> None:
    """What cannot be kept is lost, in silence."""
    with small_disk(tmp_path / "disk", "512k") as disk:
        put_script(disk)
        fill(disk)
        assert run(disk, "claude", "Stop", body=b"x" * 200_000) == (0, b"")


def test_its_reports_are_for_nobody_else(folder: Path) -> None:
    """Whatever umask the agent has: a file of 0600 in a folder of 0700."""
    command = ["/bin/sh", "-c", 'umask 0; exec "$0" claude Stop', str(script_in(folder))]
    subprocess.run(command, input=BODY, timeout=20, check=True)
    (path,) = spool_in(folder).iterdir()
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)


@pytest.mark.skipif(shutil.which("strace") is None, reason="there is no strace here")
def test_it_starts_one_other_program_and_no_more(folder: Path) -> None:
    """That is what it costs an agent, whatever lies in the spool."""
    for number in range(400):
        spool_in(folder).joinpath(f"1-{number}").touch()
    trace = folder / "trace"
    command = ["strace", "-f", "-e", "trace=execve", "-o", str(trace), str(script_in(folder)), "claude", "Stop"]
    subprocess.run(command, input=BODY, timeout=20, check=True)
    started = [line for line in trace.read_text().splitlines() if "execve(" in line and " = 0" in line]
    assert len(started) == 2, started


def test_the_script_is_put_in_place_and_renewed(tmp_path: Path) -> None:
    """An older one makes way for a newer, at the same path; and it can be run."""
    put_script(tmp_path / "hooks")
    path = script_in(tmp_path / "hooks")
    whole = path.read_bytes()
    path.write_text("old")
    path.chmod(0o600)
    put_script(tmp_path / "hooks")
    assert path.read_bytes() == whole
    assert os.access(path, os.X_OK)


def test_a_daemon_renews_the_script_only_where_hooks_are_installed(tmp_path: Path) -> None:
    """Its path is in somebody's settings then."""
    refresh_script(tmp_path / "hooks")
    assert not tmp_path.joinpath("hooks").exists()
    put_script(tmp_path / "hooks")
    script_in(tmp_path / "hooks").write_text("old")
    refresh_script(tmp_path / "hooks")
    assert script_in(tmp_path / "hooks").read_text() != "old"
