"""What lives as long as a process ends it when it fails, and the supervisor brings the process back."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from teleclaude.daemon.lifecycle import answers
from tests.daemon.places import Daemon, dutiful
from tests.wait import until

# The real process, in which one call fails once, as it would for want of descriptors.
FAILING = """
import errno, sys
from pathlib import Path
from {module} import {owner}
done, before = Path({done!r}), {owner}.{method}
def fail_once(*args):
    if done.exists(): return before(*args)
    done.touch()
    raise OSError(errno.EMFILE, "Too many open files")
{owner}.{method} = fail_once
from teleclaude.{name}.process import main
main()
"""


@pytest.mark.parametrize(
    ("name", "module", "owner", "method", "part"),
    [
        ("cache", "teleclaude.cache.process", "Publisher", "run", "thread 'publisher'"),
        ("cache", "teleclaude.cache.feed", "FeedServer", "run", "thread 'feed'"),
        ("web", "teleclaude.web.push.feed_reader", "Feed", "run", "greenlet 'feed'"),
    ],
)
def test_a_part_that_fails_takes_its_process_along(
    tmp_path: Path, name: str, module: str, owner: str, method: str, part: str
) -> None:
    """The process does not beat on without it: it is started again, and the log tells what went wrong."""
    code = FAILING.format(name=name, module=module, owner=owner, method=method, done=str(tmp_path / "done"))
    workers = {each: dutiful(each) for each in ("cache", "sync", "web")}
    daemon = Daemon({**workers, name: [sys.executable, "-c", code]})
    try:
        daemon.start()
        until(lambda: daemon.states() != {})
        assert daemon.wait_restarted(name)[name].reason == ""
        assert f"the {part} failed: OSError: [Errno 24] Too many open files" in daemon.log()
        assert f"{name} (pid" in daemon.log()
    finally:
        daemon.close()


def real() -> Daemon:
    """A daemon with its real workers."""
    return Daemon({name: [sys.executable, "-P", "-m", f"teleclaude.{name}"] for name in ("cache", "sync", "web")})


def test_every_socket_is_for_its_user_alone() -> None:
    """Each has mode 0600, in a folder of mode 0700."""
    daemon = real()
    try:
        daemon.start().wait_for(all="running")
        until(lambda: answers(daemon.place))
        sockets = {
            path.name: path.stat().st_mode & 0o777 for path in daemon.place.runtime.iterdir() if path.is_socket()
        }
        assert sockets == dict.fromkeys(sockets, 0o600)
        assert {"api.sock", "cache.sock", "feed.sock"} <= sockets.keys()
        assert daemon.place.runtime.stat().st_mode & 0o777 == 0o700
    finally:
        daemon.close()
