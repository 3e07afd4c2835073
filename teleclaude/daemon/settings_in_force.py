"""The settings in force: checked here once, then given to the workers as a copy in the runtime folder."""

from __future__ import annotations

from pathlib import Path

from teleclaude.core.errors import SettingsError
from teleclaude.core.files import write_atomic
from teleclaude.core.paths import Places
from teleclaude.core.settings import Settings, parse


class SettingsInForce:
    """Settings, as last found right. Raises SettingsError where they are wrong at the start."""

    def __init__(self, place: Places) -> None:
        self._place = place
        self._text, self.settings = self._read()

    def reload(self) -> bool:
        """Read the settings again, and give them to the workers; True when the computer has another name now.

        Raises SettingsError; the old settings then stay in force.
        """
        before = self._text, self.settings
        self._text, self.settings = self._read()
        try:
            self.give()
        except SettingsError:
            self._text, self.settings = before
            raise
        return self.settings.computer.name != before[1].computer.name

    def give(self) -> None:
        """Write the workers' copy. Raises SettingsError."""
        try:
            write_atomic(self._place.settings_in_force, self._text.encode(), durable=False)
        except OSError as error:
            raise SettingsError(f"{self._place.settings_in_force} cannot be written: {error.strerror}") from error

    def _read(self) -> tuple[str, Settings]:
        text = _text(self._place.settings_file)
        return text, _checked(text, self._place.settings_file)


def _text(path: Path) -> str:
    """Read the file once: what is checked and what is copied must be the same."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: cannot be read: {error}") from error


def _checked(text: str, path: Path) -> Settings:
    try:
        return parse(text)
    except SettingsError as error:
        raise SettingsError(f"{path}: {error.message}", field=error.field) from error
