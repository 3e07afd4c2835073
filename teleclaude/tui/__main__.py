"""`python -m teleclaude.tui`, and the console script."""

from __future__ import annotations

import os
import sys
import termios
from typing import TYPE_CHECKING

from teleclaude.core.lean import import_msgspec

if TYPE_CHECKING:
    from teleclaude.core.paths import Places

_USAGE = """usage: teleclaude-tui [--version] [--help]

Shows this computer's terminal sessions, projects and todos as a live tree. Press ? for the keys.
It starts the daemon in the background when none runs."""


def main() -> int:
    """Run the terminal client. Gives the exit status."""
    arguments = sys.argv[1:]
    if arguments:
        return _answer(arguments)
    if not (os.isatty(0) and os.isatty(1)):
        print("teleclaude-tui needs a terminal; for scripts there is `teleclaude sessions --json`", file=sys.stderr)  # noqa: T201
        return 1
    import_msgspec()
    from teleclaude.core.errors import TeleclaudeError
    from teleclaude.core.paths import places

    os.umask(0o077)
    try:
        place = places()
    except TeleclaudeError as error:
        print(f"teleclaude-tui: {error.message}", file=sys.stderr)  # noqa: T201
        return 1
    from teleclaude.tui.app import App
    from teleclaude.tui.terminal import Terminal

    try:
        App(place, Terminal()).run()
    except termios.error as error:
        print(f"teleclaude-tui: the terminal cannot be used: {error.args[-1]}", file=sys.stderr)  # noqa: T201
        return 1
    except Exception:  # noqa: BLE001  (the terminal is itself again: say what happened, and keep the traceback)
        return _crashed(place)
    return 0


def _crashed(place: Places) -> int:
    import traceback

    from teleclaude.tui.log_file import append_log

    text = traceback.format_exc()
    try:
        path = append_log(place.state, text)
    except Exception:  # noqa: BLE001  (then the terminal is where it goes)
        print(text, file=sys.stderr)  # noqa: T201
        return 1
    print(f"teleclaude-tui ended by an error of its own; the traceback is in {path}", file=sys.stderr)  # noqa: T201
    return 1


def _answer(arguments: list[str]) -> int:
    if arguments == ["--version"]:
        from importlib.metadata import version

        print(f"teleclaude {version('teleclaude')}")  # noqa: T201
        return 0
    if arguments in (["--help"], ["-h"]):
        print(_USAGE)  # noqa: T201
        return 0
    print(_USAGE, file=sys.stderr)  # noqa: T201
    return 2


if __name__ == "__main__":
    sys.exit(main())
