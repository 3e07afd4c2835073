"""The daemon as a service of the user's systemd: the unit's text, and what `systemctl --user` is told."""

from __future__ import annotations

import getpass
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from teleclaude.core.errors import Conflict, Unavailable
from teleclaude.core.files import write_atomic
from teleclaude.core.paths import Places
from teleclaude.core.settings import load
from teleclaude.daemon.main_socket import holder

UNIT = "teleclaude.service"
ROOT = Path(__file__).resolve().parents[2]
_MARK = "# Written by `teleclaude service install`; `teleclaude service uninstall` removes it.\n"
_TIMEOUT = 330.0  # seconds; the start may install packages
_PASSED_ON = ("TELECLAUDE_CONFIG_DIR", "TELECLAUDE_STATE_DIR", "TELECLAUDE_RUNTIME_DIR", "TELECLAUDE_TMUX_SOCKET")


@dataclass(frozen=True)
class ServiceState:
    """How the service is; `active` and `enabled` are systemd's words."""

    path: Path
    installed: bool
    enabled: str = ""
    active: str = ""
    pid: int = 0
    text: str = ""


def install(place: Places, environ: Mapping[str, str], stop: Callable[[Places], str]) -> list[str]:
    """Write the unit, enable it and have it run: what was done, a sentence each.

    `stop` ends a daemon that runs, and says so: one that is no service gives way to the service.
    Raises Unavailable, Conflict, or SettingsError.
    """
    _require_manager()
    load(place.settings_file)  # a daemon that runs is not ended for one that cannot start
    done = []
    path, text = unit_path(environ), render(ROOT, environ)
    before = _ours(path)
    if before != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, text.encode(), mode=0o644)
        done.append(f"wrote {path}")
    else:
        done.append(f"{path} is as it should be")
    _systemctl("daemon-reload")
    pid = holder(place)
    if pid is not None and pid != state(environ).pid:
        done.append(f"{stop(place)}, to run as the service from now on")
    _systemctl("enable", UNIT)
    _systemctl("restart" if before != text else "start", UNIT)
    done.append(f"{UNIT} is enabled and runs (pid {state(environ).pid})")
    return done + _lingering()


def uninstall(environ: Mapping[str, str]) -> list[str]:
    """Stop the service and remove the unit: what was done, a sentence each. tmux sessions stay."""
    _require_manager()
    path = unit_path(environ)
    if _ours(path) is None:
        return [f"{path} is not there: nothing to do"]
    _systemctl("disable", "--now", UNIT)
    path.unlink()
    _systemctl("daemon-reload")
    return [f"{UNIT} is stopped and disabled", f"removed {path}"]


def state(environ: Mapping[str, str]) -> ServiceState:
    """How the service is. Raises Unavailable where no user manager answers."""
    path = unit_path(environ)
    shown = _systemctl("show", "-p", "ActiveState,UnitFileState,MainPID,StatusText", UNIT)
    lines = [line.partition("=") for line in shown.splitlines()]
    found = {name: value for name, _, value in lines}
    return ServiceState(
        path=path,
        installed=path.exists(),
        enabled=found.get("UnitFileState", ""),
        active=found.get("ActiveState", ""),
        pid=int(found.get("MainPID", "0") or 0),
        text=found.get("StatusText", ""),
    )


def unit_path(environ: Mapping[str, str]) -> Path:
    """Where the unit belongs."""
    base = environ.get("XDG_CONFIG_HOME", "")
    return (Path(base) if base.startswith("/") else Path.home() / ".config") / "systemd" / "user" / UNIT


def render(root: Path, environ: Mapping[str, str]) -> str:
    """The unit's text for the checkout at `root`. Raises Unavailable where there is no checkout.

    It keeps the PATH of now, so that agents are found that the manager's own PATH does not know, and the folders
    that the environment names.
    """
    try:
        template = (root / "systemd" / UNIT).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise Unavailable(f"{root} is no checkout of teleclaude: install the service from one") from None
    kept = {name: environ[name] for name in ("PATH", *_PASSED_ON) if environ.get(name)}
    lines = [f"Environment={_quoted(f'{name}={value}')}" for name, value in kept.items()]
    return _MARK + (
        template.replace("@ENVIRONMENT@", "\n".join(lines))
        .replace("@DAEMON@", _quoted(str(root / "bin" / "teleclaude-daemon")).replace("$", "$$"))
        .replace("@ROOT@", _uri_path(root))
    )


def covers(environ: Mapping[str, str]) -> bool:
    """Whether the installed service is the one for the folders that the environment names."""
    try:
        text = _ours(unit_path(environ))
    except (Conflict, OSError):
        return False
    wanted = {f"Environment={_quoted(f'{n}={environ[n]}')}" for n in _PASSED_ON if environ.get(n)}
    there = {line for line in (text or "").splitlines() if line.startswith('Environment="TELECLAUDE_')}
    return text is not None and wanted == there


def start_if_installed(environ: Mapping[str, str]) -> bool:
    """Have systemd start the daemon, where the service is installed and enabled. False: nobody did."""
    if not covers(environ):
        return False
    try:
        if state(environ).enabled != "enabled":
            return False
        _systemctl("start", UNIT)
    except Unavailable:
        return False
    return True


def _ours(path: Path) -> str | None:
    """Text of the unit that we wrote, or None. Raises Conflict for somebody else's."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    if not text.startswith(_MARK):
        raise Conflict(f"{path} was not written by teleclaude: move it away, then try again")
    return text


def _quoted(text: str) -> str:
    """Quote one word for a unit file (systemd.service(5), systemd.unit(5))."""
    for char, instead in (("\\", "\\\\"), ('"', '\\"'), ("%", "%%"), ("\n", "\\n"), ("\t", "\\t")):
        text = text.replace(char, instead)
    return f'"{text}"'


def _uri_path(path: Path) -> str:
    return path.as_uri().removeprefix("file://").replace("%", "%%")


def _require_manager() -> None:
    if shutil.which("systemctl") is None:
        raise Unavailable("systemctl is not here, so there is no service: use `bin/teleclaude-daemon start`")
    _systemctl("show", "-p", "Version")


def _systemctl(*args: str) -> str:
    """Run `systemctl --user`; its output. Raises Unavailable with its reason."""
    try:
        done = subprocess.run(
            ["systemctl", "--user", "--no-pager", *args],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_TIMEOUT,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except FileNotFoundError:
        raise Unavailable("systemctl is not here, so there is no service") from None
    except subprocess.TimeoutExpired:
        raise Unavailable(f"`systemctl --user {' '.join(args)}` did not end within {_TIMEOUT:.0f} s") from None
    if done.returncode == 0:
        return done.stdout
    reason = " ".join(done.stderr.split()) or f"status {done.returncode}"
    if "connect to bus" in reason or "XDG_RUNTIME_DIR" in reason:
        raise Unavailable(
            f"no systemd of user {getpass.getuser()} answers ({reason}): log in as that user itself, not by su or sudo"
        )
    raise Unavailable(f"`systemctl --user {' '.join(args)}` failed: {reason}")


def _lingering() -> list[str]:
    """What to do so that the service, and the sessions it started, outlive the last logout."""
    if Path("/var/lib/systemd/linger", getpass.getuser()).exists():
        return []
    return ["to keep it, and the sessions it started, after you log out: loginctl enable-linger"]
