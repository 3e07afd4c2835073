"""A real systemd user manager on a machine that has none: own cgroup, own mounts, own pids. Needs root."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tests.wait import until

SYSTEMD = Path("/lib/systemd/systemd")

# The group is entered before the new cgroup namespace is made, so that the manager sees it as the root.
_OUTER = """
echo $$ > "$1/cgroup.procs"
exec unshare --mount --cgroup --pid --fork --kill-child --mount-proc sh -euc "$2"
"""
_INNER = """
mount -t tmpfs tmpfs /sys/fs/cgroup
mount -t cgroup2 none /sys/fs/cgroup
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/system /run/user/0
chmod 700 /run/user/0
mkdir /sys/fs/cgroup/manager
echo 0 > /sys/fs/cgroup/manager/cgroup.procs
/lib/systemd/systemd --user &
wait
"""


def why_not() -> str:
    """Why no manager can run here; empty when it can."""
    if os.geteuid() != 0:
        return "only root can make name spaces and control groups"
    if not SYSTEMD.exists() or shutil.which("unshare") is None:
        return "systemd is not installed"
    if _cgroup2() is None or not os.access(_cgroup2() or "/", os.W_OK):
        return "no cgroup2 that can be written"
    return ""


class UserManager:
    """A running manager. `home` is its home folder, where units are looked for."""

    def __init__(self, home: Path, environ: Mapping[str, str]) -> None:
        base = _cgroup2()
        assert base is not None
        self._group = Path(tempfile.mkdtemp(prefix="tc-", dir=base))
        kept = {key: value for key, value in environ.items() if not key.startswith(("XDG_", "DBUS_", "TELECLAUDE_"))}
        self.environ = {**kept, "HOME": str(home), "XDG_RUNTIME_DIR": "/run/user/0"}
        self._outer = subprocess.Popen(
            ["sh", "-euc", _OUTER, "sh", str(self._group), _INNER],
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            until(lambda: self.run("systemctl", "--user", "is-system-running").stdout.strip() == "running", 30)
        except BaseException:
            self.close()
            raise

    def run(self, *command: str, **environ: str) -> subprocess.CompletedProcess[str]:
        """Run a command beside the manager."""
        init = Path(f"/proc/{self._outer.pid}/task/{self._outer.pid}/children").read_text(encoding="ascii").split()
        if not init:
            raise OSError("not there yet")
        return subprocess.run(
            ["nsenter", "--target", init[0], "--mount", "--cgroup", "--pid", "--", *command],
            env={**self.environ, **environ},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def close(self) -> None:
        """End all that runs in it."""
        with contextlib.suppress(OSError):
            (self._group / "cgroup.kill").write_text("1", encoding="ascii")
        self._outer.send_signal(signal.SIGKILL)
        self._outer.wait()
        until(self._remove_groups)

    def _remove_groups(self) -> bool:
        for folder, _, _ in os.walk(self._group, topdown=False):
            os.rmdir(folder)
        return not self._group.exists()


def _cgroup2() -> Path | None:
    """Our own group in the cgroup2 tree."""
    mounts = Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()
    base = next((fields[1] for fields in map(str.split, mounts) if fields[2] == "cgroup2"), None)
    groups = Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    own = next((line.split(":", 2)[2] for line in groups if line.startswith("0::")), "/")
    return None if base is None else Path(base + own.rstrip("/"))
