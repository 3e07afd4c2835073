"""What the client keeps over a restart: the view, what is open, what is selected.

Written atomically, so that a crash leaves the old or the new. A file that cannot be read is set aside and said so;
it never keeps the client from starting.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from teleclaude.core.files import private_folder, write_atomic

FILE_NAME = "tui.json"
KEPT = 500  # nodes remembered


class Saved(msgspec.Struct, frozen=True, kw_only=True):
    """`opened` and `closed`: keys of nodes, the view first. `selected`: a row's key by view.

    `hooks_offered`: agents of which it was said once that hooks could be installed.
    """

    view: str = "sessions"
    opened: tuple[tuple[str, ...], ...] = ()
    closed: tuple[tuple[str, ...], ...] = ()
    selected: dict[str, tuple[str, ...]] = {}
    hooks_offered: tuple[str, ...] = ()


def load(folder: Path) -> tuple[Saved, str]:
    """Read what was kept in the state folder: it, and a note for the user when the file was set aside."""
    path = folder / FILE_NAME
    try:
        return msgspec.json.decode(path.read_bytes(), type=Saved), ""
    except FileNotFoundError:
        return Saved(), ""
    except OSError as error:
        return Saved(), f"the saved view cannot be read: {error.strerror}"
    except (msgspec.ValidationError, msgspec.DecodeError, UnicodeDecodeError):
        aside = path.with_suffix(".broken")
        try:
            path.replace(aside)
        except OSError:
            return Saved(), f"the saved view is damaged; remove {path}"
        return Saved(), f"the saved view was damaged; it is set aside as {aside}"


def save(folder: Path, saved: Saved) -> None:
    """Keep it. Raises OSError, or Refused when the folder is not ours."""
    private_folder(folder)
    write_atomic(folder / FILE_NAME, msgspec.json.encode(saved), durable=False)
