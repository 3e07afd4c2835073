"""Our own files: the script that hooks run, the folder it writes to, and opencode's plugin."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from teleclaude.core.files import private_folder, write_atomic

SCRIPT = "teleclaude-hook"


def script_in(folder: Path) -> Path:
    """Where the script stands, in the hooks' folder. It stays there: agents keep its path in their settings."""
    return folder / SCRIPT


def spool_in(folder: Path) -> Path:
    """Where reports are left."""
    return folder / "spool"


def put_script(folder: Path) -> None:
    """Put the script and its folder there, or the newer one in place of an older. Raises OSError, Refused."""
    private_folder(folder)
    private_folder(spool_in(folder))
    data = files("teleclaude.hooks").joinpath(SCRIPT).read_bytes()
    path = script_in(folder)
    if not path.exists() or path.read_bytes() != data or not path.stat().st_mode & 0o100:
        write_atomic(path, data, mode=0o700)


def refresh_script(folder: Path) -> None:
    """Where the script was put, have it as this version has it. Raises OSError, Refused."""
    if script_in(folder).exists():
        put_script(folder)


def plugin(folder: Path) -> str:
    """Give opencode's plugin, which writes to the same folder."""
    text = files("teleclaude.hooks").joinpath("opencode_plugin.js").read_text(encoding="utf-8")
    spool = str(spool_in(folder)).replace("\\", "\\\\").replace('"', '\\"')
    return text.replace("@SPOOL@", spool)
