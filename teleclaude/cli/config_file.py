"""Changes to the user's config.toml that leave everything else in it, comments too, as it is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import tomlkit
from tomlkit.exceptions import TOMLKitError

from teleclaude.core.errors import SettingsError
from teleclaude.core.files import write_atomic
from teleclaude.core.settings import parse

Value = str | bool | None


def changed(text: str, changes: Mapping[str, Value]) -> str:
    """Give a settings text in which the keys "table.key" have these values; None removes one.

    Raises SettingsError when the text is not right before or after.
    """
    parse(text)
    try:
        document = tomlkit.parse(text)
        for path, value in changes.items():
            table, _, key = path.partition(".")
            if value is None:
                document.get(table, {}).pop(key, None)
            else:
                document.setdefault(table, tomlkit.table())[key] = value
        for table in {path.partition(".")[0] for path in changes}:
            if table in document and not document[table]:
                del document[table]
    except TOMLKitError as error:
        raise SettingsError(f"not valid TOML: {error}") from error
    result = tomlkit.dumps(document)
    parse(result)
    return result


def check(path: Path, changes: Mapping[str, Value]) -> None:
    """Raise SettingsError or OSError when `change` would."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        text = ""
    changed(text, changes)


def change(path: Path, changes: Mapping[str, Value]) -> None:
    """Change the settings file, which may be missing; for its owner alone to read. Raises SettingsError, OSError."""
    target = path.resolve()  # people link it from a repository of their own settings
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        text = target.read_text(encoding="utf-8")
    except FileNotFoundError:
        text = ""
    write_atomic(target, changed(text, changes).encode(), mode=0o600)
