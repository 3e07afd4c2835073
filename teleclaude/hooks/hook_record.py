"""What was put into agents' settings, kept so that it can be taken out to the byte: `installed.json`, in our folder."""

from __future__ import annotations

from pathlib import Path

import msgspec

from teleclaude.core.errors import Refused
from teleclaude.core.files import private_folder, write_atomic

_NAME = "installed.json"


class Inserted(msgspec.Struct, frozen=True, kw_only=True):
    """What was put into one file of an agent's.

    `made_file`: there was none; `made`: keys (`hooks/Stop`) that were not there; `behind`: what was added behind the
    first entry of an array or object that was empty, by its key; `ended_line`: the last line had no end.
    """

    agent: str = ""
    made_file: bool = False
    made: tuple[str, ...] = ()
    behind: dict[str, str] = {}
    ended_line: bool = False


class HookRecord:
    """All that was put in, by the file's path."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        try:
            self.files = msgspec.json.decode((folder / _NAME).read_bytes(), type=dict[str, Inserted])
        except FileNotFoundError:
            self.files = {}
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise Refused(f"{folder / _NAME} is damaged ({error}): remove it, and install again") from error

    def get(self, path: Path) -> Inserted | None:
        """Give what was put into a file; None for nothing."""
        return self.files.get(str(path))

    def put(self, path: Path, inserted: Inserted | None) -> None:
        """Keep what was put into a file; None: all is out. Raises OSError."""
        if inserted is None:
            self.files.pop(str(path), None)
        else:
            self.files[str(path)] = inserted
        private_folder(self._folder)
        write_atomic(self._folder / _NAME, msgspec.json.encode(self.files))
