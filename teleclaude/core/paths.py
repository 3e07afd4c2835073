"""Where things are. Four environment variables move everything, so one machine can play several computers.

`TELECLAUDE_CONFIG_DIR`, `TELECLAUDE_STATE_DIR`, `TELECLAUDE_RUNTIME_DIR`, `TELECLAUDE_TMUX_SOCKET` (a name, as in
`tmux -L`; empty means tmux' own default).
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from teleclaude.core.errors import InvalidField
from teleclaude.core.files import refuse_planted

SOCKET_PATH_LIMIT = 100  # bytes; the kernel takes 107, and a temporary name needs a few
DEFAULT_TMUX_SOCKET = "default"  # what tmux calls its own
_TMUX_SOCKET = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}")


class Places(NamedTuple):
    """The folders of one daemon, and the names in them."""

    config: Path
    state: Path
    runtime: Path
    tmux_socket: str = ""

    @property
    def settings_file(self) -> Path:
        """The settings, TOML; may be missing."""
        return self.config / "config.toml"

    @property
    def settings_in_force(self) -> Path:
        """The settings as the supervisor last found them right, a copy for its workers (settings.load_in_force)."""
        return self.runtime / "settings.toml"

    @property
    def api_socket(self) -> Path:
        """REST and /ws."""
        return self.runtime / "api.sock"

    @property
    def main_socket(self) -> Path:
        """The supervisor's (daemon/main_socket.py)."""
        return self.runtime / "main.sock"

    @property
    def cache_socket(self) -> Path:
        """The manager's door: writes and control."""
        return self.runtime / "cache.sock"

    @property
    def feed_socket(self) -> Path:
        """The feed of changes."""
        return self.runtime / "feed.sock"

    @property
    def requests_socket(self) -> Path:
        """Where the sync process asks the web process for requests (core/request_wire.py)."""
        return self.runtime / "sync.sock"

    @property
    def snapshot_file(self) -> Path:
        """The mapped snapshot."""
        return self.runtime / "snapshot"

    @property
    def counts_file(self) -> Path:
        """Sessions by status, of all computers, for a shell (cache/counts_file.py)."""
        return self.runtime / "counts"

    @property
    def clients_folder(self) -> Path:
        """Where terminal clients say where they are (core/client_places.py)."""
        return self.runtime / "clients"

    @property
    def told_file(self) -> Path:
        """What people were told of sessions, for the next daemon (sync/attention)."""
        return self.state / "told.json"

    @property
    def key_file(self) -> Path:
        """The key that the cache's door asks for, made anew by each supervisor."""
        return self.runtime / "cache.key"

    @property
    def lock_file(self) -> Path:
        """Held by the supervisor; contains its pid, for people."""
        return self.runtime / "lock"

    @property
    def workers_file(self) -> Path:
        """What the supervisor knows of its workers, JSON, replaced at each change (core/lifeline.py)."""
        return self.runtime / "workers.json"

    @property
    def log_file(self) -> Path:
        """Where a daemon in the background logs."""
        return self.state / "daemon.log"

    @property
    def journal_of_sessions(self) -> Path:
        """Which agents run, for when the computer or its tmux server is lost."""
        return self.state / "sessions.json"

    @property
    def hooks(self) -> Path:
        """The script that agents' hooks run, what was put into their settings, and the folder `spool`."""
        return self.state / "hooks"


def places(environ: Mapping[str, str] | None = None) -> Places:
    """Find the folders, from the environment or else the platform's defaults. Makes nothing.

    Raises InvalidField for a folder that is not absolute or too long to hold a unix socket, and Refused for a runtime
    folder that is not ours alone: where somebody else planted it, nothing in it is to be believed.
    """
    env = os.environ if environ is None else environ
    found = Places(
        config=_folder(env, "TELECLAUDE_CONFIG_DIR") or _platform("config"),
        state=_folder(env, "TELECLAUDE_STATE_DIR") or _platform("state"),
        runtime=_folder(env, "TELECLAUDE_RUNTIME_DIR") or _default_runtime(env),
        tmux_socket=_tmux_socket(env),
    )
    if len(os.fsencode(found.feed_socket)) > SOCKET_PATH_LIMIT:
        raise InvalidField(
            "TELECLAUDE_RUNTIME_DIR",
            f"{found.runtime} is too long for a unix socket (at most {SOCKET_PATH_LIMIT - 10} bytes): take a shorter",
        )
    refuse_planted(found.runtime)
    return found


def _folder(env: Mapping[str, str], name: str) -> Path | None:
    value = env.get(name, "")
    if not value:
        return None
    path = Path(value).expanduser()
    if not path.is_absolute() or "\0" in value:
        raise InvalidField(name, f"must be an absolute path, not {value!r}")
    return path


def _tmux_socket(env: Mapping[str, str]) -> str:
    value = env.get("TELECLAUDE_TMUX_SOCKET", "")
    if value and not is_tmux_socket(value):
        raise InvalidField("TELECLAUDE_TMUX_SOCKET", f"must be a name as in `tmux -L NAME`, not {value[:80]!r}")
    return value


def is_tmux_socket(name: str) -> bool:
    """Tell whether this can be the name of a tmux socket: letters, digits, dots, dashes, underscores, 64 at most."""
    return _TMUX_SOCKET.fullmatch(name) is not None


def _platform(what: str) -> Path:
    import platformdirs  # noqa: PLC0415  (costs 5 ms, and is not needed where the environment says it all)

    folder = platformdirs.user_config_path if what == "config" else platformdirs.user_state_path
    return folder("teleclaude", appauthor=False)


def _default_runtime(env: Mapping[str, str]) -> Path:
    base = env.get("XDG_RUNTIME_DIR", "")
    if base and Path(base).is_absolute():
        return Path(base) / "teleclaude"
    # Where the variable is missing (su, cron), the daemon that systemd runs must be found all the same.
    usual = Path(f"/run/user/{os.geteuid()}")
    if usual.is_dir() and usual.stat().st_uid == os.geteuid():
        return usual / "teleclaude"
    return Path(f"/tmp/teleclaude-{os.geteuid()}")  # noqa: S108  (owner, mode and type are checked)
